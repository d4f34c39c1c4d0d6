// Groups, subgroups, best updates and compliance as the API shows them, and their removal.
#include <algorithm>
#include <set>

#include "server/service/catalog/catalog.hpp"
#include "server/service/inventory/inventory.hpp"
#include "server/service/inventory/lookup.hpp"
#include "server/service/inventory/result_json.hpp"

namespace godwit::service {
namespace {

constexpr std::size_t kDeploymentsOfAGroup = 100'000;  // far above what a service keeps

/// A group with everything that lists sort by.
struct GroupRow {
  store::FleetGroup group;
  std::uint64_t devices = 0;
  std::uint64_t new_updates = 0;
  std::uint64_t in_progress = 0;
  std::uint64_t on_latest = 0;
};

std::map<DeviceClassId, Compliance> by_class(const std::vector<store::FleetCount>& counts, const BestUpdates& best) {
  std::map<DeviceClassId, Compliance> sums;
  for (const store::FleetCount& count : counts)
    if (count.class_id) sums[*count.class_id] += compliance_of(count, best);
  return sums;
}

Result<GroupRow> group_row(store::Records& records, const store::FleetGroup& group, Lookup& lookup) {
  GODWIT_TRY(const BestUpdates* best, lookup.best());
  GODWIT_TRY(const auto counts, records.fleet().counts(group.id, std::nullopt));
  GroupRow row{.group = group};
  for (const auto& [class_id, compliance] : by_class(counts, *best)) {
    row.devices += compliance.total;
    row.new_updates += compliance.new_available > 0 ? 1U : 0U;
    row.in_progress += compliance.in_progress > 0 ? 1U : 0U;
    row.on_latest += compliance.total > 0 && compliance.on_latest == compliance.total ? 1U : 0U;
  }
  return row;
}

Result<json::Object> group_json(store::Records& records, const GroupRow& row) {
  json::Object object;
  object["groupId"] = row.group.id.str();
  object["groupType"] = row.group.id.str() == kDefaultGroup ? "DefaultNoTag" : "IoTHubTag";
  object["createdDateTime"] = management_time(row.group.created);
  object["deviceCount"] = row.devices;
  object["subgroupsWithNewUpdatesAvailableCount"] = row.new_updates;
  object["subgroupsWithUpdatesInProgressCount"] = row.in_progress;
  object["subgroupsWithOnLatestUpdateCount"] = row.on_latest;
  GODWIT_TRY(const auto live, records.rollout().list_live(row.group.id, std::nullopt));
  json::Array deployments;
  std::set<std::int64_t> seen;
  for (const store::SubgroupDeployment& one : live) {
    if (!seen.insert(one.deployment).second) continue;
    GODWIT_TRY(const auto deployment, records.rollout().find_deployment_by_number(one.deployment));
    if (deployment) deployments.emplace_back(deployment->id.str());
  }
  object["deployments"] = std::move(deployments);
  return object;
}

Result<json::Object> subgroup_json(store::Records& records, const store::FleetSubgroup& subgroup) {
  json::Object object;
  object["deviceClassId"] = subgroup.class_id.str();
  object["groupId"] = subgroup.group.str();
  object["createdDateTime"] = management_time(subgroup.created);
  GODWIT_TRY(const auto counts, records.fleet().counts(subgroup.group, subgroup.class_id));
  std::uint64_t devices = 0;
  for (const store::FleetCount& count : counts) devices += count.devices;
  object["deviceCount"] = devices;
  // The one that runs; else the one that is waiting for its time.
  GODWIT_TRY(auto active, records.rollout().find_active(subgroup.group, subgroup.class_id));
  if (!active) {
    GODWIT_TRY(const auto live, records.rollout().list_live(subgroup.group, subgroup.class_id));
    if (!live.empty()) active = live.front();
  }
  if (!active) return object;
  GODWIT_TRY(const auto deployment, records.rollout().find_deployment_by_number(active->deployment));
  if (deployment) object["deploymentId"] = deployment->id.str();
  return object;
}

json::Object compliance_json(const Compliance& compliance) {
  json::Object object;
  object["totalDeviceCount"] = compliance.total;
  object["onLatestUpdateDeviceCount"] = compliance.on_latest;
  object["newUpdatesAvailableDeviceCount"] = compliance.new_available;
  object["updatesInProgressDeviceCount"] = compliance.in_progress;
  return object;
}

json::Object best_update_json(const GroupId& group, const DeviceClassId& class_id, const store::UpdateSummary& update,
                              std::uint64_t devices) {
  json::Object object;
  object["groupId"] = group.str();
  object["deviceClassId"] = class_id.str();
  object["update"] = update_info(update);
  object["deviceCount"] = devices;
  return object;
}

void sort_rows(std::vector<GroupRow>& rows, GroupOrder order, bool is_descending) {
  const auto number = [order](const GroupRow& row) -> std::int64_t {
    switch (order) {
      case GroupOrder::device_count: return static_cast<std::int64_t>(row.devices);
      case GroupOrder::created: return to_unix_ms(row.group.created);
      case GroupOrder::new_updates: return static_cast<std::int64_t>(row.new_updates);
      case GroupOrder::in_progress: return static_cast<std::int64_t>(row.in_progress);
      case GroupOrder::on_latest: return static_cast<std::int64_t>(row.on_latest);
      case GroupOrder::group_id: return 0;
    }
    return 0;
  };
  std::stable_sort(rows.begin(), rows.end(), [&](const GroupRow& a, const GroupRow& b) {
    const bool a_first = a.group.id.str() == kDefaultGroup;
    const bool b_first = b.group.id.str() == kDefaultGroup;
    if (a_first || b_first) return a_first && !b_first;
    if (number(a) != number(b)) return is_descending ? number(b) < number(a) : number(a) < number(b);
    if (order == GroupOrder::group_id && is_descending) return b.group.id < a.group.id;
    return a.group.id < b.group.id;
  });
}

/// A page of a list that is made anew for each request: the token is how many rows came before.
Result<std::size_t> offset_of(const std::string& token) {
  if (token.empty()) return std::size_t{0};
  if (token.size() > 9 || !std::all_of(token.begin(), token.end(), [](char c) { return c >= '0' && c <= '9'; }))
    return fail(Code::invalid_argument, "the continuation token is not one of this list");
  return static_cast<std::size_t>(std::stoul(token));
}

bool equal_in_any_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&lower](char x, char y) { return lower(x) == lower(y); });
}

