// The filter of list calls: any text is a filter within its limits or an invalid_argument.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "server/api/paging.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto filter = godwit::api::parse_filter({reinterpret_cast<const char*>(data), size});
  if (!filter && filter.error().code != godwit::Code::invalid_argument) std::abort();
  if (filter && (filter->terms.empty() || filter->terms.size() > 16)) std::abort();
  return 0;
}
