#include "server/store/sqlite/rollout.hpp"

#include "server/store/sqlite/fleet_columns.hpp"
#include "server/store/sqlite/rows.hpp"

namespace godwit::store::sqlite {
namespace {

constexpr std::string_view kSelectDeployment =
    "SELECT d.number, d.group_id, d.id, d.update_id, d.start, d.created, d.rollback_update, d.rollback_percentage, "
    "d.rollback_count, d.is_rollback FROM deployments d";
constexpr std::string_view kSelectSubgroup =
    "SELECT deployment, class_id, group_id, state, start, is_retried, sweep, sweep_after, retry_timestamp, error_code, "
    "error_message FROM subgroup_deployments";

Result<DeploymentRecord> read_deployment(Statement& row) {
  GODWIT_TRY(auto group, stored_id<GroupId>(row.text_view(1), "group id"));
  GODWIT_TRY(auto id, stored_id<DeploymentId>(row.text_view(2), "deployment id"));
  GODWIT_TRY(auto update, stored_update(row.text_view(3)));
  GODWIT_TRY(auto rollback_update, stored_update_or_nothing(row.text_view(6)));
  DeploymentRecord deployment{.number = row.integer(0),
                              .group = std::move(group),
                              .id = std::move(id),
                              .update = std::move(update),
                              .start = row.time(4),
                              .created = row.time(5),
                              .is_rollback = row.boolean(9)};
  if (rollback_update)
    deployment.rollback = RollbackPolicy{.update = *std::move(rollback_update),
                                         .failed_percentage = static_cast<std::int32_t>(row.integer(7)),
                                         .failed_count = static_cast<std::int32_t>(row.integer(8))};
  return deployment;
}

Result<SubgroupDeployment> read_subgroup(Statement& row) {
  GODWIT_TRY(auto class_id, stored_id<DeviceClassId>(row.text_view(1), "device class id"));
  GODWIT_TRY(auto group, stored_id<GroupId>(row.text_view(2), "group id"));
  if (row.integer(3) < 0 || row.integer(3) > static_cast<std::int64_t>(SubgroupDeploymentState::failed))
    return fail(Code::database_failed, "stored deployment state " + std::to_string(row.integer(3)) + " is unknown");
  if (row.integer(6) < 0 || row.integer(6) > static_cast<std::int64_t>(Sweep::retry))
    return fail(Code::database_failed, "stored sweep " + std::to_string(row.integer(6)) + " is unknown");
  return SubgroupDeployment{.deployment = row.integer(0),
                            .group = std::move(group),
                            .class_id = std::move(class_id),
                            .state = static_cast<SubgroupDeploymentState>(row.integer(3)),
                            .start = row.time(4),
                            .is_retried = row.boolean(5),
                            .sweep = static_cast<Sweep>(row.integer(6)),
                            .sweep_after = row.text(7),
                            .retry_timestamp = row.text(8),
                            .error_code = row.text(9),
                            .error_message = row.text(10)};
}

}  // namespace

Result<std::int64_t> SqliteRollout::insert_deployment(const DeploymentRecord& deployment) {
  GODWIT_TRY(const auto existing, find_deployment(deployment.group, deployment.id));
  if (existing)
    return fail(Code::conflict,
                "group '" + deployment.group.str() + "' has a deployment '" + deployment.id.str() + "' already");
  const RollbackPolicy* policy = deployment.rollback ? &*deployment.rollback : nullptr;
  GODWIT_TRY_VOID(connection_.run(
      "INSERT INTO deployments (group_id, id, update_id, start, created, rollback_update, rollback_percentage, "
      "rollback_count, is_rollback) "
      "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
      deployment.group.str(), deployment.id.str(), deployment.update.str(), deployment.start, deployment.created,
      policy ? policy->update.str() : std::string{}, policy ? policy->failed_percentage : 0,
      policy ? policy->failed_count : 0, deployment.is_rollback));
  return connection_.last_row_id();
}

Result<std::optional<DeploymentRecord>> SqliteRollout::find_deployment(const GroupId& group, const DeploymentId& id) {
  GODWIT_TRY(auto rows, connection_.prepare(std::string(kSelectDeployment) + " WHERE d.group_id = ? AND d.id = ?"));
  rows.bind(group.str(), id.str());
  return one(rows, read_deployment);
}

Result<std::optional<DeploymentRecord>> SqliteRollout::find_deployment_by_number(std::int64_t number) {
  GODWIT_TRY(auto rows, connection_.prepare(std::string(kSelectDeployment) + " WHERE d.number = ?"));
  rows.bind(number);
  return one(rows, read_deployment);
}

Result<std::vector<DeploymentRecord>> SqliteRollout::list_deployments(const GroupId& group,
                                                                      const std::optional<DeviceClassId>& class_id,
                                                                      ListOrder order, std::size_t offset,
                                                                      std::size_t limit) {
  std::string sql = std::string(kSelectDeployment) + " WHERE d.group_id = ?";
  if (class_id)
    sql += " AND EXISTS (SELECT 1 FROM subgroup_deployments s WHERE s.deployment = d.number AND s.class_id = ?)";
  const std::string direction = order.is_descending ? " DESC" : " ASC";
  sql += order.by_start ? " ORDER BY d.start" + direction + ", d.number" + direction : " ORDER BY d.number" + direction;
  GODWIT_TRY(auto rows, connection_.prepare(sql + " LIMIT ? OFFSET ?"));
  rows.bind(group.str());
  if (class_id) rows.bind(class_id->str());
  rows.bind(limit, offset);
  return all(rows, read_deployment);
}

Result<std::uint64_t> SqliteRollout::count_deployments() {
  GODWIT_TRY(auto rows, connection_.prepare("SELECT count(*) FROM deployments"));
  GODWIT_TRY(const bool is_there, rows.next());
  return is_there ? static_cast<std::uint64_t>(rows.integer(0)) : 0U;
}

Result<void> SqliteRollout::remove_deployment(std::int64_t number) {
  GODWIT_TRY_VOID(connection_.run("DELETE FROM deployment_devices WHERE deployment = ?", number));
  GODWIT_TRY_VOID(connection_.run("DELETE FROM subgroup_deployments WHERE deployment = ?", number));
  return connection_.run("DELETE FROM deployments WHERE number = ?", number);
}

Result<bool> SqliteRollout::is_update_in_use(const UpdateId& update) {
  GODWIT_TRY(auto rows,
             connection_.prepare("SELECT 1 FROM subgroup_deployments s JOIN deployments d ON d.number = s.deployment "
                                 "WHERE s.state IN (0, 1) AND (d.update_id = ? OR d.rollback_update = ?) LIMIT 1"));
  rows.bind(update.str(), update.str());
  return rows.next();
}

Result<void> SqliteRollout::save_subgroup(const SubgroupDeployment& subgroup) {
  return connection_.run(
      "INSERT INTO subgroup_deployments (deployment, class_id, group_id, state, start, is_retried, sweep, sweep_after, "
      "retry_timestamp, error_code, error_message) "
      "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (deployment, class_id) DO UPDATE SET state = "
      "excluded.state, start = excluded.start, "
      "is_retried = excluded.is_retried, sweep = excluded.sweep, sweep_after = excluded.sweep_after, retry_timestamp = "
      "excluded.retry_timestamp, "
      "error_code = excluded.error_code, error_message = excluded.error_message",
      subgroup.deployment, subgroup.class_id.str(), subgroup.group.str(), static_cast<int>(subgroup.state),
      subgroup.start, subgroup.is_retried, static_cast<int>(subgroup.sweep), subgroup.sweep_after,
      subgroup.retry_timestamp, subgroup.error_code, subgroup.error_message);
}

Result<std::optional<SubgroupDeployment>> SqliteRollout::find_subgroup(std::int64_t deployment,
                                                                       const DeviceClassId& class_id) {
  GODWIT_TRY(auto rows, connection_.prepare(std::string(kSelectSubgroup) + " WHERE deployment = ? AND class_id = ?"));
  rows.bind(deployment, class_id.str());
  return one(rows, read_subgroup);
}

Result<std::vector<SubgroupDeployment>> SqliteRollout::list_subgroups(std::int64_t deployment) {
  GODWIT_TRY(auto rows, connection_.prepare(std::string(kSelectSubgroup) + " WHERE deployment = ? ORDER BY class_id"));
  rows.bind(deployment);
  return all(rows, read_subgroup);
}

Result<std::optional<SubgroupDeployment>> SqliteRollout::find_active(const GroupId& group,
                                                                     const DeviceClassId& class_id) {
  GODWIT_TRY(auto rows,
             connection_.prepare(std::string(kSelectSubgroup) + " WHERE group_id = ? AND class_id = ? AND state = 1"));
  rows.bind(group.str(), class_id.str());
  return one(rows, read_subgroup);
}

Result<std::vector<SubgroupDeployment>> SqliteRollout::list_live(const GroupId& group,
                                                                 const std::optional<DeviceClassId>& class_id) {
  std::string sql = std::string(kSelectSubgroup) + " WHERE group_id = ?";
  if (class_id) sql += " AND class_id = ?";
  GODWIT_TRY(auto rows, connection_.prepare(sql + " AND state IN (0, 1) ORDER BY start, deployment, class_id"));
  rows.bind(group.str());
  if (class_id) rows.bind(class_id->str());
  return all(rows, read_subgroup);
}

Result<std::uint64_t> SqliteRollout::count_live() {
  GODWIT_TRY(auto rows,
             connection_.prepare("SELECT count(DISTINCT deployment) FROM subgroup_deployments WHERE state IN (0, 1)"));
  GODWIT_TRY(const bool is_there, rows.next());
  return is_there ? static_cast<std::uint64_t>(rows.integer(0)) : 0U;
}

Result<void> SqliteRollout::remove_subgroup(std::int64_t deployment, const DeviceClassId& class_id) {
  GODWIT_TRY_VOID(connection_.run("DELETE FROM deployment_devices WHERE deployment = ? AND class_id = ?", deployment,
                                  class_id.str()));
  return connection_.run("DELETE FROM subgroup_deployments WHERE deployment = ? AND class_id = ?", deployment,
                         class_id.str());
}

Result<std::vector<SubgroupDeployment>> SqliteRollout::list_due(WallTime now, std::size_t limit) {
  GODWIT_TRY(auto rows,
             connection_.prepare(std::string(kSelectSubgroup) +
                                 " WHERE state = 0 AND start <= ? ORDER BY start, deployment, class_id LIMIT ?"));
  rows.bind(now, limit);
  return all(rows, read_subgroup);
}

Result<std::vector<SubgroupDeployment>> SqliteRollout::list_sweeping(std::size_t limit) {
  GODWIT_TRY(auto rows, connection_.prepare(std::string(kSelectSubgroup) +
                                            " WHERE sweep <> 0 ORDER BY deployment, class_id LIMIT ?"));
  rows.bind(limit);
  return all(rows, read_subgroup);
}

}  // namespace godwit::store::sqlite
