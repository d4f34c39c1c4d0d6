// What import and update manifests have in common: files, handlers, short texts. Private to this room.
// Pure functions; safe from any thread.
#pragma once

#include <set>
#include <string>
#include <string_view>

#include "core/manifest/import_manifest.hpp"

namespace godwit::manifest {

[[nodiscard]] tl::unexpected<Error> bad(std::string message);  // bad_manifest
/// The same failure as a fault of the manifest; `unsupported` and `too_large` stay what they are.
[[nodiscard]] tl::unexpected<Error> as_bad_manifest(Error error);

/// "provider/name:1": no spaces, 1 to 5 digits, 5 to 32 characters.
[[nodiscard]] Result<void> check_handler(std::string_view handler, std::string_view where);

/// A string of min..max characters.
[[nodiscard]] Result<std::string> read_text(const json::Object& object, std::string_view key, std::string_view where,
                                            std::size_t min, std::size_t max);

/// An array of min..max items.
[[nodiscard]] Result<const json::Array*> read_array(const json::Object& object, std::string_view key,
                                                    std::string_view where, std::size_t min, std::size_t max);

/// Name (under `name_key`), size and hashes; not the properties.
[[nodiscard]] Result<FileBase> read_file_base(const json::Object& object, std::string_view name_key,
                                              std::string_view where);

/// `properties` of a related file: 1 to 5 strings, name 1..64, value 1..256 characters.
[[nodiscard]] Result<json::Object> read_related_properties(const json::Object& object, std::string_view where);

/// `downloadHandler.id`, or "" when there is none.
[[nodiscard]] Result<std::string> read_download_handler(const json::Object& object, std::string_view where);

[[nodiscard]] Result<std::vector<CompatibilitySet>> read_compatibility(const json::Object& object);

/// File names of one update: all end up in one folder, possibly on a disk that does not tell upper from lower case.
class FileNames {
 public:
  [[nodiscard]] Result<void> add(std::string_view name, std::string_view where);

 private:
  std::set<std::string> lower_;
};

/// Name (under `name_key`), size, hashes and properties. sha256 comes first, because agents look at the first hash
/// only.
[[nodiscard]] json::Object file_base_to_json(const FileBase& file, std::string_view name_key);

}  // namespace godwit::manifest
