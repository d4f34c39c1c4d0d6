// Whatever parse() accepts, print() writes so that parse() reads the same value again.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/base/json.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto value = godwit::json::parse(text, {.bytes = 1 << 16, .depth = 12});
  if (!value) return 0;
  const auto printed = godwit::json::print(*value);
  const auto again = godwit::json::parse(printed, {.bytes = 1 << 20, .depth = 12});
  GODWIT_CHECK(again.has_value());
  GODWIT_CHECK(*again == *value);
  GODWIT_CHECK(godwit::json::print(*again) == printed);
  return 0;
}
