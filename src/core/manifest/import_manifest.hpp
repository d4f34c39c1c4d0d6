// The import manifest (4.0 and 5.0): what an operator uploads to describe an update. Parsing checks every rule and
// limit of the format; docs/reference/formats/import-manifest.md lists them. Values; safe from any thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/base/clock.hpp"
#include "core/base/error.hpp"
#include "core/base/json.hpp"
#include "core/model/compatibility.hpp"
#include "core/model/update_id.hpp"

namespace godwit::manifest {

inline constexpr ByteCount kImportManifestLimit = 256 * 1024;
inline constexpr ByteCount kFileSizeLimit = 2'147'483'648;  // also the limit of their sum

struct FileBase {
  std::string file_name;                      // 1..255, a plain file name
  ByteCount size = 0;                         // 1..kFileSizeLimit
  std::map<std::string, std::string> hashes;  // algorithm -> standard base64; always has "sha256"
  json::Object properties{};
  [[nodiscard]] Bytes sha256() const;  // 32 raw bytes
  friend bool operator==(const FileBase&, const FileBase&) = default;
};
struct File : FileBase {
  std::vector<FileBase> related_files{};  // 0..4
  std::string download_handler{};         // "" or "microsoft/delta:1"
  friend bool operator==(const File&, const File&) = default;
};

struct InlineStep {
  std::string description;
  std::string handler;             // "microsoft/script:1"
  std::vector<std::string> files;  // names in ImportManifest::files
  json::Object handler_properties;
  friend bool operator==(const InlineStep&, const InlineStep&) = default;
};
struct ReferenceStep {
  std::string description;
  UpdateId update;
  friend bool operator==(const ReferenceStep&, const ReferenceStep&) = default;
};
using Step = std::variant<InlineStep, ReferenceStep>;

struct ImportManifest {
  std::string version;  // "4.0" or "5.0"
  UpdateId update_id;
  std::string description;
  bool is_deployable = true;
  std::vector<CompatibilitySet> compatibility;
  std::vector<Step> steps;
  std::vector<File> files;
  std::string created;  // ISO 8601 as written
  friend bool operator==(const ImportManifest&, const ImportManifest&) = default;
};

/// Errors: bad_manifest ("instructions.steps[1].files[0]: 'x.bin' is not in files"), unsupported (manifestVersion),
/// too_large, bad_json.
[[nodiscard]] Result<ImportManifest> parse_import_manifest(std::string_view text);
/// Readable (indented) JSON that parse_import_manifest() reads back to an equal value; used by `godwit update init`.
[[nodiscard]] std::string print_import_manifest(const ImportManifest& manifest);

}  // namespace godwit::manifest
