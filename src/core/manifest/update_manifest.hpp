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
};

struct UpdateStep {
  std::string handler;                     // "" for a reference step
  std::vector<std::string> files;          // file ids
  json::Object handler_properties{};
  std::string detached_manifest_file_id{}; // reference step: id of the child's manifest file
};

struct UpdateManifest {
  int version = 5;                         // 4 or 5
  UpdateId update_id;
  std::vector<CompatibilitySet> compatibility;
  std::vector<UpdateStep> steps;
  std::map<std::string, PayloadFile> files;      // file id -> file, 1..20
  std::string created;
  std::string detached_manifest_file_id{};       // mini manifest: id of the file that holds the whole one
};

/// "f" + 16 hex digits: deterministic for (update id, file name) so that a repeated import gives the same manifest.
[[nodiscard]] std::string make_file_id(const UpdateId& update, std::string_view file_name);

/// `detached`: for each reference step in order, the child's manifest file (name, size, hash).
[[nodiscard]] Result<UpdateManifest> build_update_manifest(const ImportManifest& import, const std::vector<FileBase>& detached);
/// Compact JSON, members in the order of the original service. These are the bytes that are signed.
[[nodiscard]] std::string print_update_manifest(const UpdateManifest& manifest);
/// Errors: bad_manifest, unsupported (manifestVersion), too_large, bad_json. File names must be plain; every step's files must exist.
[[nodiscard]] Result<UpdateManifest> parse_update_manifest(std::string_view text);

}  // namespace godwit::manifest