bool has_properties(const CompatibilitySet& set, const std::vector<std::pair<std::string, std::string>>& wanted) {
  return std::all_of(wanted.begin(), wanted.end(), [&set](const auto& pair) {
    return std::any_of(set.begin(), set.end(), [&pair](const auto& own) {
      return equal_in_any_case(own.first, pair.first) && own.second == pair.second;
    });
  });
}

}  // namespace

Result<json::Object> Inventory::describe_group(const GroupId& id) const {
  return snapshot<json::Object>(store_, [&](store::Records& records) -> Result<json::Object> {
    GODWIT_TRY(const auto group, need_group(records, id));
    Lookup lookup(records);
    GODWIT_TRY(const auto row, group_row(records, group, lookup));
    return group_json(records, row);
  });
}

Result<FleetPage> Inventory::list_groups(GroupOrder order, bool is_descending, const std::string& token) const {
  return snapshot<FleetPage>(store_, [&](store::Records& records) -> Result<FleetPage> {
    GODWIT_TRY(const std::size_t offset, offset_of(token));
    GODWIT_TRY(const auto groups, records.fleet().list_groups());
    Lookup lookup(records);
    std::vector<GroupRow> rows;
    for (const store::FleetGroup& group : groups) {
      GODWIT_TRY(auto row, group_row(records, group, lookup));
      rows.push_back(std::move(row));
    }
    sort_rows(rows, order, is_descending);
    FleetPage page;
    for (std::size_t i = offset; i < rows.size() && page.values.size() < kFleetPageSize; ++i) {
      GODWIT_TRY(auto object, group_json(records, rows[i]));
      page.values.emplace_back(std::move(object));
    }
    if (const std::size_t shown = offset + page.values.size(); shown < rows.size())
      page.next_token = std::to_string(shown);
    return page;
  });
}

Result<void> Inventory::remove_group(const GroupId& id, const std::string& actor) {
  return store_.write([&](store::Records& records) -> Result<void> {
    GODWIT_TRY(const auto group, need_group(records, id));
    if (id.str() == kDefaultGroup) return fail(Code::conflict, "the group $default cannot be deleted");
    GODWIT_TRY(const auto counts, records.fleet().counts(group.id, std::nullopt));
    std::uint64_t devices = 0;
    for (const store::FleetCount& count : counts) devices += count.devices;
    if (devices > 0)
      return fail(Code::conflict, "group '" + id.str() + "' has " + std::to_string(devices) +
                                      " device(s), unhealthy ones included; give them another tag ADUGroup first");
    GODWIT_TRY(const auto deployments,
               records.rollout().list_deployments(group.id, std::nullopt, {}, 0, kDeploymentsOfAGroup));
    for (const store::DeploymentRecord& deployment : deployments) {
      GODWIT_TRY(const auto subgroups, records.rollout().list_subgroups(deployment.number));
      if (std::any_of(subgroups.begin(), subgroups.end(),
                      [](const auto& one) { return one.state != store::SubgroupDeploymentState::inactive; }))
        return fail(Code::conflict, "group '" + id.str() + "' has the deployment '" + deployment.id.str() +
                                        "'; cancel and delete it first");
    }
    for (const store::DeploymentRecord& deployment : deployments)
      GODWIT_TRY_VOID(records.rollout().remove_deployment(deployment.number));
    GODWIT_TRY(const auto subgroups, records.fleet().list_subgroups(group.id, std::nullopt));
    for (const store::FleetSubgroup& subgroup : subgroups) {
      GODWIT_TRY([[maybe_unused]] const bool was_there,
                 records.fleet().remove_subgroup(subgroup.group, subgroup.class_id));
    }
    GODWIT_TRY([[maybe_unused]] const bool was_there, records.fleet().remove_group(group.id));
    return audit(records, actor, "group.deleted", id.str());
  });
}

