#include "server/service/inventory/inventory.hpp"

#include "core/base/bytes.hpp"
#include "server/service/inventory/placement.hpp"
#include "server/service/inventory/result_json.hpp"

namespace godwit::service {
namespace {

std::string beyond(std::string_view what, std::uint64_t quota, std::string_view remedy) {
  return "the instance has " + std::to_string(quota) + " " + std::string(what) +
         ", which is its limit: " + std::string(remedy) + ", then start a device sync";
}

/// Takes the class, and the group if it is the cause, from a place that the instance has no room for.
Result<void> keep_within(store::FleetRecords& fleet, const FleetQuotas& quotas, Placement& place, bool was_healthy) {
  const auto refuse = [&place](std::string_view check, std::string problem) {
    place.device_class.reset();
    place.failed_check = std::string(check);
    place.problem = std::move(problem);
  };
  if (quotas.groups > 0) {
    GODWIT_TRY(const auto known, fleet.find_group(place.group));
    GODWIT_TRY(const std::uint64_t groups, fleet.count_groups());
    if (!known && groups >= quotas.groups) {
      place.group = *GroupId::parse(kDefaultGroup);
      if (place.device_class)
        refuse(health_check::group, beyond("groups", quotas.groups, "delete groups that are empty"));
      return {};
    }
  }
  if (!place.device_class) return {};
  if (quotas.classes > 0) {
    GODWIT_TRY(const auto id, DeviceClassId::parse(place.device_class->id()));
    GODWIT_TRY(const auto known, fleet.find_class(id));
    GODWIT_TRY(const std::uint64_t classes, fleet.count_classes());
    if (!known && classes >= quotas.classes) {
      refuse(health_check::compat_values, beyond("device classes", quotas.classes, "delete classes without devices"));
      return {};
    }
  }
  if (quotas.devices == 0 || was_healthy) return {};
  GODWIT_TRY(const std::uint64_t devices, fleet.count_healthy());
  if (devices >= quotas.devices)
    refuse(health_check::interface_id, beyond("devices", quotas.devices, "remove identities that are not needed"));
  return {};
}

/// Makes what the place of a device needs. True: the subgroup is new.
Result<bool> make_place(store::FleetRecords& fleet, const GroupId& group,
                        const std::optional<DeviceClass>& device_class, const std::optional<DeviceClassId>& class_id,
                        WallTime now) {
  GODWIT_TRY_VOID(fleet.save_group({.id = group, .created = now}));
  if (!class_id) return false;
  GODWIT_TRY(const auto known_class, fleet.find_class(*class_id));
  if (!known_class) GODWIT_TRY_VOID(fleet.save_class({.id = *class_id, .value = *device_class, .created = now}));
  GODWIT_TRY(const auto known_subgroup, fleet.find_subgroup(group, *class_id));
  if (known_subgroup) return false;
  GODWIT_TRY_VOID(fleet.save_subgroup({.group = group, .class_id = *class_id, .created = now}));
  return true;
}

}  // namespace

Result<Inventory::Refreshed> Inventory::refresh(store::Records& records, const IdentityId& id, const twin::Twin& twin,
                                                const twin::ReportedAgent& agent,
                                                const std::optional<std::string>& model_id) const {
  store::FleetRecords& fleet = records.fleet();
  GODWIT_TRY(const auto known, fleet.find_device(id));
  const WallTime now = clock_.now();
  store::FleetDevice device =
      known ? *known
            : store::FleetDevice{.id = id, .group = *GroupId::parse(kDefaultGroup), .created = now, .updated = now};
  if (model_id) device.model_id = *model_id;
  Placement placement = place(twin.tags, twin.reported.values, agent, device.model_id);
  GODWIT_TRY_VOID(keep_within(fleet, quotas_, placement, known && known->class_id));
  device.group = std::move(placement.group);
  device.class_id.reset();
  if (placement.device_class) {
    GODWIT_TRY(device.class_id, DeviceClassId::parse(placement.device_class->id()));
  }
  device.failed_check = std::move(placement.failed_check);
  device.health_problem = std::move(placement.problem);
  if (agent.report && agent.report->installed_update) device.installed = agent.report->installed_update;
  if (agent.report && agent.report->result && agent.report->state != AgentState::in_progress)
    device.result_json = store_result(*agent.report->result);

  bool is_new_subgroup = false;
  if (!known || known->group != device.group || known->class_id != device.class_id) {
    GODWIT_TRY(is_new_subgroup, make_place(fleet, device.group, placement.device_class, device.class_id, now));
  }
  if (!known || !(*known == device)) {
    device.updated = now;
    GODWIT_TRY_VOID(fleet.save_device(device));
  }
  return Refreshed{.device = std::move(device), .is_new_subgroup = is_new_subgroup};
}

Result<void> Inventory::audit(store::Records& records, const std::string& actor, std::string action,
                              std::string subject) const {
  return records.access().append_audit(
      {.at = clock_.now(), .actor = actor, .action = std::move(action), .subject = std::move(subject)});
}

Result<store::FleetGroup> need_group(store::Records& records, const GroupId& id) {
  GODWIT_TRY(auto group, records.fleet().find_group(id));
  if (!group)
    return fail(Code::not_found,
                "there is no group '" + id.str() + "'; a group appears when the tag ADUGroup of a device names it");
  return *std::move(group);
}

Result<store::FleetClass> need_class(store::Records& records, const DeviceClassId& id) {
  GODWIT_TRY(auto found, records.fleet().find_class(id));
  if (!found) return fail(Code::not_found, "there is no device class '" + id.str() + "'");
  return *std::move(found);
}

Result<store::FleetSubgroup> need_subgroup(store::Records& records, const GroupId& group,
                                           const DeviceClassId& class_id) {
  GODWIT_TRY(const auto known, need_group(records, group));
  GODWIT_TRY(auto subgroup, records.fleet().find_subgroup(known.id, class_id));
  if (!subgroup) return fail(Code::not_found, "group '" + group.str() + "' has no subgroup of class " + class_id.str());
  return *std::move(subgroup);
}

Result<std::string> Inventory::start_sync(const std::string& kind, const std::string& actor) {
  if (kind != "Devices" && kind != "Modules" && kind != "All")
    return fail(Code::invalid_argument, "import type '" + kind.substr(0, 64) + "' is none of Devices, Modules, All");
  const std::string id = random_guid();
  const auto start = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY(const auto running, records.fleet().list_operations(true, 1));
    if (!running.empty())
      return fail(Code::conflict, "a device sync is running already (operation " + running.front().id + ")");
    const WallTime now = clock_.now();
    GODWIT_TRY_VOID(records.fleet().remove_operations_before(now - kFinishedSyncsAreKept));
    GODWIT_TRY_VOID(records.fleet().save_operation({.id = id, .kind = kind, .created = now, .last_action = now}));
    if (wake_) records.after_commit(wake_);
    return audit(records, actor, "devices.sync", id);
  };
  GODWIT_TRY_VOID(store_.write(start));
  return id;
}

}  // namespace godwit::service
