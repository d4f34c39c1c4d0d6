#include "core/manifest/update_manifest.hpp"

#include <fmt/format.h>

#include "core/base/text.hpp"
#include "core/manifest/file_entry.hpp"
#include "core/model/ids.hpp"

namespace godwit::manifest {
namespace {

constexpr std::string_view kNameKey = "fileName";
constexpr std::size_t kFilesLimit = 20;
constexpr std::size_t kRelatedLimit = 4;
constexpr std::size_t kStepsLimit = 10;
constexpr std::size_t kStepFilesLimit = 10;

// ---- building ----------------------------------------------------------------------------------------------------

PayloadFile to_payload(const File& file, const UpdateId& update) {
  PayloadFile payload;
  static_cast<FileBase&>(payload) = file;
  for (const FileBase& related : file.related_files)
    payload.related_files.emplace(make_file_id(update, related.file_name), related);
  payload.download_handler = file.download_handler;
  return payload;
}

Result<std::string> add_file(UpdateManifest& manifest, PayloadFile file) {
  std::string id = make_file_id(manifest.update_id, file.file_name);
  const auto [place, was_new] = manifest.files.emplace(id, file);
  // Two steps may refer to the same child; anything else under one id would lose a file.
  if (!was_new && place->second != file)
    return bad(fmt::format("the file name '{}' is used for two different files", file.file_name));
  return id;
}

/// Payload, related and child manifest files of one update lie in one folder on the device.
Result<void> check_names(const UpdateManifest& manifest) {
  FileNames names;
  for (const auto& [id, file] : manifest.files) {
    GODWIT_TRY_VOID(names.add(file.file_name, "files"));
    for (const auto& [related_id, related] : file.related_files) {
      GODWIT_TRY_VOID(names.add(related.file_name, "files"));
    }
  }
  return {};
}

UpdateStep to_step(const InlineStep& step, const UpdateId& update) {
  UpdateStep made;
  made.handler = step.handler;
  for (const std::string& name : step.files) made.files.push_back(make_file_id(update, name));
  made.handler_properties = step.handler_properties;
  return made;
}

// ---- printing ----------------------------------------------------------------------------------------------------

json::Object file_to_json(const PayloadFile& file, int version) {
  json::Object object = file_base_to_json(file, kNameKey);
  if (version < 5 || file.download_handler.empty()) return object;
  if (!file.related_files.empty()) {
    json::Object related;
    for (const auto& [id, entry] : file.related_files) related[id] = file_base_to_json(entry, kNameKey);
    object["relatedFiles"] = std::move(related);
  }
  object["downloadHandler"] = json::Object{{"id", file.download_handler}};
  return object;
}

json::Object step_to_json(const UpdateStep& step) {
  json::Object object;
  if (!step.detached_manifest_file_id.empty()) {
    object["type"] = "reference";
    object["detachedManifestFileId"] = step.detached_manifest_file_id;
    return object;
  }
  object["handler"] = step.handler;  // no "type": inline is the default, and small clients do not know the member
  json::Array files;
  for (const std::string& id : step.files) files.emplace_back(id);
  object["files"] = std::move(files);
  object["handlerProperties"] = step.handler_properties;
  return object;
}

// ---- parsing -----------------------------------------------------------------------------------------------------

Result<int> read_version(const json::Object& object) {
  GODWIT_TRY(const std::string version, json::text(object, "manifestVersion", ""));
  if (version == "4" || version == "4.0") return 4;
  if (version == "5" || version == "5.0") return 5;
  return fail(Code::unsupported,
              fmt::format("manifestVersion '{}' is not supported, known are 4 and 5", version.substr(0, 32)));
}

Result<void> check_id(std::string_view id, std::string_view where) {
  if (const std::string reason = check_file_id(id); !reason.empty())
    return bad(fmt::format("{}: the file id '{}' {}", where, id.substr(0, 64), reason));
  return {};
}

Result<FileBase> read_entry(const json::Value& value, const std::string& where, FileNames& names) {
  const auto* object = value.if_object();
  if (object == nullptr) return bad(fmt::format("{} is not an object", where));
  GODWIT_TRY(FileBase file, read_file_base(*object, kNameKey, where));
  GODWIT_TRY_VOID(names.add(file.file_name, where));
  return file;
}

Result<std::map<std::string, FileBase>> read_related(const json::Object& object, const std::string& where,
                                                     FileNames& names) {
  std::map<std::string, FileBase> files;
  const json::Value* value = json::find(object, "relatedFiles");
  if (value == nullptr || value->is_null()) return files;
  GODWIT_TRY(const json::Object* related, json::object(object, "relatedFiles", where));
  if (related->size() > kRelatedLimit)
    return bad(fmt::format("{}.relatedFiles has {} entries, allowed are {}", where, related->size(), kRelatedLimit));
  for (const auto& member : *related) {
    GODWIT_TRY_VOID(check_id(member.key(), where));
    const std::string place = fmt::format("{}.relatedFiles.{}", where, std::string_view(member.key()));
    GODWIT_TRY(FileBase file, read_entry(member.value(), place, names));
    GODWIT_TRY(file.properties, read_related_properties(member.value().get_object(), place));
    files.emplace(member.key(), std::move(file));
  }
  return files;
}

Result<PayloadFile> read_file(const json::Value& value, const std::string& where, FileNames& names) {
  PayloadFile file;
  GODWIT_TRY(static_cast<FileBase&>(file), read_entry(value, where, names));
  const json::Object& object = value.get_object();
  if (const json::Object* properties = json::object_or_null(object, "properties")) file.properties = *properties;
  GODWIT_TRY(file.download_handler, read_download_handler(object, where));
  if (file.download_handler.empty()) return file;  // without a handler nobody looks at related files
  GODWIT_TRY(file.related_files, read_related(object, where, names));
  return file;
}

Result<std::map<std::string, PayloadFile>> read_files(const json::Object& object) {
  GODWIT_TRY(const json::Object* entries, json::object(object, "files", ""));
  if (entries->empty() || entries->size() > kFilesLimit)
    return bad(fmt::format("files has {} entries, allowed are 1 to {}", entries->size(), kFilesLimit));
  std::map<std::string, PayloadFile> files;
  FileNames names;
  for (const auto& member : *entries) {
    GODWIT_TRY_VOID(check_id(member.key(), "files"));
    GODWIT_TRY(PayloadFile file,
               read_file(member.value(), fmt::format("files.{}", std::string_view(member.key())), names));
    files.emplace(member.key(), std::move(file));
  }
  return files;
}

Result<std::string> read_file_reference(const json::Object& object, std::string_view key, std::string_view where,
                                        const UpdateManifest& manifest) {
  GODWIT_TRY(std::string id, json::text(object, key, where));
  if (!manifest.files.contains(id))
    return bad(fmt::format("{}{}{}: '{}' is not in files", where, where.empty() ? "" : ".", key, id.substr(0, 64)));
  return id;
}

Result<UpdateStep> read_inline_step(const json::Object& object, const std::string& where,
                                    const UpdateManifest& manifest) {
  UpdateStep step;
  GODWIT_TRY(step.handler, json::text(object, "handler", where));
  GODWIT_TRY_VOID(check_handler(step.handler, where + ".handler"));
  if (json::find(object, "files") != nullptr) {
    GODWIT_TRY(const json::Array* ids, read_array(object, "files", where, 0, kStepFilesLimit));
    for (std::size_t i = 0; i < ids->size(); ++i) {
      const auto* id = (*ids)[i].if_string();
      if (id == nullptr || !manifest.files.contains(std::string(std::string_view(*id))))
        return bad(fmt::format("{}.files[{}] is not the id of a file in files", where, i));
      step.files.emplace_back(std::string_view(*id));
    }
  }
  if (const json::Value* value = json::find(object, "handlerProperties"); value != nullptr && !value->is_null()) {
    GODWIT_TRY(const json::Object* properties, json::object(object, "handlerProperties", where));
    step.handler_properties = *properties;
  }
  return step;
}

Result<UpdateStep> read_step(const json::Value& value, const std::string& where, const UpdateManifest& manifest) {
  const auto* object = value.if_object();
  if (object == nullptr) return bad(fmt::format("{} is not an object", where));
  std::string type = "inline";
  if (json::find(*object, "type") != nullptr) {
    GODWIT_TRY(type, json::text(*object, "type", where));
  }
  if (type == "inline") return read_inline_step(*object, where, manifest);
  if (type != "reference")
    return bad(fmt::format("{}.type is '{}', known are inline and reference", where, type.substr(0, 32)));
  UpdateStep step;
  GODWIT_TRY(step.detached_manifest_file_id, read_file_reference(*object, "detachedManifestFileId", where, manifest));
  return step;
}

Result<std::vector<UpdateStep>> read_steps(const json::Object& object, const UpdateManifest& manifest) {
  GODWIT_TRY(const json::Object* instructions, json::object(object, "instructions", ""));
  GODWIT_TRY(const json::Array* array, read_array(*instructions, "steps", "instructions", 1, kStepsLimit));
  std::vector<UpdateStep> steps;
  for (std::size_t i = 0; i < array->size(); ++i) {
    GODWIT_TRY(UpdateStep step, read_step((*array)[i], fmt::format("instructions.steps[{}]", i), manifest));
    steps.push_back(std::move(step));
  }
  return steps;
}

Result<UpdateManifest> read_manifest(const json::Object& object) {
  UpdateManifest manifest;
  GODWIT_TRY(manifest.version, read_version(object));
  GODWIT_TRY(const json::Object* id, json::object(object, "updateId", ""));
  GODWIT_TRY(manifest.update_id, UpdateId::from_json(*id, false));
  GODWIT_TRY(manifest.files, read_files(object));
  manifest.created = json::text_or_nothing(object, "createdDateTime").value_or("");
  if (json::find(object, "detachedManifestFileId") != nullptr) {
    if (json::find(object, "instructions") != nullptr)
      return bad("detachedManifestFileId and instructions stand in one manifest");
    GODWIT_TRY(manifest.detached_manifest_file_id, read_file_reference(object, "detachedManifestFileId", "", manifest));
    return manifest;
  }
  GODWIT_TRY(manifest.compatibility, read_compatibility(object));
  GODWIT_TRY(manifest.steps, read_steps(object, manifest));
  return manifest;
}

}  // namespace

std::string make_file_id(const UpdateId& update, std::string_view file_name) {
  Bytes text = update.str();
  text += '\0';  // in no id and in no file name
  text += file_name;
  return "f" + hex_encode(sha256(text).substr(0, 8));
}

Result<UpdateManifest> build_update_manifest(const ImportManifest& import, const std::vector<FileBase>& detached) {
  UpdateManifest manifest;
  manifest.update_id = import.update_id;
  manifest.compatibility = import.compatibility;
  manifest.created = import.created;
  for (const File& file : import.files) {
    GODWIT_TRY_VOID(add_file(manifest, to_payload(file, import.update_id)));
  }
  std::size_t used = 0;
  for (const Step& step : import.steps) {
    if (const auto* inline_step = std::get_if<InlineStep>(&step)) {
      manifest.steps.push_back(to_step(*inline_step, import.update_id));
      continue;
    }
    if (used == detached.size()) return bad("there are more reference steps than detached manifests");
    PayloadFile file;
    static_cast<FileBase&>(file) = detached[used++];
    UpdateStep made;
    GODWIT_TRY(made.detached_manifest_file_id, add_file(manifest, std::move(file)));
    manifest.steps.push_back(std::move(made));
  }
  if (used != detached.size()) return bad("there are fewer reference steps than detached manifests");
  if (manifest.files.empty() || manifest.files.size() > kFilesLimit)
    return bad(fmt::format("the update has {} files, allowed are 1 to {}", manifest.files.size(), kFilesLimit));
  GODWIT_TRY_VOID(check_names(manifest));
  return manifest;
}

std::string print_update_manifest(const UpdateManifest& manifest) {
  json::Object object;
  object["manifestVersion"] = std::to_string(manifest.version);
  object["updateId"] = manifest.update_id.to_json();
  const bool is_mini = !manifest.detached_manifest_file_id.empty();
  if (is_mini) {
    object["detachedManifestFileId"] = manifest.detached_manifest_file_id;
  } else {
    json::Array sets;
    for (const CompatibilitySet& set : manifest.compatibility) sets.emplace_back(to_json(set));
    object["compatibility"] = std::move(sets);
    json::Array steps;
    for (const UpdateStep& step : manifest.steps) steps.emplace_back(step_to_json(step));
    json::Object instructions;
    instructions["steps"] = std::move(steps);
    object["instructions"] = std::move(instructions);
  }
  json::Object files;
  for (const auto& [id, file] : manifest.files) files[id] = file_to_json(file, manifest.version);
  object["files"] = std::move(files);
  if (!manifest.created.empty()) object["createdDateTime"] = manifest.created;
  return json::print(object);
}

Result<UpdateManifest> parse_update_manifest(std::string_view text) {
  GODWIT_TRY(const json::Object object,
             json::parse_object(text, json::Limits{.bytes = kUpdateManifestLimit, .depth = 24}));
  auto manifest = read_manifest(object);
  if (!manifest) return as_bad_manifest(std::move(manifest).error());
  return manifest;
}

std::string detached_manifest_file_name(const UpdateId& update) {
  return lower_case(fmt::format("{}.{}.{}.updatemanifest.json", update.provider, update.name, update.version.str()));
}

std::string print_detached_manifest(std::string_view manifest_text) {
  json::Object object;
  object["updateManifest"] = manifest_text;
  return json::print(object);
}

Result<std::string> parse_detached_manifest(std::string_view file_text) {
  GODWIT_TRY(const json::Object object,
             json::parse_object(file_text, json::Limits{.bytes = kDetachedManifestLimit, .depth = 24}));
  auto text = json::text(object, "updateManifest", "detached manifest");
  if (!text) return as_bad_manifest(std::move(text).error());
  return text;
}

UpdateManifest make_mini_manifest(const UpdateManifest& whole, const FileBase& file) {
  UpdateManifest mini;
  mini.version = whole.version;
  mini.update_id = whole.update_id;
  mini.detached_manifest_file_id = make_file_id(whole.update_id, file.file_name);
  PayloadFile payload;
  static_cast<FileBase&>(payload) = file;
  mini.files.emplace(mini.detached_manifest_file_id, std::move(payload));
  return mini;
}

}  // namespace godwit::manifest
