// Classes, groups, subgroups and operations of the fleet.
#include "server/store/sqlite/fleet.hpp"
#include "server/store/sqlite/fleet_columns.hpp"
#include "server/store/sqlite/rows.hpp"

namespace godwit::store::sqlite {
namespace {

constexpr std::string_view kOperationColumns =
    "id, status, kind, after, error_code, error_message, etag, created, last_action";

Result<FleetClass> read_class(Statement& row) {
  GODWIT_TRY(auto id, stored_id<DeviceClassId>(row.text_view(0), "device class id"));
  GODWIT_TRY(const auto json, stored_json(row.text_view(1), "compatibility of class " + id.str()));
  auto set = compatibility_set_from_json(json, "compatibility");
  if (!set) return damaged("device class", set.error());
  if (row.integer(2) < 1 || row.integer(2) > 3)
    return fail(Code::database_failed, "stored contract model of class " + id.str() + " is unknown");
  return FleetClass{.id = std::move(id),
                    .value = {.compatibility = *std::move(set), .contract = static_cast<ContractModel>(row.integer(2))},
                    .friendly_name = row.text(3),
                    .created = row.time(4)};
}

Result<FleetSubgroup> read_subgroup(Statement& row) {
  GODWIT_TRY(auto group, stored_id<GroupId>(row.text_view(0), "group id"));
  GODWIT_TRY(auto class_id, stored_id<DeviceClassId>(row.text_view(1), "device class id"));
  return FleetSubgroup{.group = std::move(group), .class_id = std::move(class_id), .created = row.time(2)};
}

Result<FleetOperation> read_operation(Statement& row) {
  if (row.integer(1) < 0 || row.integer(1) > 3)
    return fail(Code::database_failed, "stored operation status is unknown");
  return FleetOperation{.id = row.text(0),
                        .status = static_cast<OperationStatus>(row.integer(1)),
                        .kind = row.text(2),
                        .after = row.text(3),
                        .error_code = row.text(4),
                        .error_message = row.text(5),
                        .etag = static_cast<std::uint64_t>(row.integer(6)),
                        .created = row.time(7),
                        .last_action = row.time(8)};
}

Result<FleetGroup> read_group(Statement& row) {
  GODWIT_TRY(auto id, stored_id<GroupId>(row.text_view(0), "group id"));
  return FleetGroup{.id = std::move(id), .created = row.time(1)};
}

}  // namespace

Result<std::optional<FleetClass>> SqliteFleet::find_class(const DeviceClassId& id) {
  GODWIT_TRY(auto rows,
             connection_.prepare(
                 "SELECT id, compatibility, contract, friendly_name, created FROM fleet_classes WHERE id = ?"));
  rows.bind(id.str());
  return one(rows, read_class);
}

Result<void> SqliteFleet::save_class(const FleetClass& value) {
  return connection_.run(
      "INSERT INTO fleet_classes (id, compatibility, contract, friendly_name, created) VALUES (?, ?, ?, ?, ?) "
      "ON CONFLICT (id) DO UPDATE SET friendly_name = excluded.friendly_name",
      value.id.str(), json::print(to_json(value.value.compatibility)), static_cast<int>(value.value.contract),
      value.friendly_name, value.created);
}

Result<bool> SqliteFleet::remove_class(const DeviceClassId& id) {
  GODWIT_TRY_VOID(connection_.run("DELETE FROM fleet_classes WHERE id = ?", id.str()));
  return connection_.changes() > 0;
}

Result<std::uint64_t> SqliteFleet::count_classes() { return count(connection_, "SELECT count(*) FROM fleet_classes"); }

Result<std::vector<FleetClass>> SqliteFleet::list_classes(const std::optional<std::string>& friendly_name,
                                                          const std::string& after, std::size_t limit) {
  std::string sql = "SELECT id, compatibility, contract, friendly_name, created FROM fleet_classes WHERE id > ?";
  if (friendly_name) sql += " AND friendly_name = ?";
  GODWIT_TRY(auto rows, connection_.prepare(sql + " ORDER BY id LIMIT ?"));
  rows.bind(after);
  if (friendly_name) rows.bind(*friendly_name);
  rows.bind(limit);
  return all(rows, read_class);
}

Result<std::optional<FleetGroup>> SqliteFleet::find_group(const GroupId& id) {
  GODWIT_TRY(auto rows, connection_.prepare("SELECT id, created FROM fleet_groups WHERE id = ?"));
  rows.bind(id.str());
  return one(rows, read_group);
}

Result<void> SqliteFleet::save_group(const FleetGroup& group) {
  return connection_.run("INSERT INTO fleet_groups (id, created) VALUES (?, ?) ON CONFLICT (id) DO NOTHING",
                         group.id.str(), group.created);
}

Result<bool> SqliteFleet::remove_group(const GroupId& id) {
  GODWIT_TRY_VOID(connection_.run("DELETE FROM fleet_groups WHERE id = ?", id.str()));
  return connection_.changes() > 0;
}

Result<std::uint64_t> SqliteFleet::count_groups() { return count(connection_, "SELECT count(*) FROM fleet_groups"); }

Result<std::vector<FleetGroup>> SqliteFleet::list_groups() {
  GODWIT_TRY(auto rows, connection_.prepare("SELECT id, created FROM fleet_groups ORDER BY id"));
  return all(rows, read_group);
}

Result<std::optional<FleetSubgroup>> SqliteFleet::find_subgroup(const GroupId& group, const DeviceClassId& class_id) {
  GODWIT_TRY(auto rows,
             connection_.prepare(
                 "SELECT group_id, class_id, created FROM fleet_subgroups WHERE group_id = ? AND class_id = ?"));
  rows.bind(group.str(), class_id.str());
  return one(rows, read_subgroup);
}

Result<void> SqliteFleet::save_subgroup(const FleetSubgroup& subgroup) {
  return connection_.run(
      "INSERT INTO fleet_subgroups (group_id, class_id, created) VALUES (?, ?, ?) ON CONFLICT (group_id, class_id) DO "
      "NOTHING",
      subgroup.group.str(), subgroup.class_id.str(), subgroup.created);
}

Result<bool> SqliteFleet::remove_subgroup(const GroupId& group, const DeviceClassId& class_id) {
  GODWIT_TRY_VOID(
      connection_.run("DELETE FROM fleet_subgroups WHERE group_id = ? AND class_id = ?", group.str(), class_id.str()));
  return connection_.changes() > 0;
}

Result<std::vector<FleetSubgroup>> SqliteFleet::list_subgroups(const std::optional<GroupId>& group,
                                                               const std::optional<DeviceClassId>& class_id) {
  std::string sql = "SELECT group_id, class_id, created FROM fleet_subgroups WHERE 1";
  if (group) sql += " AND group_id = ?";
  if (class_id) sql += " AND class_id = ?";
  GODWIT_TRY(auto rows, connection_.prepare(sql + " ORDER BY group_id, class_id"));
  if (group) rows.bind(group->str());
  if (class_id) rows.bind(class_id->str());
  return all(rows, read_subgroup);
}

Result<std::optional<FleetOperation>> SqliteFleet::find_operation(const std::string& id) {
  GODWIT_TRY(auto rows,
             connection_.prepare("SELECT " + std::string(kOperationColumns) + " FROM fleet_operations WHERE id = ?"));
  rows.bind(id);
  return one(rows, read_operation);
}

Result<void> SqliteFleet::save_operation(const FleetOperation& operation) {
  return connection_.run(
      "INSERT INTO fleet_operations (id, status, kind, after, error_code, error_message, etag, created, last_action) "
      "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET status = excluded.status, after = "
      "excluded.after, "
      "error_code = excluded.error_code, error_message = excluded.error_message, etag = excluded.etag, last_action = "
      "excluded.last_action",
      operation.id, static_cast<int>(operation.status), operation.kind, operation.after, operation.error_code,
      operation.error_message, operation.etag, operation.created, operation.last_action);
}

Result<std::vector<FleetOperation>> SqliteFleet::list_operations(bool only_unfinished, std::size_t limit) {
  GODWIT_TRY(auto rows,
             connection_.prepare("SELECT " + std::string(kOperationColumns) + " FROM fleet_operations" +
                                 (only_unfinished ? " WHERE status < 2" : "") + " ORDER BY created DESC, id LIMIT ?"));
  rows.bind(limit);
  return all(rows, read_operation);
}

Result<void> SqliteFleet::remove_operations_before(WallTime time) {
  return connection_.run("DELETE FROM fleet_operations WHERE status >= 2 AND last_action < ?", time);
}

}  // namespace godwit::store::sqlite
