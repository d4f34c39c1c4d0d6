#include "tools/cli/manifest_builder.hpp"

#include <algorithm>
#include <map>

#include "core/base/config.hpp"

namespace godwit::cli {
namespace {

Result<void> measure(const Path& path, manifest::FileBase& file) {
  GODWIT_TRY(const auto digest, sha256_of_file(path));
  file.file_name = path.filename().string();
  file.size = std::filesystem::file_size(path);
  file.hashes["sha256"] = base64_encode(digest);
  return {};
}

Result<manifest::File> make_file(const FileWish& wish) {
  manifest::File file;
  GODWIT_TRY_VOID(measure(wish.path, file));
  file.download_handler = wish.download_handler;
  for (const auto& [path, properties] : wish.related) {
    manifest::FileBase related;
    GODWIT_TRY_VOID(measure(path, related));
    related.properties = properties;
    file.related_files.push_back(std::move(related));
  }
  return file;
}

}  // namespace

Result<manifest::ImportManifest> build_manifest(const ManifestWish& wish, const std::string& created) {
  GODWIT_TRY(auto id, UpdateId::parse(wish.provider, wish.name, wish.version));
  manifest::ImportManifest out{.version = "5.0",
                               .update_id = std::move(id),
                               .description = wish.description,
                               .is_deployable = wish.is_deployable,
                               .compatibility = wish.compatibility,
                               .steps = {},
                               .files = {},
                               .created = created};
  std::map<std::string, std::string> path_of;  // file name -> the path it came from
  for (const auto& step : wish.steps) {
    if (step.handler.empty()) {
      GODWIT_TRY(auto referenced, UpdateId::parse(step.update_provider, step.update_name, step.update_version));
      out.steps.emplace_back(manifest::ReferenceStep{.description = step.description, .update = std::move(referenced)});
      continue;
    }
    manifest::InlineStep made{
        .description = step.description, .handler = step.handler, .files = {}, .handler_properties = step.properties};
    for (const auto& wanted : step.files) {
      const std::string name = Path(wanted.path).filename().string();
      made.files.push_back(name);
      if (const auto known = path_of.find(name); known != path_of.end()) {
        if (known->second != wanted.path)
          return fail(Code::invalid_argument,
                      "two different files are called '" + name + "': " + known->second + " and " + wanted.path);
        continue;
      }
      path_of[name] = wanted.path;
      GODWIT_TRY(auto file, make_file(wanted));
      out.files.push_back(std::move(file));
    }
    out.steps.emplace_back(std::move(made));
  }
  return manifest::parse_import_manifest(manifest::print_import_manifest(out));
}

Result<std::vector<std::pair<std::string, std::string>>> read_pairs(const std::vector<std::string>& words,
                                                                    const std::vector<std::string>& allowed,
                                                                    std::string_view flag) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const auto& word : words) {
    const auto equals = word.find('=');
    if (equals == std::string::npos || equals == 0)
      return fail(Code::invalid_argument, std::string(flag) + ": '" + word + "' is not key=value");
    const std::string key = word.substr(0, equals);
    const bool is_allowed = allowed.empty() || std::find(allowed.begin(), allowed.end(), key) != allowed.end();
    if (!is_allowed) {
      const auto near = config::nearest(key, allowed);
      return fail(Code::invalid_argument, std::string(flag) + ": unknown key '" + key + "'" +
                                              (near.empty() ? "" : "; did you mean '" + near + "'?"));
    }
    pairs.emplace_back(key, word.substr(equals + 1));
  }
  return pairs;
}

}  // namespace godwit::cli
