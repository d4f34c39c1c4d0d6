// Deployments as the API shows them.
#include <algorithm>
#include <array>

#include "server/service/inventory/lookup.hpp"
#include "server/service/inventory/result_json.hpp"
#include "server/service/rollout/rollout.hpp"

namespace godwit::service {
namespace {

using State = store::SubgroupDeploymentState;

std::string_view state_name(State state) {
  switch (state) {
    case State::scheduled:  // it waits for its time, which the API calls Active
    case State::active: return "Active";
    case State::inactive: return "Inactive";
    case State::canceled: return "Canceled";
    case State::failed: return "Failed";
  }
  return "Failed";
}

bool all_are(const std::vector<store::SubgroupDeployment>& subgroups, State state) {
  return !subgroups.empty() &&
         std::all_of(subgroups.begin(), subgroups.end(), [state](const auto& one) { return one.state == state; });
}

Result<json::Object> deployment_json(const store::DeploymentRecord& deployment,
                                     const std::vector<store::SubgroupDeployment>& subgroups, Lookup& lookup) {
  json::Object object;
  object["deploymentId"] = deployment.id.str();
  object["startDateTime"] = management_time(deployment.start);
  GODWIT_TRY(object["update"], lookup.info(deployment.update));
  object["groupId"] = deployment.group.str();
  json::Array classes;
  for (const store::SubgroupDeployment& one : subgroups) classes.emplace_back(one.class_id.str());
  object["deviceClassSubgroups"] = std::move(classes);
  if (all_are(subgroups, State::canceled)) object["isCanceled"] = true;
  if (std::any_of(subgroups.begin(), subgroups.end(), [](const auto& one) { return one.is_retried; }))
    object["isRetried"] = true;
  if (deployment.rollback) {
    json::Object failure;
    failure["devicesFailedPercentage"] = deployment.rollback->failed_percentage;
    failure["devicesFailedCount"] = deployment.rollback->failed_count;
    json::Object policy;
    GODWIT_TRY(policy["update"], lookup.info(deployment.rollback->update));
    policy["failure"] = std::move(failure);
    object["rollbackPolicy"] = std::move(policy);
  }
  if (deployment.is_rollback) object["isCloudInitiatedRollback"] = true;
  return object;
}

json::Object error_json(const store::SubgroupDeployment& subgroup) {
  json::Object error;
  error["code"] = subgroup.error_code;
  error["message"] = subgroup.error_message;
  return error;
}

Result<json::Object> subgroup_status_json(store::Records& records, const store::SubgroupDeployment& subgroup) {
  GODWIT_TRY(const SubgroupTotals totals, totals_of(records, subgroup));
  json::Object object;
  object["groupId"] = subgroup.group.str();
  object["deviceClassId"] = subgroup.class_id.str();
  object["deploymentState"] = std::string(state_name(subgroup.state));
  if (!subgroup.error_code.empty()) object["error"] = error_json(subgroup);
  object["totalDevices"] = totals.total;
  object["devicesInProgressCount"] = totals.in_progress;
  object["devicesCompletedFailedCount"] = totals.failed;
  object["devicesCompletedSucceededCount"] = totals.succeeded;
  object["devicesCanceledCount"] = totals.canceled;
  return object;
}

/// Progress of a device that works on this very row; the twin is the only place where it is kept.
Result<json::Object> progress_json(store::Records& records, const store::DeploymentDevice& row) {
  GODWIT_TRY(const auto twin, records.devices().find_twin(row.device));
  if (!twin) return json::Object{};
  const twin::ReportedAgent agent = twin::read_reported(twin->twin.reported.values);
  if (!agent.report || agent.report->workflow_id != row.workflow_id || !agent.report->progress) return json::Object{};
  return twin::progress_to_json(*agent.report->progress);
}

/// What a success had to go past, e.g. a source that did not deliver: the codes behind the first.
json::Array notes_json(const InstallResult& result) {
  json::Array notes;
  for (std::size_t i = 1; i < result.extended_codes.size(); ++i) {
    const ExtendedCode code = result.extended_codes[i];
    notes.push_back(json::Object{{"extendedResultCode", extended_code_hex(code)},
                                 {"extendedResultText", std::string(extended_code_text(code))}});
  }
  return notes;
}

Result<json::Object> device_state_json(store::Records& records, const store::DeploymentDevice& row) {
  json::Object own;
  if (row.state == DeviceState::in_progress && !row.moved_on) {
    GODWIT_TRY(own, progress_json(records, row));
  }
  GODWIT_TRY(const auto result, read_result(row.result_json));
  if (result) {
    // The step's own words name the cause; the root often only repeats its code.
    const auto step = failed_step(*result);
    const ExtendedCode code = root_code(*result);
    own["resultCode"] = result->result_code;
    own["resultText"] = std::string(result_code_text(result->result_code));
    own["extendedResultCode"] = extended_code_hex(code);
    own["extendedResultText"] = std::string(extended_code_text(code));
    if (result->result_code > 0 && result->extended_codes.size() > 1) own["notes"] = notes_json(*result);
    own["resultDetails"] = result->details.empty() && step ? result->steps[*step].details : result->details;
    if (step) own["step"] = *step;
    if (!result->steps.empty()) own["steps"] = result->steps.size();
  }
  own["workflowId"] = row.workflow_id;
  own["rounds"] = row.rounds;
  own["lastChange"] = management_time(row.updated);
  json::Object object;
  put_identity(object, row.device);
  object["retryCount"] = row.retry_count;
  object["movedOnToNewDeployment"] = row.moved_on;
  object["deviceState"] = std::string(device_state_name(row.state));
  object["godwit"] = std::move(own);
  return object;
}

constexpr int kProgressPoints = 120;

/// Running sums at the end of each step.
json::Object progress_in_steps(const std::vector<store::DeploymentStep>& steps, const store::DeploymentSpan& span,
                               Duration step) {
  std::uint64_t total = 0;
  std::array<std::uint64_t, 4> ended{};  // by DeviceState
  json::Array points;
  auto next = steps.begin();
  for (std::int64_t number = 0; span.first + step * number <= span.last; ++number) {
    for (; next != steps.end() && static_cast<std::int64_t>(next->step) <= number; ++next)
      (next->state ? ended.at(static_cast<std::size_t>(*next->state)) : total) += next->devices;
    const auto of = [&ended](DeviceState state) { return ended.at(static_cast<std::size_t>(state)); };
    const std::uint64_t done = of(DeviceState::succeeded) + of(DeviceState::failed) + of(DeviceState::canceled);
    const WallTime time = std::min(span.first + step * (number + 1), span.last);
    points.emplace_back(json::Object{{"time", management_time(time)},
                                     {"totalDevices", total},
                                     {"devicesInProgressCount", total - std::min(done, total)},
                                     {"devicesCompletedSucceededCount", of(DeviceState::succeeded)},
                                     {"devicesCompletedFailedCount", of(DeviceState::failed)},
                                     {"devicesCanceledCount", of(DeviceState::canceled)}});
  }
  return json::Object{{"value", std::move(points)}};
}

}  // namespace

DeploymentState combine(const std::vector<store::SubgroupDeployment>& subgroups) {
  const auto has = [&subgroups](State state) {
    return std::any_of(subgroups.begin(), subgroups.end(), [state](const auto& one) { return one.state == state; });
  };
  const bool is_live = has(State::active) || has(State::scheduled);
  if (is_live) return has(State::failed) ? DeploymentState::active_with_subgroup_failures : DeploymentState::active;
  if (all_are(subgroups, State::canceled)) return DeploymentState::canceled;
  if (has(State::failed)) return DeploymentState::failed;
  return DeploymentState::inactive;
}

Result<json::Object> Rollout::describe(const GroupId& group, const DeploymentId& id,
                                       const std::optional<DeviceClassId>& class_id) const {
  return snapshot<json::Object>(store_, [&](store::Records& records) -> Result<json::Object> {
    GODWIT_TRY(const auto deployment, need_deployment(records, group, id));
    GODWIT_TRY(auto subgroups, records.rollout().list_subgroups(deployment.number));
    if (class_id) {
      GODWIT_TRY(auto one, need_subgroup_deployment(records, deployment, *class_id));
      subgroups = {std::move(one)};
    }
    Lookup lookup(records);
    return deployment_json(deployment, subgroups, lookup);
  });
}

Result<FleetPage> Rollout::list(const GroupId& group, const std::optional<DeviceClassId>& class_id,
                                store::RolloutRecords::ListOrder order, const std::string& token) const {
  return snapshot<FleetPage>(store_, [&](store::Records& records) -> Result<FleetPage> {
    if (token.size() > 9 || !std::all_of(token.begin(), token.end(), [](char c) { return c >= '0' && c <= '9'; }))
      return fail(Code::invalid_argument, "the continuation token is not one of this list");
    const std::size_t offset = token.empty() ? 0 : std::stoul(token);
    if (class_id) {
      GODWIT_TRY([[maybe_unused]] const auto subgroup, need_subgroup(records, group, *class_id));
    } else {
      GODWIT_TRY([[maybe_unused]] const auto known, need_group(records, group));
    }
    GODWIT_TRY(const auto deployments,
               records.rollout().list_deployments(group, class_id, order, offset, kFleetPageSize));
    Lookup lookup(records);
    FleetPage page;
    for (const store::DeploymentRecord& deployment : deployments) {
      GODWIT_TRY(auto subgroups, records.rollout().list_subgroups(deployment.number));
      if (class_id) std::erase_if(subgroups, [&](const auto& one) { return one.class_id != *class_id; });
      GODWIT_TRY(auto object, deployment_json(deployment, subgroups, lookup));
      page.values.emplace_back(std::move(object));
    }
    if (deployments.size() == kFleetPageSize) page.next_token = std::to_string(offset + deployments.size());
    return page;
  });
}

Result<json::Object> Rollout::status(const GroupId& group, const DeploymentId& id) const {
  return snapshot<json::Object>(store_, [&](store::Records& records) -> Result<json::Object> {
    GODWIT_TRY(const auto deployment, need_deployment(records, group, id));
    GODWIT_TRY(const auto subgroups, records.rollout().list_subgroups(deployment.number));
    json::Object object;
    object["groupId"] = group.str();
    object["deploymentState"] = std::string(deployment_state_name(combine(subgroups)));
    json::Array statuses;
    for (const store::SubgroupDeployment& subgroup : subgroups) {
      if (!subgroup.error_code.empty()) object["error"] = error_json(subgroup);
      GODWIT_TRY(auto one, subgroup_status_json(records, subgroup));
      statuses.emplace_back(std::move(one));
    }
    object["subgroupStatus"] = std::move(statuses);
    return object;
  });
}

Result<json::Object> Rollout::progress(const GroupId& group, const DeploymentId& id) const {
  return snapshot<json::Object>(store_, [&](store::Records& records) -> Result<json::Object> {
    GODWIT_TRY(const auto deployment, need_deployment(records, group, id));
    GODWIT_TRY(const auto span, records.rollout().span(deployment.number));
    if (!span.has_devices) return json::Object{{"value", json::Array{}}};
    GODWIT_TRY(const auto counts, records.rollout().counts(deployment.number));
    const bool is_over = std::none_of(counts.begin(), counts.end(),
                                      [](const auto& one) { return one.state == DeviceState::in_progress; });
    const WallTime end = is_over ? span.last : std::max(span.last, clock_.now());
    const Duration step = std::max(Duration{1000}, (end - span.first) / kProgressPoints + Duration{1});
    GODWIT_TRY(const auto steps, records.rollout().steps(deployment.number, span.first, step));
    return progress_in_steps(steps, {.first = span.first, .last = end}, step);
  });
}

Result<json::Object> Rollout::subgroup_status(const GroupId& group, const DeploymentId& id,
                                              const DeviceClassId& class_id) const {
  return snapshot<json::Object>(store_, [&](store::Records& records) -> Result<json::Object> {
    GODWIT_TRY(const auto deployment, need_deployment(records, group, id));
    GODWIT_TRY(const auto subgroup, need_subgroup_deployment(records, deployment, class_id));
    return subgroup_status_json(records, subgroup);
  });
}

Result<json::Object> Rollout::device_state(const GroupId& group, const DeploymentId& id,
                                           const IdentityId& device) const {
  return snapshot<json::Object>(store_, [&](store::Records& records) -> Result<json::Object> {
    GODWIT_TRY(const auto deployment, need_deployment(records, group, id));
    GODWIT_TRY(const auto row, records.rollout().find_device(deployment.number, device));
    if (!row) return fail(Code::not_found, "device '" + device.str() + "' has just left");
    return device_state_json(records, *row);
  });
}

Result<json::Object> Rollout::limits() const {
  return snapshot<json::Object>(store_, [&](store::Records& records) -> Result<json::Object> {
    json::Object counters;
    const auto put = [&counters](std::string_view name, std::uint64_t usage, std::uint64_t quota) {
      json::Object counter{{"usage", usage}};
      if (quota > 0) counter["quota"] = quota;
      counters[name] = std::move(counter);
    };
    const FleetQuotas& quotas = inventory_.quotas();
    GODWIT_TRY(const std::uint64_t devices, records.fleet().count_healthy());
    GODWIT_TRY(const std::uint64_t classes, records.fleet().count_classes());
    GODWIT_TRY(const std::uint64_t groups, records.fleet().count_groups());
    GODWIT_TRY(const std::uint64_t live, records.rollout().count_live());
    GODWIT_TRY(const std::uint64_t all, records.rollout().count_deployments());
    put("deviceCount", devices, quotas.devices);
    put("deviceClassCount", classes, quotas.classes);
    put("deviceGroupCount", groups, quotas.groups);
    put("activeDeploymentCount", live, options_.limits.live);
    put("deploymentCount", all, options_.limits.total);
    return json::Object{{"counters", std::move(counters)}};
  });
}

Result<FleetPage> Rollout::device_states(const GroupId& group, const DeploymentId& id,
                                         const store::DeploymentDeviceFilter& filter, const std::string& token) const {
  return snapshot<FleetPage>(store_, [&](store::Records& records) -> Result<FleetPage> {
    GODWIT_TRY(const auto deployment, need_deployment(records, group, id));
    if (filter.class_id) {
      GODWIT_TRY([[maybe_unused]] const auto subgroup, need_subgroup_deployment(records, deployment, *filter.class_id));
    }
    GODWIT_TRY(const auto rows, records.rollout().list_devices(deployment.number, filter, token, kFleetPageSize));
    FleetPage page;
    for (const store::DeploymentDevice& row : rows) {
      GODWIT_TRY(auto object, device_state_json(records, row));
      page.values.emplace_back(std::move(object));
    }
    if (rows.size() == kFleetPageSize) page.next_token = rows.back().device.str();
    return page;
  });
}

}  // namespace godwit::service