Result<json::Object> Inventory::describe_subgroup(const GroupId& group, const DeviceClassId& class_id) const {
  return snapshot<json::Object>(store_, [&](store::Records& records) -> Result<json::Object> {
    GODWIT_TRY(const auto subgroup, need_subgroup(records, group, class_id));
    return subgroup_json(records, subgroup);
  });
}

Result<FleetPage> Inventory::list_subgroups(const GroupId& group,
                                            const std::vector<std::pair<std::string, std::string>>& properties) const {
  return snapshot<FleetPage>(store_, [&](store::Records& records) -> Result<FleetPage> {
    GODWIT_TRY(const auto known, need_group(records, group));
    GODWIT_TRY(const auto subgroups, records.fleet().list_subgroups(known.id, std::nullopt));
    FleetPage page;
    for (const store::FleetSubgroup& subgroup : subgroups) {
      GODWIT_TRY(const auto one, records.fleet().find_class(subgroup.class_id));
      if (!one || !has_properties(one->value.compatibility, properties)) continue;
      GODWIT_TRY(auto object, subgroup_json(records, subgroup));
      page.values.emplace_back(std::move(object));
    }
    return page;
  });
}

Result<void> Inventory::remove_subgroup(const GroupId& group, const DeviceClassId& class_id, const std::string& actor) {
  return store_.write([&](store::Records& records) -> Result<void> {
    GODWIT_TRY(const auto subgroup, need_subgroup(records, group, class_id));
    GODWIT_TRY(const auto counts, records.fleet().counts(group, class_id));
    if (!counts.empty())
      return fail(Code::conflict, "the subgroup has devices; it can be deleted when they have left it");
    GODWIT_TRY(const auto live, records.rollout().list_live(group, class_id));
    if (!live.empty()) return fail(Code::conflict, "the subgroup has a live deployment; cancel it first");
    GODWIT_TRY([[maybe_unused]] const bool was_there,
               records.fleet().remove_subgroup(subgroup.group, subgroup.class_id));
    return audit(records, actor, "subgroup.deleted", group.str() + "/" + class_id.str());
  });
}

Result<json::Object> Inventory::compliance(const std::optional<GroupId>& group,
                                           const std::optional<DeviceClassId>& class_id) const {
  return snapshot<json::Object>(store_, [&](store::Records& records) -> Result<json::Object> {
    if (group && class_id) {
      GODWIT_TRY([[maybe_unused]] const auto subgroup, need_subgroup(records, *group, *class_id));
    } else if (group) {
      GODWIT_TRY([[maybe_unused]] const auto known, need_group(records, *group));
    }
    Lookup lookup(records);
    GODWIT_TRY(const BestUpdates* best, lookup.best());
    GODWIT_TRY(const auto counts, records.fleet().counts(group, class_id));
    return compliance_json(compliance_of(counts, *best));
  });
}

Result<FleetPage> Inventory::best_updates(const GroupId& group) const {
  return snapshot<FleetPage>(store_, [&](store::Records& records) -> Result<FleetPage> {
    GODWIT_TRY(const auto known, need_group(records, group));
    Lookup lookup(records);
    GODWIT_TRY(const BestUpdates* best, lookup.best());
    GODWIT_TRY(const auto counts, records.fleet().counts(known.id, std::nullopt));
    FleetPage page;
    for (const auto& [class_id, compliance] : by_class(counts, *best)) {
      const auto update = best->find(class_id);
      if (update != best->end() && compliance.on_latest < compliance.total)
        page.values.emplace_back(
            best_update_json(group, class_id, update->second, compliance.total - compliance.on_latest));
    }
    return page;
  });
}

Result<json::Object> Inventory::best_update(const GroupId& group, const DeviceClassId& class_id) const {
  return snapshot<json::Object>(store_, [&](store::Records& records) -> Result<json::Object> {
    GODWIT_TRY([[maybe_unused]] const auto subgroup, need_subgroup(records, group, class_id));
    Lookup lookup(records);
    GODWIT_TRY(const BestUpdates* best, lookup.best());
    const auto update = best->find(class_id);
    if (update == best->end()) return fail(Code::not_found, "no imported update fits device class " + class_id.str());
    GODWIT_TRY(const auto counts, records.fleet().counts(group, class_id));
    const Compliance compliance = compliance_of(counts, *best);
    return best_update_json(group, class_id, update->second, compliance.total - compliance.on_latest);
  });
}

}  // namespace godwit::service
