// What operators ask of deployments: create, cancel, retry, delete.
#include <algorithm>

#include "server/service/rollout/rollout.hpp"

namespace godwit::service {
namespace {

using store::Sweep;
using State = store::SubgroupDeploymentState;

constexpr std::size_t kRemovalChunk = 500;

Result<void> check_policy(const store::RollbackPolicy& policy, const UpdateId& update) {
  if (policy.failed_percentage < 1 || policy.failed_percentage > 100)
    return fail(Code::invalid_argument, "rollbackPolicy.failure.devicesFailedPercentage must be 1 to 100");
  if (policy.failed_count < 1)
    return fail(Code::invalid_argument, "rollbackPolicy.failure.devicesFailedCount must be at least 1");
  if (policy.update == update)
    return fail(Code::invalid_argument, "rollbackPolicy.update is the update that is deployed");
  return {};
}

/// The subgroups that a verb is about: the one named, or all.
Result<std::vector<store::SubgroupDeployment>> chosen(store::Records& records,
                                                      const store::DeploymentRecord& deployment,
                                                      const std::optional<DeviceClassId>& class_id) {
  if (!class_id) return records.rollout().list_subgroups(deployment.number);
  GODWIT_TRY(auto one, need_subgroup_deployment(records, deployment, *class_id));
  return std::vector<store::SubgroupDeployment>{std::move(one)};
}

/// The agent takes any other text as another try, so it must differ from every one before: two retries may fall into
/// one millisecond.
std::string new_stamp(WallTime now, std::initializer_list<std::string> earlier) {
  for (;; now += Duration(1)) {
    std::string stamp = format_time_7(now);
    if (std::none_of(earlier.begin(), earlier.end(), [&](const std::string& old) { return old >= stamp; }))
      return stamp;
  }
}

struct DeviceInIt {
  store::FleetDevice device;
  store::DeploymentDevice row;
};
/// A device that the deployment has reached and that has not moved on since.
Result<DeviceInIt> need_device(store::Records& records, const store::DeploymentRecord& deployment,
                               const IdentityId& id) {
  GODWIT_TRY(auto device, records.fleet().find_device(id));
  GODWIT_TRY(auto row, records.rollout().find_device(deployment.number, id));
  if (!device || !row)
    return fail(Code::not_found,
                "deployment '" + deployment.id.str() + "' has not been sent to a device '" + id.str() + "'");
  if (row->moved_on || device->deployment != deployment.number)
    return fail(Code::conflict, "device '" + id.str() + "' has moved on from deployment '" + deployment.id.str() +
                                    "' to '" + device->last_deployment_id + "'");
  return DeviceInIt{.device = *std::move(device), .row = *std::move(row)};
}

/// Devices keep the number of their newest deployment; none may wait for a deployment that is gone.
Result<void> release_devices(store::Records& records, std::int64_t number, const std::optional<DeviceClassId>& class_id,
                             WallTime now) {
  std::string after;
  for (;;) {
    GODWIT_TRY(const auto rows,
               records.rollout().list_devices(number, {.class_id = class_id, .state = DeviceState::in_progress}, after,
                                              kRemovalChunk));
    for (const store::DeploymentDevice& row : rows) {
      GODWIT_TRY(auto device, records.fleet().find_device(row.device));
      if (!device || device->deployment != number) continue;
      device->state = DeviceState::canceled;
      device->updated = now;
      GODWIT_TRY_VOID(records.fleet().save_device(*device));
    }
    if (rows.size() < kRemovalChunk) return {};
    after = rows.back().device.str();
  }
}

}  // namespace

Result<store::DeploymentRecord> need_deployment(store::Records& records, const GroupId& group, const DeploymentId& id) {
  GODWIT_TRY(const auto known, need_group(records, group));
  GODWIT_TRY(auto deployment, records.rollout().find_deployment(known.id, id));
  if (!deployment) return fail(Code::not_found, "group '" + group.str() + "' has no deployment '" + id.str() + "'");
  return *std::move(deployment);
}

Result<store::SubgroupDeployment> need_subgroup_deployment(store::Records& records,
                                                           const store::DeploymentRecord& deployment,
                                                           const DeviceClassId& class_id) {
  GODWIT_TRY(auto subgroup, records.rollout().find_subgroup(deployment.number, class_id));
  if (!subgroup)
    return fail(Code::not_found, "deployment '" + deployment.id.str() + "' does not go to device class " +
                                     class_id.str() + " of group '" + deployment.group.str() + "'");
  return *std::move(subgroup);
}

Result<void> Rollout::audit(store::Records& records, const std::string& actor, std::string action, const GroupId& group,
                            const DeploymentId& id, const std::optional<IdentityId>& device) const {
  return records.access().append_audit(
      {.at = clock_.now(),
       .actor = actor,
       .action = std::move(action),
       .subject = group.str() + "/" + id.str() + (device ? "/" + device->str() : std::string{})});
}

Result<json::Object> Rollout::create(const DeploymentWish& wish, const std::string& actor) {
  if (wish.rollback) GODWIT_TRY_VOID(check_policy(*wish.rollback, wish.update));
  const auto job = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY([[maybe_unused]] const auto group, need_group(records, wish.group));
    GODWIT_TRY(const auto existing, records.rollout().find_deployment(wish.group, wish.id));
    if (existing) {
      if (existing->update == wish.update && existing->start == wish.start && existing->rollback == wish.rollback)
        return {};
      return fail(Code::conflict, "deployment '" + wish.id.str() +
                                      "' exists with another update, start time or rollback policy; a deployment "
                                      "cannot be changed, choose another id");
    }
    GODWIT_TRY([[maybe_unused]] const auto begun, lifecycle_.begin(records, {.group = wish.group,
                                                                             .id = wish.id,
                                                                             .update = wish.update,
                                                                             .start = wish.start,
                                                                             .rollback = wish.rollback}));
    records.after_commit([this] { wake(); });
    return audit(records, actor, "deployment.created", wish.group, wish.id);
  };
  GODWIT_TRY_VOID(store_.write(job));
  return describe(wish.group, wish.id, std::nullopt);
}

