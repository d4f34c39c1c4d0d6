// Makes an import manifest from what `update init` was told: sizes and hashes are computed, the result is checked by
// the same parser that the service uses. Reads files; one thread.
#pragma once

#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "core/manifest/import_manifest.hpp"

namespace godwit::cli {

struct FileWish {
  std::string path{};
  std::string download_handler{};
  std::vector<std::pair<std::string, json::Object>> related{};  // path, properties
};
struct StepWish {
  std::string handler{};                                           // inline step
  std::string update_provider{}, update_name{}, update_version{};  // or reference step
  std::string description{};
  json::Object properties{};
  std::vector<FileWish> files{};
};
struct ManifestWish {
  std::string provider{}, name{}, version{}, description{};
  bool is_deployable = true;
  std::vector<CompatibilitySet> compatibility{};
  std::vector<StepWish> steps{};
};

/// A file that two steps name is listed once. Errors: not_found for a payload, bad_manifest as the service would say
/// it.
[[nodiscard]] Result<manifest::ImportManifest> build_manifest(const ManifestWish& wish, const std::string& created);

/// "handler=microsoft/script:1" "properties={...}" -> pairs. Errors: invalid_argument for a word without '=' or a key
/// not in `allowed` (empty: any key is).
[[nodiscard]] Result<std::vector<std::pair<std::string, std::string>>> read_pairs(
    const std::vector<std::string>& words, const std::vector<std::string>& allowed, std::string_view flag);

}  // namespace godwit::cli
