// The APT manifest, the handler's own records and what apt and dpkg print: any bytes give a value or an error, and no
// word for apt-get is ever an option, a path or a pattern.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "apt_manifest.hpp"
#include "apt_words.hpp"
#include "core/base/bytes.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace godwit::step_apt;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto manifest = parse_apt_manifest(text)) {
    GODWIT_CHECK(!manifest->packages.empty() && manifest->packages.size() <= kPackagesLimit);
    for (const Wish& wish : manifest->packages) {
      const std::string word = apt_word(wish);
      GODWIT_CHECK(word.front() != '-' && word.find_first_of("/*?^$ \n\t'\"\\;") == std::string::npos);
    }
    (void)what_is_missing(manifest->packages, parse_dpkg_query(text));
  }
  if (const auto records = parse_records(text)) GODWIT_CHECK(parse_records(print_records(*records)).has_value());
  if (const auto before = parse_backup(text)) GODWIT_CHECK(parse_backup(print_backup(*before)).has_value());
  for (const std::string& name : parse_simulation(text)) GODWIT_CHECK(is_package_name(name));
  if (const auto percent = status_percent(text)) GODWIT_CHECK(*percent <= 100);
  return 0;
}
