#include "core/manifest/import_manifest.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <array>

#include "core/manifest/file_entry.hpp"

namespace godwit::manifest {
namespace {

constexpr std::size_t kStepsLimit = 10;
constexpr std::size_t kFilesLimit = 10;
constexpr std::size_t kRelatedLimit = 4;
constexpr std::size_t kDescriptionLimit = 512;
constexpr std::size_t kStepDescriptionLimit = 64;

using Known = std::initializer_list<std::string_view>;

Result<void> refuse_unknown(const json::Object& object, Known known, std::string_view where) {
  for (const auto& member : object)
    if (std::find(known.begin(), known.end(), std::string_view(member.key())) == known.end())
      return bad(fmt::format("{}unknown member '{}'", where, std::string_view(member.key()).substr(0, 64)));
  return {};
}

Result<std::string> optional_text(const json::Object& object, std::string_view key, std::string_view where,
                                  std::size_t max) {
  if (json::find(object, key) == nullptr) return std::string{};
  return read_text(object, key, where, 1, max);
}

Result<std::string> read_version(const json::Object& object) {
  GODWIT_TRY(std::string version, json::text(object, "manifestVersion", ""));
  if (version != "4.0" && version != "5.0")
    return fail(Code::unsupported,
                fmt::format("manifestVersion '{}' is not supported, use 5.0 (or 4.0)", version.substr(0, 32)));
  return version;
}

Result<bool> read_is_deployable(const json::Object& object) {
  const json::Value* value = json::find(object, "isDeployable");
  if (value == nullptr) return true;
  if (!value->is_bool()) return bad("isDeployable must be true or false");
  return value->get_bool();
}

// ---- files -------------------------------------------------------------------------------------------------------

Result<FileBase> read_related_file(const json::Value& value, const std::string& where, FileNames& names) {
  const auto* object = value.if_object();
  if (object == nullptr) return bad(fmt::format("{} is not an object", where));
  GODWIT_TRY(FileBase file, read_file_base(*object, "filename", where));
  GODWIT_TRY_VOID(names.add(file.file_name, where));
  GODWIT_TRY(file.properties, read_related_properties(*object, where));
  return file;
}

/// The members of a file that came with version 5.
Result<void> read_version_5_members(const json::Object& object, const std::string& where, FileNames& names,
                                    File& file) {
  if (const json::Value* properties = json::find(object, "properties");
      properties != nullptr && !properties->is_null()) {
    GODWIT_TRY(const json::Object* given, json::object(object, "properties", where));
    file.properties = *given;
  }
  GODWIT_TRY(file.download_handler, read_download_handler(object, where));
  const json::Value* related = json::find(object, "relatedFiles");
  if (related == nullptr || related->is_null()) return {};
  GODWIT_TRY(const json::Array* array, read_array(object, "relatedFiles", where, 0, kRelatedLimit));
  if (!array->empty() && file.download_handler.empty())
    return bad(fmt::format("{} has relatedFiles but no downloadHandler to use them", where));
  for (std::size_t i = 0; i < array->size(); ++i) {
    GODWIT_TRY(FileBase read, read_related_file((*array)[i], fmt::format("{}.relatedFiles[{}]", where, i), names));
    file.related_files.push_back(std::move(read));
  }
  return {};
}

Result<File> read_file(const json::Value& value, const std::string& where, bool is_version_5, FileNames& names) {
  const auto* object = value.if_object();
  if (object == nullptr) return bad(fmt::format("{} is not an object", where));
  File file;
  GODWIT_TRY(static_cast<FileBase&>(file), read_file_base(*object, "filename", where));
  GODWIT_TRY_VOID(names.add(file.file_name, where));
  if (is_version_5) {
    GODWIT_TRY_VOID(read_version_5_members(*object, where, names, file));
    return file;
  }
  for (const std::string_view key : {"properties", "relatedFiles", "downloadHandler"})
    if (json::find(*object, key) != nullptr) return bad(fmt::format("{}.{} needs manifestVersion 5.0", where, key));
  return file;
}

Result<std::vector<File>> read_files(const json::Object& object, bool is_version_5) {
  const json::Value* value = json::find(object, "files");
  if (value == nullptr || value->is_null()) return std::vector<File>{};
  GODWIT_TRY(const json::Array* array, read_array(object, "files", "", 0, kFilesLimit));
  std::vector<File> files;
  FileNames names;
  ByteCount sum = 0;
  for (std::size_t i = 0; i < array->size(); ++i) {
    GODWIT_TRY(File file, read_file((*array)[i], fmt::format("files[{}]", i), is_version_5, names));
    sum += file.size;
    for (const FileBase& related : file.related_files) sum += related.size;
    files.push_back(std::move(file));
  }
  if (sum > kFileSizeLimit)
    return bad(fmt::format("files: the sizes add up to {} bytes, allowed are {}", sum, kFileSizeLimit));
  return files;
}

// ---- steps -------------------------------------------------------------------------------------------------------

Result<InlineStep> read_inline_step(const json::Object& object, const std::string& where,
                                    const std::vector<File>& files) {
  GODWIT_TRY_VOID(
      refuse_unknown(object, {"type", "description", "handler", "files", "handlerProperties"}, where + ": "));
  InlineStep step;
  GODWIT_TRY(step.description, optional_text(object, "description", where, kStepDescriptionLimit));
  GODWIT_TRY(step.handler, json::text(object, "handler", where));
  GODWIT_TRY_VOID(check_handler(step.handler, where + ".handler"));
  GODWIT_TRY(const json::Array* names, read_array(object, "files", where, 1, kFilesLimit));
  for (std::size_t i = 0; i < names->size(); ++i) {
    const auto* name = (*names)[i].if_string();
    if (name == nullptr) return bad(fmt::format("{}.files[{}] is not a string", where, i));
    const bool is_there = std::any_of(files.begin(), files.end(),
                                      [&](const File& file) { return file.file_name == std::string_view(*name); });
    if (!is_there)
      return bad(fmt::format("{}.files[{}]: '{}' is not in files", where, i, std::string_view(*name).substr(0, 255)));
    step.files.emplace_back(std::string_view(*name));
  }
  if (json::find(object, "handlerProperties") != nullptr) {
    GODWIT_TRY(const json::Object* properties, json::object(object, "handlerProperties", where));
    step.handler_properties = *properties;
  }
  return step;
}

Result<ReferenceStep> read_reference_step(const json::Object& object, const std::string& where, const UpdateId& self) {
  GODWIT_TRY_VOID(refuse_unknown(object, {"type", "description", "updateId"}, where + ": "));
  ReferenceStep step;
  GODWIT_TRY(step.description, optional_text(object, "description", where, kStepDescriptionLimit));
  GODWIT_TRY(const json::Object* id, json::object(object, "updateId", where));
  auto update = UpdateId::from_json(*id, true);
  if (!update) return with_context(where, update.error());
  step.update = *std::move(update);
  if (step.update == self) return bad(fmt::format("{}.updateId is the update itself", where));
  return step;
}

Result<Step> read_step(const json::Value& value, const std::string& where, const ImportManifest& manifest) {
  const auto* object = value.if_object();
  if (object == nullptr) return bad(fmt::format("{} is not an object", where));
  std::string type = "inline";
  if (json::find(*object, "type") != nullptr) {
    GODWIT_TRY(type, json::text(*object, "type", where));
  }
  if (type == "inline") {
    GODWIT_TRY(InlineStep step, read_inline_step(*object, where, manifest.files));
    return Step{std::move(step)};
  }
  if (type != "reference")
    return bad(fmt::format("{}.type is '{}', known are inline and reference", where, type.substr(0, 32)));
  GODWIT_TRY(ReferenceStep step, read_reference_step(*object, where, manifest.update_id));
  return Step{std::move(step)};
}

Result<std::vector<Step>> read_steps(const json::Object& object, const ImportManifest& manifest) {
  GODWIT_TRY(const json::Object* instructions, json::object(object, "instructions", ""));
  GODWIT_TRY_VOID(refuse_unknown(*instructions, {"steps"}, "instructions: "));
  GODWIT_TRY(const json::Array* array, read_array(*instructions, "steps", "instructions", 1, kStepsLimit));
  std::vector<Step> steps;
  for (std::size_t i = 0; i < array->size(); ++i) {
    GODWIT_TRY(Step step, read_step((*array)[i], fmt::format("instructions.steps[{}]", i), manifest));
    steps.push_back(std::move(step));
  }
  return steps;
}

Result<std::string> read_created(const json::Object& object) {
  GODWIT_TRY(std::string created, read_text(object, "createdDateTime", "", 1, 64));
  if (!parse_time(created)) return bad("createdDateTime is not an ISO 8601 time, e.g. 2026-11-22T10:15:00Z");
  return created;
}

Result<ImportManifest> read_manifest(const json::Object& object) {
  ImportManifest manifest;
  GODWIT_TRY(manifest.version, read_version(object));  // first: what an older version holds is not an unknown member
  const bool is_version_5 = manifest.version == "5.0";
  const Known common = {"$schema",      "updateId", "description",     "compatibility",
                        "instructions", "files",    "manifestVersion", "createdDateTime"};
  const Known with_5 = {"$schema", "updateId",        "description",     "compatibility", "instructions",
                        "files",   "manifestVersion", "createdDateTime", "isDeployable"};
  GODWIT_TRY_VOID(refuse_unknown(object, is_version_5 ? with_5 : common, ""));
  if (json::find(object, "$schema") != nullptr) {
    GODWIT_TRY_VOID(json::text(object, "$schema", ""));
  }
  GODWIT_TRY(const json::Object* id, json::object(object, "updateId", ""));
  GODWIT_TRY(manifest.update_id, UpdateId::from_json(*id, true));
  GODWIT_TRY(manifest.description, optional_text(object, "description", "", kDescriptionLimit));
  GODWIT_TRY(manifest.is_deployable, read_is_deployable(object));
  GODWIT_TRY(manifest.compatibility, read_compatibility(object));
  GODWIT_TRY(manifest.files, read_files(object, is_version_5));
  GODWIT_TRY(manifest.steps, read_steps(object, manifest));
  GODWIT_TRY(manifest.created, read_created(object));
  return manifest;
}

}  // namespace

Result<ImportManifest> parse_import_manifest(std::string_view text) {
  GODWIT_TRY(const json::Object object,
             json::parse_object(text, json::Limits{.bytes = kImportManifestLimit, .depth = 16}));
  auto manifest = read_manifest(object);
  if (!manifest) return as_bad_manifest(std::move(manifest).error());
  return manifest;
}

}  // namespace godwit::manifest