Result<json::Object> Rollout::cancel(const GroupId& group, const DeploymentId& id,
                                     const std::optional<DeviceClassId>& class_id, const std::string& actor) {
  const auto job = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY(const auto deployment, need_deployment(records, group, id));
    GODWIT_TRY(const auto subgroups, chosen(records, deployment, class_id));
    bool is_changed = false;
    for (store::SubgroupDeployment subgroup : subgroups) {
      if (subgroup.state == State::inactive || subgroup.state == State::canceled) continue;
      subgroup.state = State::canceled;
      subgroup.sweep = Sweep::cancel;
      subgroup.sweep_after.clear();
      GODWIT_TRY_VOID(records.rollout().save_subgroup(subgroup));
      GODWIT_TRY_VOID(lifecycle_.sweep(records, subgroup));
      is_changed = true;
    }
    if (is_changed) {
      records.after_commit([this] { wake(); });
      return audit(records, actor, "deployment.canceled", group, id);
    }
    if (std::any_of(subgroups.begin(), subgroups.end(), [](const auto& one) { return one.state == State::canceled; }))
      return {};
    return fail(Code::conflict,
                "deployment '" + id.str() + "' is not active any more: a newer one has taken its place");
  };
  GODWIT_TRY_VOID(store_.write(job));
  return describe(group, id, class_id);
}

Result<json::Object> Rollout::retry(const GroupId& group, const DeploymentId& id,
                                    const std::optional<DeviceClassId>& class_id, const std::string& actor) {
  const auto job = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY(const auto deployment, need_deployment(records, group, id));
    GODWIT_TRY(const auto subgroups, chosen(records, deployment, class_id));
    bool is_changed = false;
    for (store::SubgroupDeployment subgroup : subgroups) {
      if (subgroup.state != State::active) continue;
      if (subgroup.sweep != Sweep::none)
        return fail(Code::conflict,
                    "deployment '" + id.str() + "' is still being sent to its devices; try again in a moment");
      subgroup.retry_timestamp = new_stamp(clock_.now(), {subgroup.retry_timestamp});
      subgroup.is_retried = true;
      subgroup.sweep = Sweep::retry;
      subgroup.sweep_after.clear();
      GODWIT_TRY_VOID(records.rollout().save_subgroup(subgroup));
      GODWIT_TRY_VOID(lifecycle_.sweep(records, subgroup));
      is_changed = true;
    }
    if (!is_changed)
      return fail(Code::conflict,
                  "deployment '" + id.str() + "' is not active: only an active deployment can be retried");
    records.after_commit([this] { wake(); });
    return audit(records, actor, "deployment.retried", group, id);
  };
  GODWIT_TRY_VOID(store_.write(job));
  return describe(group, id, class_id);
}

