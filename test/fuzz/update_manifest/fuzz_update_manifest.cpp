// What parse_update_manifest() accepts prints to a text that reads and prints the same again; all names in it are
// plain.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/base/file.hpp"
#include "core/manifest/update_manifest.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace godwit::manifest;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  static_cast<void>(parse_detached_manifest(text));
  const auto manifest = parse_update_manifest(text);
  if (!manifest) return 0;
  for (const auto& [id, file] : manifest->files) {
    GODWIT_CHECK(godwit::is_plain_file_name(file.file_name));
    GODWIT_CHECK(file.sha256().size() == 32);
    for (const auto& [related_id, related] : file.related_files)
      GODWIT_CHECK(godwit::is_plain_file_name(related.file_name));
  }
  const std::string printed = print_update_manifest(*manifest);
  const auto again = parse_update_manifest(printed);
  GODWIT_CHECK(again.has_value());
  GODWIT_CHECK(print_update_manifest(*again) == printed);
  return 0;
}
