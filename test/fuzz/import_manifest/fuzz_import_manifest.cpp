// What parse_import_manifest() accepts can be printed and read again, and gives an update manifest that a device
// accepts.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/base/bytes.hpp"
#include "core/manifest/update_manifest.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace godwit::manifest;
  const auto import = parse_import_manifest(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!import) return 0;
  const auto again = parse_import_manifest(print_import_manifest(*import));
  if (again)
    GODWIT_CHECK(*again == *import);
  else
    GODWIT_CHECK(again.error().code == godwit::Code::too_large);  // indenting may grow it beyond the limit
  std::vector<FileBase> detached;
  for (const Step& step : import->steps)
    if (const auto* reference = std::get_if<ReferenceStep>(&step))
      detached.push_back({.file_name = detached_manifest_file_name(reference->update),
                          .size = 1,
                          .hashes = {{"sha256", godwit::base64_encode(godwit::sha256(""))}}});
  const auto built = build_update_manifest(*import, detached);
  if (!built) return 0;  // e.g. a payload with the name of a detached manifest
  const auto read = parse_update_manifest(print_update_manifest(*built));
  GODWIT_CHECK(read.has_value());
  GODWIT_CHECK(*read == *built);
  return 0;
}