Result<json::Object> Rollout::cancel_device(const GroupId& group, const DeploymentId& id, const IdentityId& device,
                                            const std::string& actor) {
  const auto job = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY(const auto deployment, need_deployment(records, group, id));
    GODWIT_TRY(DeviceInIt found, need_device(records, deployment, device));
    if (found.row.state == DeviceState::canceled) return {};
    if (found.row.state != DeviceState::in_progress)
      return fail(Code::conflict, "deployment '" + id.str() + "' has ended on device '" + device.str() +
                                      "' already: " + std::string(device_state_name(found.row.state)));
    OfferCache cache;
    GODWIT_TRY([[maybe_unused]] const bool has_rolled_back,
               lifecycle_.plan(records, found.device, {.ask = Ask::cancel}, cache));
    return audit(records, actor, "deployment.device_canceled", group, id, device);
  };
  GODWIT_TRY_VOID(store_.write(job));
  return device_state(group, id, device);
}

Result<json::Object> Rollout::retry_device(const GroupId& group, const DeploymentId& id, const IdentityId& device,
                                           const std::string& actor) {
  const auto job = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY(const auto deployment, need_deployment(records, group, id));
    GODWIT_TRY(DeviceInIt found, need_device(records, deployment, device));
    if (found.row.state != DeviceState::failed && found.row.state != DeviceState::canceled)
      return fail(Code::conflict, "device '" + device.str() + "' is " +
                                      std::string(device_state_name(found.row.state)) +
                                      ": only one that is Failed or Canceled can be retried");
    std::optional<store::SubgroupDeployment> active;
    if (found.device.class_id) {
      GODWIT_TRY(active, records.rollout().find_active(found.device.group, *found.device.class_id));
    }
    if (!active || active->deployment != deployment.number)
      return fail(Code::conflict, "deployment '" + id.str() + "' is not active for device '" + device.str() +
                                      "': it was cancelled, a newer one has taken its place, or the device has left");
    active->is_retried = true;
    GODWIT_TRY_VOID(records.rollout().save_subgroup(*active));
    const std::string stamp = new_stamp(clock_.now(), {found.row.retry_timestamp, active->retry_timestamp});
    OfferCache cache;
    GODWIT_TRY([[maybe_unused]] const bool has_rolled_back,
               lifecycle_.plan(records, found.device, {.ask = Ask::retry, .stamp = stamp}, cache));
    return audit(records, actor, "deployment.device_retried", group, id, device);
  };
  GODWIT_TRY_VOID(store_.write(job));
  return device_state(group, id, device);
}

Result<void> Rollout::remove(const GroupId& group, const DeploymentId& id, const std::optional<DeviceClassId>& class_id,
                             const std::string& actor) {
  return store_.write([&](store::Records& records) -> Result<void> {
    GODWIT_TRY(const auto deployment, need_deployment(records, group, id));
    GODWIT_TRY(const auto subgroups, chosen(records, deployment, class_id));
    for (const store::SubgroupDeployment& subgroup : subgroups) {
      if (subgroup.state == State::scheduled || subgroup.state == State::active)
        return fail(Code::conflict, "deployment '" + id.str() + "' is active; cancel it before it is deleted");
      if (subgroup.sweep != Sweep::none)
        return fail(Code::conflict, "the cancel of deployment '" + id.str() +
                                        "' is still being sent to devices; try again in a moment");
    }
    GODWIT_TRY_VOID(release_devices(records, deployment.number, class_id, clock_.now()));
    if (class_id) GODWIT_TRY_VOID(records.rollout().remove_subgroup(deployment.number, *class_id));
    GODWIT_TRY(const auto left, records.rollout().list_subgroups(deployment.number));
    if (!class_id || left.empty()) GODWIT_TRY_VOID(records.rollout().remove_deployment(deployment.number));
    return audit(records, actor, "deployment.deleted", group, id);
  });
}

}  // namespace godwit::service
