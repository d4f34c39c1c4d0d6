// Godwit's own, whole answer about one device: what it is, what it does, how its last update ended in words, and why
// none is on its way.
#include "server/service/catalog/catalog.hpp"
#include "server/service/inventory/inventory.hpp"
#include "server/service/inventory/lookup.hpp"
#include "server/service/inventory/result_json.hpp"

namespace godwit::service {
namespace {

using State = store::SubgroupDeploymentState;

constexpr std::size_t kReportsShown = 10;

json::Object connection_json(const store::FleetDevice& device, const std::optional<store::DeviceSession>& session) {
  json::Object object;
  object["isConnected"] = session && session->is_connected;
  if (session && to_unix_ms(session->last_activity) > 0)
    object["lastActivity"] = management_time(session->last_activity);
  if (session && !session->last_disconnect_reason.empty())
    object["lastDisconnectReason"] = session->last_disconnect_reason;
  if (!device.model_id.empty()) object["modelId"] = device.model_id;
  return object;
}

json::Object agent_json(const twin::ReportedAgent& agent) {
  json::Object object;
  if (agent.identity) {
    json::Object properties;
    for (const auto& [name, value] : agent.identity->properties) properties[name] = value;
    object["properties"] = std::move(properties);
    object["contractModel"] = contract_model_id(agent.identity->contract);
    if (!agent.identity->agent_version.empty()) object["version"] = agent.identity->agent_version;
  }
  if (agent.report) {
    object["state"] = static_cast<std::int32_t>(agent.report->state);
    if (!agent.report->workflow_id.empty()) object["workflowId"] = agent.report->workflow_id;
    if (agent.report->progress) object["progress"] = twin::progress_to_json(*agent.report->progress);
  }
  return object;
}

/// One sentence; "" while an update is on its way or the device has the best one.
Result<std::string> why_no_update(store::Records& records, const store::FleetDevice& device, Lookup& lookup) {
  if (!device.class_id) return device.health_problem;
  if (device.state == DeviceState::in_progress) return std::string{};
  GODWIT_TRY(const auto best, lookup.best_of(*device.class_id));
  if (!best) return std::string("no imported update fits the device's class");
  if (device.installed == best->id) return std::string{};
  GODWIT_TRY(const auto active, records.rollout().find_active(device.group, *device.class_id));
  if (!active) {
    GODWIT_TRY(const auto live, records.rollout().list_live(device.group, *device.class_id));
    const std::string group = "group '" + device.group.str() + "'";
    if (!live.empty()) return "a deployment to " + group + " starts at " + management_time(live.front().start);
    return best->id.str() + " fits, but no deployment to " + group + " is active for this class";
  }
  GODWIT_TRY(const auto deployment, records.rollout().find_deployment_by_number(active->deployment));
  const std::string name =
      deployment ? "deployment '" + deployment->id.str() + "'" : std::string("the active deployment");
  if (device.deployment != active->deployment) return name + " has not reached the device yet";
  if (device.state == DeviceState::failed) return name + " failed on this device; it can be retried";
  if (device.state == DeviceState::canceled) return name + " was cancelled by the device";
  return name + " delivers " + (deployment ? deployment->update.str() : std::string("another update")) +
         ", which is not the newest that fits";
}

Result<json::Object> deployment_json(const store::FleetDevice& device, const store::DeploymentDevice& row) {
  json::Object object;
  object["deploymentId"] = device.last_deployment_id;
  object["groupId"] = row.group.str();
  object["deviceState"] = std::string(device_state_name(row.state));
  object["workflowId"] = row.workflow_id;
  object["retryCount"] = row.retry_count;
  object["rounds"] = row.rounds;
  object["movedOnToNewDeployment"] = row.moved_on;
  object["lastChange"] = management_time(row.updated);
  return object;
}

Result<json::Array> reports_json(store::Records& records, const IdentityId& id) {
  GODWIT_TRY(const auto reports, records.rollout().list_reports(id, kReportsShown));
  json::Array array;
  for (const store::ReportRecord& report : reports) {
    json::Object object;
    object["time"] = management_time(report.time);
    object["workflowId"] = report.workflow_id;
    object["verdict"] = report.verdict;
    GODWIT_TRY(object["report"], json::parse(report.report_json));
    array.emplace_back(std::move(object));
  }
  return array;
}

Result<json::Object> explain(store::Records& records, const store::FleetDevice& device) {
  Lookup lookup(records);
  GODWIT_TRY(json::Object object, device_json(device, lookup));
  object["isHealthy"] = device.class_id.has_value();
  if (!device.class_id) {
    object["failedCheck"] = device.failed_check;
    object["healthProblem"] = device.health_problem;
  } else {
    GODWIT_TRY(const auto best, lookup.best_of(*device.class_id));
    if (best) object["bestUpdate"] = update_info(*best);
  }
  GODWIT_TRY(const auto session, records.devices().find_session(device.id));
  object["connection"] = connection_json(device, session);
  GODWIT_TRY(const auto twin, records.devices().find_twin(device.id));
  std::optional<twin::ReportedAgent> agent;
  if (twin) {
    agent = twin::read_reported(twin->twin.reported.values);
    object["agent"] = agent_json(*agent);
  }
  std::optional<store::DeploymentDevice> row;
  if (device.deployment != 0) {
    GODWIT_TRY(row, records.rollout().find_device(device.deployment, device.id));
  }
  if (row) {
    GODWIT_TRY(object["deployment"], deployment_json(device, *row));
    const bool is_at_it = row->state == DeviceState::in_progress && agent && agent->report &&
                          agent->report->workflow_id == row->workflow_id;
    if (is_at_it && agent->report->progress) object["progress"] = twin::progress_to_json(*agent->report->progress);
  }
  GODWIT_TRY(const auto result, read_result(row && !row->result_json.empty() ? row->result_json : device.result_json));
  if (result) object["result"] = explained_result(*result);
  GODWIT_TRY(const std::string reason, why_no_update(records, device, lookup));
  if (!reason.empty()) object["whyNoUpdate"] = reason;
  GODWIT_TRY(object["reports"], reports_json(records, device.id));
  return object;
}

}  // namespace

Result<json::Object> Inventory::explain_device(const IdentityId& id) const {
  return snapshot<json::Object>(store_, [&](store::Records& records) -> Result<json::Object> {
    GODWIT_TRY(const auto device, records.fleet().find_device(id));
    if (!device) return fail(Code::not_found, "there is no device '" + id.str() + "'");
    return explain(records, *device);
  });
}

}  // namespace godwit::service
