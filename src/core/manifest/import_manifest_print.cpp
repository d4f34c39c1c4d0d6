#include <fmt/format.h>

#include "core/manifest/file_entry.hpp"
#include "core/manifest/import_manifest.hpp"

namespace godwit::manifest {
namespace {

constexpr std::string_view kNameKey = "filename";

json::Object file_to_json(const File& file) {
  json::Object object = file_base_to_json(file, kNameKey);
  if (!file.related_files.empty()) {
    json::Array related;
    for (const FileBase& entry : file.related_files) related.emplace_back(file_base_to_json(entry, kNameKey));
    object["relatedFiles"] = std::move(related);
  }
  if (!file.download_handler.empty()) object["downloadHandler"] = json::Object{{"id", file.download_handler}};
  return object;
}

json::Object step_to_json(const InlineStep& step) {
  json::Object object;
  object["type"] = "inline";
  if (!step.description.empty()) object["description"] = step.description;
  object["handler"] = step.handler;
  json::Array files;
  for (const std::string& name : step.files) files.emplace_back(name);
  object["files"] = std::move(files);
  if (!step.handler_properties.empty()) object["handlerProperties"] = step.handler_properties;
  return object;
}

json::Object step_to_json(const ReferenceStep& step) {
  json::Object object;
  object["type"] = "reference";
  if (!step.description.empty()) object["description"] = step.description;
  object["updateId"] = step.update.to_json();
  return object;
}

json::Object manifest_to_json(const ImportManifest& manifest) {
  json::Object object;
  object["updateId"] = manifest.update_id.to_json();
  if (!manifest.description.empty()) object["description"] = manifest.description;
  if (manifest.version != "4.0") object["isDeployable"] = manifest.is_deployable;
  json::Array sets;
  for (const CompatibilitySet& set : manifest.compatibility) sets.emplace_back(to_json(set));
  object["compatibility"] = std::move(sets);
  json::Array steps;
  for (const Step& step : manifest.steps)
    steps.emplace_back(std::visit([](const auto& s) { return step_to_json(s); }, step));
  json::Object instructions;
  instructions["steps"] = std::move(steps);
  object["instructions"] = std::move(instructions);
  if (!manifest.files.empty()) {
    json::Array files;
    for (const File& file : manifest.files) files.emplace_back(file_to_json(file));
    object["files"] = std::move(files);
  }
  object["manifestVersion"] = manifest.version;
  object["createdDateTime"] = manifest.created;
  return object;
}

void print_indented(const json::Value& value, std::size_t depth, std::string& out) {
  const std::string inner(2 * (depth + 1), ' ');
  const std::string outer(2 * depth, ' ');
  if (const auto* object = value.if_object(); object != nullptr && !object->empty()) {
    std::string_view separator = "{\n";
    for (const auto& member : *object) {
      out += fmt::format("{}{}{}: ", separator, inner, json::print(json::Value(member.key())));
      print_indented(member.value(), depth + 1, out);
      separator = ",\n";
    }
    out += "\n" + outer + "}";
  } else if (const auto* array = value.if_array(); array != nullptr && !array->empty()) {
    std::string_view separator = "[\n";
    for (const json::Value& item : *array) {
      out += fmt::format("{}{}", separator, inner);
      print_indented(item, depth + 1, out);
      separator = ",\n";
    }
    out += "\n" + outer + "]";
  } else {
    out += json::print(value);
  }
}

}  // namespace

std::string print_import_manifest(const ImportManifest& manifest) {
  std::string out;
  print_indented(manifest_to_json(manifest), 0, out);
  out += "\n";
  return out;
}

}  // namespace godwit::manifest
