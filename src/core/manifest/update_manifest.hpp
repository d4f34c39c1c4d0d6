// The update manifest (versions 4 and 5): what a device receives, as exact signed bytes. Made once from an import
// manifest by the service, checked again by agent and installer. Values; safe from any thread.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/manifest/import_manifest.hpp"

namespace godwit::manifest {

inline constexpr ByteCount kUpdateManifestLimit = 1024 * 1024;

struct PayloadFile : FileBase {
  std::map<std::string, FileBase> related_files{};  // file id -> file
  std::string download_handler{};
  friend bool operator==(const PayloadFile&, const PayloadFile&) = default;
};

struct UpdateStep {
  std::string handler;             // "" for a reference step
  std::vector<std::string> files;  // file ids
  json::Object handler_properties{};
  std::string detached_manifest_file_id{};  // reference step: id of the child's manifest file
  friend bool operator==(const UpdateStep&, const UpdateStep&) = default;
};

struct UpdateManifest {
  int version = 5;  // 4 or 5
  UpdateId update_id;
  std::vector<CompatibilitySet> compatibility;
  std::vector<UpdateStep> steps;
  std::map<std::string, PayloadFile> files;  // file id -> file, 1..20
  std::string created;
  std::string detached_manifest_file_id{};  // mini manifest: id of the file that holds the whole one
  friend bool operator==(const UpdateManifest&, const UpdateManifest&) = default;
};

/// "f" + 16 hex digits: deterministic for (update id, file name) so that a repeated import gives the same manifest.
[[nodiscard]] std::string make_file_id(const UpdateId& update, std::string_view file_name);

/// `detached`: for each reference step in order, the child's manifest file (name, size, hash).
[[nodiscard]] Result<UpdateManifest> build_update_manifest(const ImportManifest& import,
                                                           const std::vector<FileBase>& detached);
/// Compact JSON, members in the order of the original service. These are the bytes that are signed. With version 4
/// related files and download handlers are left out: devices of contract model 1 do not know them.
[[nodiscard]] std::string print_update_manifest(const UpdateManifest& manifest);
/// Errors: bad_manifest, unsupported (manifestVersion), too_large, bad_json. File names must be plain; every step's
/// files must exist.
[[nodiscard]] Result<UpdateManifest> parse_update_manifest(std::string_view text);

// A manifest in a file of its own: of a child update, or a whole one that is too large for the twin (named by a mini
// manifest). The file is {"updateManifest":"<text>"}; it is believed for its hash alone.
inline constexpr ByteCount kDetachedManifestLimit = 2 * kUpdateManifestLimit;  // the same text, escaped

[[nodiscard]] std::string detached_manifest_file_name(
    const UpdateId& update);  // "contoso.toaster.1.2.0.updatemanifest.json"
[[nodiscard]] std::string print_detached_manifest(std::string_view manifest_text);
/// Gives the text inside, for parse_update_manifest(). Errors: bad_manifest, too_large, bad_json.
[[nodiscard]] Result<std::string> parse_detached_manifest(std::string_view file_text);
/// The mini manifest that stands in the twin for the one in `file`.
[[nodiscard]] UpdateManifest make_mini_manifest(const UpdateManifest& whole, const FileBase& file);

}  // namespace godwit::manifest
