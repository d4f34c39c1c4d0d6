// What is read as a Content-Range is a range inside a whole, and reads the same when it is written again.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "server/api/content_range.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace godwit::api;
  const auto range = parse_content_range(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!range) return 0;
  GODWIT_CHECK(range->first <= range->last && range->last < range->size);
  GODWIT_CHECK(range->count() >= 1 && range->count() <= range->size);
  const auto again = parse_content_range("bytes " + std::to_string(range->first) + "-" + std::to_string(range->last) +
                                         "/" + std::to_string(range->size));
  GODWIT_CHECK(again && again->first == range->first && again->last == range->last && again->size == range->size);
  return 0;
}
