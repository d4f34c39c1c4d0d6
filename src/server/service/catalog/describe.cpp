#include "server/service/catalog/describe.hpp"

#include <fmt/format.h>

#include "core/manifest/update_manifest.hpp"
#include "server/service/catalog/catalog.hpp"

namespace godwit::service {
namespace {

json::Object describe_step(const manifest::InlineStep& step) {
  json::Object object{{"type", "inline"}};
  if (!step.description.empty()) object["description"] = step.description;
  object["handler"] = step.handler;
  object["handlerProperties"] = step.handler_properties;
  json::Array files;
  for (const std::string& name : step.files) files.emplace_back(name);
  object["files"] = std::move(files);
  return object;
}

json::Object describe_step(const manifest::ReferenceStep& step) {
  json::Object object{{"type", "reference"}};
  if (!step.description.empty()) object["description"] = step.description;
  object["updateId"] = step.update.to_json();
  return object;
}

/// Clients read a map of texts; whatever else a manifest holds is shown as its JSON text.
json::Object describe_properties(const json::Object& properties) {
  json::Object object;
  for (const auto& member : properties)
    object[member.key()] = member.value().is_string() ? member.value() : json::Value(json::print(member.value()));
  return object;
}

json::Object describe_file_base(const store::UpdateRecord& update, const manifest::FileBase& file) {
  json::Object object{{"fileName", file.file_name}, {"sizeInBytes", file.size}};
  json::Object hashes;
  for (const auto& [algorithm, value] : file.hashes) hashes[algorithm] = value;
  object["hashes"] = std::move(hashes);
  const auto scan = update.file_scans.find(file.sha256());
  const bool is_known = scan != update.file_scans.end();
  const std::string& details = is_known ? scan->second.details : update.scan_details;
  object["scanResult"] = is_known ? scan->second.result : update.scan_result;
  if (!details.empty()) object["scanDetails"] = details;
  if (!file.properties.empty()) object["properties"] = describe_properties(file.properties);
  return object;
}

std::string quoted(const std::string& etag) { return "\"" + etag + "\""; }

}  // namespace

json::Object update_info(const store::UpdateSummary& summary) {
  json::Object object{{"updateId", summary.id.to_json()}};
  if (!summary.description.empty()) object["description"] = summary.description;
  if (!summary.friendly_name.empty()) object["friendlyName"] = summary.friendly_name;
  return object;
}

Result<json::Object> describe_update(const store::UpdateRecord& update, const std::vector<UpdateId>& referenced_by) {
  GODWIT_TRY(const auto manifest, manifest::parse_import_manifest(update.import_manifest));
  json::Object object = update_info(update.summary);
  object["isDeployable"] = update.summary.is_deployable;
  json::Array sets;
  for (const CompatibilitySet& set : update.summary.compatibility) sets.emplace_back(to_json(set));
  object["compatibility"] = std::move(sets);
  json::Array steps;
  for (const manifest::Step& step : manifest.steps)
    steps.emplace_back(std::visit([](const auto& one) { return describe_step(one); }, step));
  object["instructions"] = json::Object{{"steps", std::move(steps)}};
  if (!referenced_by.empty()) {
    json::Array parents;
    for (const UpdateId& parent : referenced_by) parents.emplace_back(parent.to_json());
    object["referencedBy"] = std::move(parents);
  }
  object["scanResult"] = update.scan_result;
  object["manifestVersion"] = manifest.version;
  object["importedDateTime"] = format_time_7(update.imported);
  object["createdDateTime"] = manifest.created;
  object["etag"] = quoted(update.etag);
  return object;
}

json::Object describe_file(const store::UpdateRecord& update, const manifest::File& file) {
  json::Object object{{"fileId", manifest::make_file_id(update.summary.id, file.file_name)}};
  for (const auto& member : describe_file_base(update, file)) object[member.key()] = member.value();
  if (!file.related_files.empty()) {
    json::Array related;
    for (const manifest::FileBase& one : file.related_files) related.emplace_back(describe_file_base(update, one));
    object["relatedFiles"] = std::move(related);
  }
  if (!file.download_handler.empty()) object["downloadHandler"] = json::Object{{"id", file.download_handler}};
  object["etag"] = quoted(update.etag);
  return object;
}

std::string update_location(const UpdateId& id, const std::string& instance_id) {
  return fmt::format("/deviceUpdate/{}/updates/providers/{}/names/{}/versions/{}?api-version=2022-10-01",
                     percent_encode(instance_id), percent_encode(id.provider), percent_encode(id.name),
                     percent_encode(id.version.str()));
}

json::Object describe_operation(const store::OperationRecord& operation, const std::string& instance_id) {
  json::Object object{{"operationId", operation.id}, {"status", store::operation_status_name(operation.status)}};
  if (operation.update) {
    object["update"] = update_info({.id = *operation.update,
                                    .description = operation.update_description,
                                    .friendly_name = operation.update_friendly_name});
    // A deletion has no location: clients follow it, and the update is gone.
    if (operation.kind == store::OperationKind::import_update && operation.status == store::OperationStatus::succeeded)
      object["resourceLocation"] = update_location(*operation.update, instance_id);
  }
  if (!operation.error.empty())
    if (auto error = json::parse_object(operation.error)) object["error"] = *std::move(error);
  if (!operation.trace_id.empty()) object["traceId"] = operation.trace_id;
  object["lastActionDateTime"] = format_time_7(operation.last_action);
  object["createdDateTime"] = format_time_7(operation.created);
  object["etag"] = quoted(operation.etag);
  return object;
}

}  // namespace godwit::service
