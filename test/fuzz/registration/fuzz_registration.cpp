// extensions.json: whatever is accepted is printed so that it reads back the same.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "device/extension/registry.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace godwit::extension;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)check_extension_id(text);
  const auto parsed = parse_registrations(text);
  if (!parsed) return 0;
  const auto again = parse_registrations(print_registrations(*parsed));
  GODWIT_CHECK(again.has_value());
  GODWIT_CHECK(*again == *parsed);
  for (const Registration& entry : *parsed)
    GODWIT_CHECK(entry.path.is_absolute() && check_extension_id(entry.id).empty());
  return 0;
}
