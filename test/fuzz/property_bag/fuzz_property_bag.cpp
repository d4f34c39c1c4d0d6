// Goal: properties written by a stranger never crash the hub, stay within their limits, and what was read is written
// and read back as the same.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "server/hub/property_bag.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace godwit::hub;
  const BagLimits limits;
  const auto bag = parse_bag({reinterpret_cast<const char*>(data), size}, limits);
  if (!bag) return 0;
  if (bag->system.size() + bag->application.size() > limits.pairs) std::abort();
  for (const Property& one : bag->application)
    if (one.key.starts_with("$.") || one.key.size() > limits.key_bytes) std::abort();
  static_cast<void>(system_json(*bag));
  static_cast<void>(application_json(*bag));
  // Written out it may be longer than it was read, so the second reading has no limit of bytes.
  const auto again = parse_bag(print_bag(*bag), {.bytes = 16 * limits.bytes});
  if (!again || *again != *bag) std::abort();
  return 0;
}
