#include <fmt/format.h>
#include <algorithm>
#include <array>

#include "core/model/text.hpp"
#include "core/twin/component.hpp"
#include "core/twin/dialect.hpp"

namespace godwit::twin {
namespace {

constexpr std::size_t kWorkflowIdLimit = 128;
constexpr std::string_view kComponent = "deviceUpdate";
constexpr std::string_view kService = "deviceUpdate.service";
constexpr std::string_view kWorkflow = "deviceUpdate.service.workflow";

/// `deviceUpdate.service` of a desired section, or an empty object.
const json::Object& present_service(const json::Object& desired) {
  static const json::Object kNone;
  const json::Object* service = property_of(desired, kComponent, "service");
  return service != nullptr ? *service : kNone;
}

const json::Object& member_or_empty(const json::Object& parent, std::string_view key) {
  static const json::Object kNone;
  const json::Object* object = json::object_or_null(parent, key);
  return object != nullptr ? *object : kNone;
}

json::Object workflow_patch(const DesiredUpdate& goal, const json::Object& present) {
  json::Object workflow;
  workflow["action"] = static_cast<std::int32_t>(goal.action);
  workflow["id"] = goal.workflow_id;
  if (!goal.retry_timestamp.empty())
    workflow["retryTimestamp"] = goal.retry_timestamp;
  else if (json::find(present, "retryTimestamp") != nullptr)
    workflow["retryTimestamp"] = nullptr;
  return workflow;
}

json::Object file_urls_patch(const DesiredUpdate& goal, const json::Object& present) {
  json::Object urls;
  for (const auto& [id, url] : goal.file_urls) urls[id] = url;
  for (const auto& member : present)
    if (!goal.file_urls.contains(std::string(member.key()))) urls[member.key()] = nullptr;
  return urls;
}

/// The embedded clients of models 1 and 2 stop at a key that they do not know: whatever is there and not wanted goes.
void remove_foreign_keys(json::Object& patch, const json::Object& present,
                         std::initializer_list<std::string_view> known) {
  for (const auto& member : present)
    if (std::find(known.begin(), known.end(), std::string_view(member.key())) == known.end())
      patch[member.key()] = nullptr;
}

std::string check_workflow_id(std::string_view id) {
  if (id.empty()) return "is empty";
  if (id.size() > kWorkflowIdLimit) return fmt::format("has more than {} characters", kWorkflowIdLimit);
  const bool plain = std::all_of(id.begin(), id.end(),
                                 [](char c) { return is_ascii_alphanumeric(c) || c == '.' || c == '_' || c == '-'; });
  return plain && id != "." && id != ".."
             ? std::string{}
             : "is not a plain name of letters, digits and . _ -";  // it becomes a folder name
}

/// A string member that may be missing or null.
Result<std::string> optional_text(const json::Object& object, std::string_view key, std::string_view where) {
  const json::Value* value = json::find(object, key);
  if (value == nullptr || value->is_null()) return std::string{};
  return json::text(object, key, where);
}

Result<void> read_workflow(const json::Object& workflow, DesiredUpdate& goal) {
  GODWIT_TRY(const std::int64_t action, json::integer(workflow, "action", kWorkflow));
  if (action == static_cast<std::int64_t>(Action::process_deployment))
    goal.action = Action::process_deployment;
  else if (action == static_cast<std::int64_t>(Action::cancel))
    goal.action = Action::cancel;
  else
    return fail(Code::bad_json,
                fmt::format("{}.action is {}, known are 3 (process deployment) and 255 (cancel)", kWorkflow, action));
  GODWIT_TRY(goal.workflow_id, json::text(workflow, "id", kWorkflow));
  if (const std::string reason = check_workflow_id(goal.workflow_id); !reason.empty())
    return fail(Code::bad_json, fmt::format("{}.id {}", kWorkflow, reason));
  GODWIT_TRY(goal.retry_timestamp, optional_text(workflow, "retryTimestamp", kWorkflow));
  return {};
}

Result<void> read_file_urls(const json::Object& service, DesiredUpdate& goal) {
  const json::Value* value = json::find(service, "fileUrls");
  if (value == nullptr || value->is_null()) return {};
  GODWIT_TRY(const json::Object* urls, json::object(service, "fileUrls", kService));
  for (const auto& member : *urls) {
    if (member.value().is_null()) continue;
    const auto* url = member.value().if_string();
    if (url == nullptr)
      return fail(Code::bad_json, fmt::format("{}.fileUrls.{} is not a string", kService,
                                              std::string_view(member.key()).substr(0, 64)));
    goal.file_urls.emplace(member.key(), std::string_view(*url));
  }
  return {};
}

}  // namespace

json::Object desired_patch(const DesiredUpdate& goal, ContractModel model, const json::Object& current) {
  const json::Object& present = present_service(current);
  const json::Object& present_workflow = member_or_empty(present, "workflow");
  json::Object workflow = workflow_patch(goal, present_workflow);
  const bool is_small = model != ContractModel::v3;
  if (is_small) remove_foreign_keys(workflow, present_workflow, {"action", "id", "retryTimestamp"});
  json::Object service;
  service["workflow"] = std::move(workflow);
  if (goal.action == Action::cancel) return in_component(kComponent, "service", std::move(service));
  if (!is_small) service["rootKeyPackageUrl"] = goal.root_key_package_url;
  service["updateManifest"] = goal.manifest;
  service["updateManifestSignature"] = goal.manifest_signature;
  service["fileUrls"] = file_urls_patch(goal, member_or_empty(present, "fileUrls"));
  if (is_small)
    remove_foreign_keys(service, present, {"workflow", "updateManifest", "updateManifestSignature", "fileUrls"});
  return in_component(kComponent, "service", std::move(service));
}

Result<std::optional<DesiredUpdate>> read_desired(const json::Object& desired) {
  const json::Value* component_value = json::find(desired, "deviceUpdate");
  if (component_value == nullptr || component_value->is_null()) return std::optional<DesiredUpdate>{};
  GODWIT_TRY(const json::Object* component, json::object(desired, "deviceUpdate", "desired"));
  const json::Value* service_value = json::find(*component, "service");
  if (service_value == nullptr || service_value->is_null()) return std::optional<DesiredUpdate>{};
  GODWIT_TRY(const json::Object* service, json::object(*component, "service", "deviceUpdate"));
  if (service->empty()) return std::optional<DesiredUpdate>{};
  GODWIT_TRY(const json::Object* workflow, json::object(*service, "workflow", kService));
  DesiredUpdate goal;
  GODWIT_TRY_VOID(read_workflow(*workflow, goal));
  GODWIT_TRY(goal.root_key_package_url, optional_text(*service, "rootKeyPackageUrl", kService));
  // A cancel says enough with its id: refusing it for a missing URL would let an unwanted update go on.
  if (goal.root_key_package_url.empty() && goal.action == Action::process_deployment)
    return fail(Code::bad_json, fmt::format("{}.rootKeyPackageUrl is missing", kService));
  GODWIT_TRY(goal.manifest, optional_text(*service, "updateManifest", kService));
  GODWIT_TRY(goal.manifest_signature, optional_text(*service, "updateManifestSignature", kService));
  GODWIT_TRY_VOID(read_file_urls(*service, goal));
  return std::optional<DesiredUpdate>{std::move(goal)};
}

json::Object ack_patch(const DesiredUpdate& goal, int status, std::string_view description,
                       std::uint64_t desired_version) {
  const auto text_or_null = [](const std::string& text) {
    return text.empty() ? json::Value(nullptr) : json::Value(text);
  };
  json::Object workflow;
  workflow["action"] = static_cast<std::int32_t>(goal.action);
  workflow["id"] = goal.workflow_id;
  workflow["retryTimestamp"] = text_or_null(goal.retry_timestamp);
  json::Object value;
  value["workflow"] = std::move(workflow);
  value["rootKeyPackageUrl"] = text_or_null(goal.root_key_package_url);
  value["updateManifest"] = text_or_null(goal.manifest);
  value["updateManifestSignature"] = nullptr;  // room in the twin is short
  value["fileUrls"] = nullptr;
  return in_component(kComponent, "service", acknowledged(std::move(value), status, description, desired_version));
}

}  // namespace godwit::twin
