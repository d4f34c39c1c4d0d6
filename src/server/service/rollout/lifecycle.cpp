#include "server/service/rollout/lifecycle.hpp"

#include <algorithm>
#include <set>

#include "core/base/bytes.hpp"

namespace godwit::service {
namespace {

using store::Sweep;
using State = store::SubgroupDeploymentState;

}  // namespace

Result<store::UpdateSummary> need_deployable(store::Records& records, const UpdateId& id, std::string_view what) {
  GODWIT_TRY(auto update, records.catalog().find_summary(id));
  if (!update) return fail(Code::invalid_argument, std::string(what) + " " + id.str() + " has not been imported");
  if (!update->is_deployable)
    return fail(Code::invalid_argument,
                std::string(what) + " " + id.str() + " is not deployable: it can only be a part of another update");
  return *std::move(update);
}

Result<SubgroupTotals> totals_of(store::Records& records, const store::SubgroupDeployment& subgroup) {
  GODWIT_TRY(const auto counts, records.rollout().counts(subgroup.deployment));
  SubgroupTotals totals;
  for (const store::DeploymentCount& count : counts) {
    if (count.class_id != subgroup.class_id) continue;
    totals.total += count.devices;
    switch (count.state) {
      case DeviceState::in_progress: totals.in_progress = count.devices; break;
      case DeviceState::succeeded: totals.succeeded = count.devices; break;
      case DeviceState::failed: totals.failed = count.devices; break;
      case DeviceState::canceled: totals.canceled = count.devices; break;
    }
  }
  if (subgroup.state != State::active && subgroup.state != State::scheduled) return totals;
  // A live deployment is also for the members that its sweep has not reached yet.
  GODWIT_TRY(const auto members, records.fleet().counts(subgroup.group, subgroup.class_id));
  std::uint64_t devices = 0;
  for (const store::FleetCount& count : members) devices += count.devices;
  totals.total = std::max(totals.total, devices);
  return totals;
}

Result<std::vector<DeviceClassId>> Lifecycle::compatible_classes(store::Records& records, const GroupId& group,
                                                                 const store::UpdateSummary& update) const {
  GODWIT_TRY(const auto subgroups, records.fleet().list_subgroups(group, std::nullopt));
  std::vector<DeviceClassId> classes;
  for (const store::FleetSubgroup& subgroup : subgroups) {
    GODWIT_TRY(const auto found, records.fleet().find_class(subgroup.class_id));
    if (found && matches_any(update.compatibility, found->value.compatibility)) classes.push_back(subgroup.class_id);
  }
  return classes;
}

Result<void> Lifecycle::check_quotas(store::Records& records) const {
  GODWIT_TRY(const std::uint64_t total, records.rollout().count_deployments());
  if (limits_.total > 0 && total >= limits_.total)
    return fail(Code::too_many,
                "there are " + std::to_string(total) + " deployments, which is the limit; delete old ones");
  GODWIT_TRY(const std::uint64_t live, records.rollout().count_live());
  if (limits_.live > 0 && live >= limits_.live)
    return fail(Code::too_many,
                "there are " + std::to_string(live) + " live deployments, which is the limit; cancel some");
  return {};
}

Result<store::DeploymentRecord> Lifecycle::begin(store::Records& records, store::DeploymentRecord wanted) const {
  GODWIT_TRY(const auto update, need_deployable(records, wanted.update, "update"));
  GODWIT_TRY(const auto classes, compatible_classes(records, wanted.group, update));
  if (classes.empty())
    return fail(Code::incompatible, "update " + wanted.update.str() + " fits no device class of group '" +
                                        wanted.group.str() +
                                        "': none of its compatibility sets matches what the group's devices report");
  // A class that cannot be told fails alone, unless there is no other.
  Result<void> last;
  if (std::none_of(classes.begin(), classes.end(), [&](const DeviceClassId& id) {
        last = goals_.check_offer(records, wanted.update, id);
        return last.has_value();
      }))
    return tl::unexpected<Error>{std::move(last).error()};
  if (wanted.rollback) {
    GODWIT_TRY(const auto target, need_deployable(records, wanted.rollback->update, "rollbackPolicy.update"));
    GODWIT_TRY(const auto rollback_classes, compatible_classes(records, wanted.group, target));
    if (std::none_of(classes.begin(), classes.end(), [&](const auto& id) {
          return std::count(rollback_classes.begin(), rollback_classes.end(), id) > 0;
        }))
      return fail(Code::incompatible, "rollbackPolicy.update " + target.id.str() +
                                          " fits none of the device classes that " + wanted.update.str() + " goes to");
  }
  GODWIT_TRY_VOID(check_quotas(records));
  return store_and_start(records, std::move(wanted), classes);
}

Result<store::DeploymentRecord> Lifecycle::store_and_start(store::Records& records, store::DeploymentRecord wanted,
                                                           const std::vector<DeviceClassId>& classes) const {
  wanted.created = clock_.now();
  GODWIT_TRY(wanted.number, records.rollout().insert_deployment(wanted));
  for (const DeviceClassId& class_id : classes) {
    GODWIT_TRY(const bool is_active, join(records, wanted, class_id));
    if (!is_active) continue;
    GODWIT_TRY(const auto active, records.rollout().find_subgroup(wanted.number, class_id));
    if (active) GODWIT_TRY_VOID(sweep(records, *active));
  }
  return wanted;
}

Result<bool> Lifecycle::join(store::Records& records, const store::DeploymentRecord& deployment,
                             const DeviceClassId& class_id) const {
  store::SubgroupDeployment subgroup{.deployment = deployment.number,
                                     .group = deployment.group,
                                     .class_id = class_id,
                                     .state = State::scheduled,
                                     .start = deployment.start};
  if (const auto possible = goals_.check_offer(records, deployment.update, class_id); !possible) {
    if (possible.error().code != Code::incompatible) return tl::unexpected<Error>{possible.error()};
    subgroup.state = State::failed;
    subgroup.error_code = kCannotOfferUpdate;
    subgroup.error_message = possible.error().message;
    GODWIT_TRY_VOID(records.rollout().save_subgroup(subgroup));
    return false;
  }
  GODWIT_TRY_VOID(records.rollout().save_subgroup(subgroup));
  if (deployment.start > clock_.now()) return false;
  GODWIT_TRY_VOID(activate(records, std::move(subgroup)));
  return true;
}

Result<void> Lifecycle::activate(store::Records& records, store::SubgroupDeployment subgroup) const {
  GODWIT_TRY(auto older, records.rollout().find_active(subgroup.group, subgroup.class_id));
  if (older) {
    older->state = State::inactive;
    older->sweep = Sweep::none;
    GODWIT_TRY_VOID(records.rollout().save_subgroup(*older));
  }
  subgroup.state = State::active;
  subgroup.sweep = Sweep::offer;
  subgroup.sweep_after.clear();
  return records.rollout().save_subgroup(subgroup);
}

Result<void> Lifecycle::adopt(store::Records& records, const GroupId& group, const DeviceClassId& class_id) const {
  store::RolloutRecords& rollout = records.rollout();
  GODWIT_TRY(auto live, rollout.list_live(group, std::nullopt));
  GODWIT_TRY(const auto device_class, records.fleet().find_class(class_id));
  if (!device_class) return {};
  std::reverse(live.begin(), live.end());  // newest start first
  std::set<std::int64_t> seen;
  bool has_active = false;
  for (const store::SubgroupDeployment& sibling : live) {
    if (!seen.insert(sibling.deployment).second) continue;
    const bool is_started = sibling.start <= clock_.now();
    if (is_started && has_active) continue;
    GODWIT_TRY(const auto own, rollout.find_subgroup(sibling.deployment, class_id));
    GODWIT_TRY(const auto deployment, rollout.find_deployment_by_number(sibling.deployment));
    if (own || !deployment) continue;
    GODWIT_TRY(const auto update, records.catalog().find_summary(deployment->update));
    if (!update || !matches_any(update->compatibility, device_class->value.compatibility)) continue;
    GODWIT_TRY(const bool is_active, join(records, *deployment, class_id));
    has_active = has_active || is_active;
  }
  return {};
}

/// Gives the device id to continue after, "" when the sweep is done.
Result<std::string> Lifecycle::sweep_offers(store::Records& records, const store::SubgroupDeployment& subgroup) const {
  GODWIT_TRY(auto devices, records.fleet().list_devices({.group = subgroup.group, .class_id = subgroup.class_id},
                                                        subgroup.sweep_after, limits_.chunk));
  OfferCache cache;
  for (store::FleetDevice& device : devices) {
    GODWIT_TRY(const bool has_rolled_back, plan(records, device, {}, cache));
    if (has_rolled_back) return std::string{};  // this deployment has ended; the devices read above may have moved on
  }
  return devices.size() < limits_.chunk ? std::string{} : devices.back().id.str();
}

Result<std::string> Lifecycle::sweep_rows(store::Records& records, const store::SubgroupDeployment& subgroup,
                                          std::optional<DeviceState> state, const Goals::Request& request) const {
  GODWIT_TRY(const auto rows,
             records.rollout().list_devices(subgroup.deployment, {.class_id = subgroup.class_id, .state = state},
                                            subgroup.sweep_after, limits_.chunk));
  OfferCache cache;
  for (const store::DeploymentDevice& row : rows) {
    if (row.moved_on || row.state == DeviceState::succeeded || row.state == DeviceState::canceled) continue;
    GODWIT_TRY(auto device, records.fleet().find_device(row.device));
    if (!device) continue;
    GODWIT_TRY(const bool has_rolled_back, plan(records, *device, request, cache));
    if (has_rolled_back) return std::string{};
  }
  return rows.size() < limits_.chunk ? std::string{} : rows.back().device.str();
}

Result<void> Lifecycle::sweep(store::Records& records, const store::SubgroupDeployment& subgroup) const {
  std::string after;
  switch (subgroup.sweep) {
    case Sweep::none: return {};
    case Sweep::offer: {
      GODWIT_TRY(after, sweep_offers(records, subgroup));
      break;
    }
    case Sweep::retry: {
      GODWIT_TRY(after, sweep_rows(records, subgroup, DeviceState::failed,
                                   {.ask = Ask::retry_failed, .stamp = subgroup.retry_timestamp}));
      break;
    }
    case Sweep::cancel: {
      GODWIT_TRY(after, sweep_rows(records, subgroup, std::nullopt, {.ask = Ask::withdraw}));
      break;
    }
  }
  // Planning may have ended the deployment; what is stored now counts.
  GODWIT_TRY(auto present, records.rollout().find_subgroup(subgroup.deployment, subgroup.class_id));
  if (!present || present->sweep != subgroup.sweep) return {};
  if (after.empty()) present->sweep = Sweep::none;
  present->sweep_after = std::move(after);
  return records.rollout().save_subgroup(*present);
}

Result<bool> Lifecycle::plan(store::Records& records, store::FleetDevice& device, const Goals::Request& request,
                             OfferCache& cache) const {
  GODWIT_TRY(const auto failed, goals_.plan(records, device, request, cache));
  return failed ? consider_rollback(records, *failed) : Result<bool>{false};
}

Result<bool> Lifecycle::has_to_tend(store::Records& records) const {
  const WallTime now = clock_.now();
  GODWIT_TRY(const auto expiring, records.rollout().list_expiring(now + goals_.url_lifetime() / 4, 1));
  if (!expiring.empty()) return true;
  GODWIT_TRY(const auto overdue, records.rollout().list_overdue(now, 1));
  return !overdue.empty();
}

Result<bool> Lifecycle::tend(store::Records& records) const {
  const WallTime now = clock_.now();
  store::RolloutRecords& rollout = records.rollout();
  // First whose time is over: they need no URLs any more.
  GODWIT_TRY(auto rows, rollout.list_overdue(now, limits_.chunk));
  const bool is_overdue = !rows.empty();
  if (!is_overdue) {
    GODWIT_TRY(rows, rollout.list_expiring(now + goals_.url_lifetime() / 4, limits_.chunk));
  }
  OfferCache cache;
  for (const store::DeploymentDevice& row : rows) {
    GODWIT_TRY(const auto present, rollout.find_device(row.deployment, row.device));
    if (!present || present->state != DeviceState::in_progress) continue;  // a rollback has taken it over
    GODWIT_TRY(const auto failed,
               is_overdue ? goals_.look_at_deadline(records, *present) : goals_.refresh_urls(records, *present, cache));
    if (!failed) continue;
    GODWIT_TRY([[maybe_unused]] const bool has_rolled_back, consider_rollback(records, *failed));
  }
  return !rows.empty();
}

Result<bool> Lifecycle::consider_rollback(store::Records& records, const store::DeploymentDevice& failed) const {
  GODWIT_TRY(const auto deployment, records.rollout().find_deployment_by_number(failed.deployment));
  if (!deployment || !deployment->rollback) return false;
  GODWIT_TRY(const auto subgroup, records.rollout().find_subgroup(failed.deployment, failed.class_id));
  if (!subgroup || subgroup->state != State::active) return false;
  GODWIT_TRY(const SubgroupTotals totals, totals_of(records, *subgroup));
  if (!must_roll_back(*deployment->rollback, totals.failed, totals.total)) return false;
  GODWIT_TRY_VOID(roll_back(records, *deployment, totals.failed));
  return true;
}

Result<void> Lifecycle::roll_back(store::Records& records, const store::DeploymentRecord& deployment,
                                  std::uint64_t failed) const {
  const UpdateId& target = deployment.rollback->update;
  GODWIT_TRY(const auto update, records.catalog().find_summary(target));
  GODWIT_TRY(const auto subgroups, records.rollout().list_subgroups(deployment.number));
  std::vector<DeviceClassId> classes;
  for (store::SubgroupDeployment subgroup : subgroups) {
    if (subgroup.state != State::active && subgroup.state != State::scheduled) continue;
    GODWIT_TRY(const auto found, records.fleet().find_class(subgroup.class_id));
    if (update && found && matches_any(update->compatibility, found->value.compatibility))
      classes.push_back(subgroup.class_id);
    subgroup.state = State::inactive;
    subgroup.sweep = Sweep::none;
    GODWIT_TRY_VOID(records.rollout().save_subgroup(subgroup));
  }
  const std::string subject = deployment.group.str() + "/" + deployment.id.str();
  if (classes.empty()) {
    log_.error("deployment.rollback_impossible", {{"deployment", subject}, {"update", target.str()}});
    return records.access().append_audit(
        {.at = clock_.now(), .actor = "system", .action = "deployment.stopped", .subject = subject});
  }
  GODWIT_TRY(auto id, DeploymentId::parse(random_guid()));
  // No quota stops a rollback: the deployment that it replaces has just made room.
  store::DeploymentRecord wanted{
      .group = deployment.group, .id = std::move(id), .update = target, .start = clock_.now(), .is_rollback = true};
  GODWIT_TRY(const auto begun, store_and_start(records, std::move(wanted), classes));
  log_.warning("deployment.rolled_back",
               {{"deployment", subject}, {"by", begun.id.str()}, {"update", target.str()}, {"failed", failed}});
  return records.access().append_audit(
      {.at = clock_.now(), .actor = "system", .action = "deployment.rolled_back", .subject = subject});
}

}  // namespace godwit::service
