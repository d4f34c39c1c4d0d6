#include <algorithm>
#include <iterator>

#include "server/store/sqlite/fleet_columns.hpp"
#include "server/store/sqlite/rollout.hpp"
#include "server/store/sqlite/rows.hpp"

namespace godwit::store::sqlite {
namespace {

constexpr std::string_view kSelectDevice =
    "SELECT deployment, device_id, group_id, class_id, workflow_id, state, retry_count, retry_timestamp, moved_on, "
    "rounds, heard, result_json, "
    "urls_expire_at, began, give_up, created, updated FROM deployment_devices";
constexpr std::int64_t kNotHeard = -1;

Result<DeploymentDevice> read_device(Statement& row) {
  GODWIT_TRY(auto device, stored_id<IdentityId>(row.text_view(1), "device id"));
  GODWIT_TRY(auto group, stored_id<GroupId>(row.text_view(2), "group id"));
  GODWIT_TRY(auto class_id, stored_id<DeviceClassId>(row.text_view(3), "device class id"));
  GODWIT_TRY(const DeviceState state, stored_state(row.integer(5)));
  return DeploymentDevice{
      .deployment = row.integer(0),
      .device = std::move(device),
      .group = std::move(group),
      .class_id = std::move(class_id),
      .workflow_id = row.text(4),
      .state = state,
      .retry_count = static_cast<std::int32_t>(row.integer(6)),
      .retry_timestamp = row.text(7),
      .moved_on = row.boolean(8),
      .rounds = static_cast<std::int32_t>(row.integer(9)),
      .heard = row.integer(10) == kNotHeard ? std::nullopt : std::optional(static_cast<AgentState>(row.integer(10))),
      .result_json = row.text(11),
      .urls_expire_at = row.time(12),
      .began = row.time(13),
      .give_up = row.time(14),
      .created = row.time(15),
      .updated = row.time(16)};
}

Result<DeploymentCount> read_count(Statement& row) {
  GODWIT_TRY(auto class_id, stored_id<DeviceClassId>(row.text_view(1), "device class id"));
  GODWIT_TRY(const DeviceState state, stored_state(row.integer(2)));
  return DeploymentCount{.deployment = row.integer(0),
                         .class_id = std::move(class_id),
                         .state = state,
                         .devices = static_cast<std::uint64_t>(row.integer(3))};
}

}  // namespace

Result<void> SqliteRollout::save_device(const DeploymentDevice& row) {
  return connection_.run(
      "INSERT INTO deployment_devices (deployment, device_id, group_id, class_id, workflow_id, state, retry_count, "
      "retry_timestamp, moved_on, rounds, heard, "
      "result_json, urls_expire_at, began, give_up, created, updated) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
      "?, "
      "?, ?, ?) "
      "ON CONFLICT (deployment, device_id) DO UPDATE SET class_id = excluded.class_id, workflow_id = "
      "excluded.workflow_id, state = excluded.state, "
      "retry_count = excluded.retry_count, retry_timestamp = excluded.retry_timestamp, moved_on = excluded.moved_on, "
      "rounds = excluded.rounds, "
      "heard = excluded.heard, result_json = excluded.result_json, urls_expire_at = excluded.urls_expire_at, "
      "began = excluded.began, give_up = excluded.give_up, updated = excluded.updated",
      row.deployment, row.device.str(), row.group.str(), row.class_id.str(), row.workflow_id, column(row.state),
      row.retry_count, row.retry_timestamp, row.moved_on, row.rounds,
      row.heard ? static_cast<std::int64_t>(*row.heard) : kNotHeard, row.result_json, row.urls_expire_at, row.began,
      row.give_up, row.created, row.updated);
}

Result<std::optional<DeploymentDevice>> SqliteRollout::find_device(std::int64_t deployment, const IdentityId& device) {
  GODWIT_TRY(auto rows, connection_.prepare(std::string(kSelectDevice) + " WHERE deployment = ? AND device_id = ?"));
  rows.bind(deployment, device.str());
  return one(rows, read_device);
}

Result<std::optional<DeploymentDevice>> SqliteRollout::find_by_workflow(const IdentityId& device,
                                                                        const std::string& workflow_id) {
  GODWIT_TRY(auto rows, connection_.prepare(std::string(kSelectDevice) + " WHERE device_id = ? AND workflow_id = ?"));
  rows.bind(device.str(), workflow_id);
  return one(rows, read_device);
}

Result<std::vector<DeploymentDevice>> SqliteRollout::list_range(std::int64_t deployment, const Part* part,
                                                                const TextRange& range, std::size_t limit) {
  std::string sql = std::string(kSelectDevice) + " WHERE deployment = ? AND device_id >= ? AND device_id < ?";
  if (part) sql += " AND class_id = ? AND state = ?";
  GODWIT_TRY(auto rows, connection_.prepare(sql + " ORDER BY device_id LIMIT ?"));
  rows.bind(deployment, range.from, range.to);
  if (part) rows.bind(part->class_id, part->state);
  rows.bind(limit);
  return all(rows, read_device);
}

// A list by class or state reads, for each pair of both that has devices, a range of the index that holds the pair, and
// merges them: nothing is read that is not shown, however large the deployment is.
Result<std::vector<DeploymentDevice>> SqliteRollout::list_devices(std::int64_t deployment,
                                                                  const DeploymentDeviceFilter& filter,
                                                                  const std::string& after, std::size_t limit) {
  std::vector<DeploymentDevice> devices;
  const auto add = [&](const Part* part, const TextRange& range) -> Result<void> {
    GODWIT_TRY(auto found, list_range(deployment, part, range, limit));
    std::move(found.begin(), found.end(), std::back_inserter(devices));
    return {};
  };
  std::vector<Part> parts;
  if (filter.class_id || filter.state) {
    GODWIT_TRY(const auto counters, counts(deployment));
    for (const DeploymentCount& one : counters)
      if ((!filter.class_id || one.class_id == *filter.class_id) && (!filter.state || one.state == *filter.state))
        parts.push_back({one.class_id.str(), column(one.state)});
  }
  for (const TextRange& range : identity_ranges(filter.device, after)) {
    if (!filter.class_id && !filter.state) GODWIT_TRY_VOID(add(nullptr, range));
    for (const Part& part : parts) GODWIT_TRY_VOID(add(&part, range));
  }
  std::sort(devices.begin(), devices.end(), [](const auto& a, const auto& b) { return a.device < b.device; });
  if (devices.size() > limit) devices.erase(devices.begin() + static_cast<std::ptrdiff_t>(limit), devices.end());
  return devices;
}

Result<std::vector<DeploymentDevice>> SqliteRollout::list_expiring(WallTime time, std::size_t limit) {
  // The literal state is that of the partial index (DeviceState::in_progress).
  GODWIT_TRY(auto rows,
             connection_.prepare(std::string(kSelectDevice) +
                                 " WHERE state = 1 AND urls_expire_at < ? ORDER BY urls_expire_at, device_id LIMIT ?"));
  rows.bind(time, limit);
  return all(rows, read_device);
}

Result<void> SqliteRollout::end_urls() {
  return connection_.run("UPDATE deployment_devices SET urls_expire_at = 0 WHERE state = 1");
}

Result<std::vector<DeploymentDevice>> SqliteRollout::list_overdue(WallTime now, std::size_t limit) {
  GODWIT_TRY(auto rows, connection_.prepare(std::string(kSelectDevice) +
                                            " WHERE state = 1 AND give_up <= ? ORDER BY give_up, device_id LIMIT ?"));
  rows.bind(now, limit);
  return all(rows, read_device);
}

Result<void> SqliteRollout::remove_device(const IdentityId& device) {
  GODWIT_TRY_VOID(connection_.run("DELETE FROM deployment_devices WHERE device_id = ?", device.str()));
  return connection_.run("DELETE FROM device_reports WHERE device_id = ?", device.str());
}

Result<std::vector<DeploymentCount>> SqliteRollout::counts(std::int64_t deployment) {
  GODWIT_TRY(auto rows, connection_.prepare("SELECT deployment, class_id, state, devices FROM deployment_counts WHERE "
                                            "deployment = ? ORDER BY class_id, state"));
  rows.bind(deployment);
  return all(rows, read_count);
}

Result<std::vector<DeploymentCount>> SqliteRollout::recount() {
  GODWIT_TRY(auto rows, connection_.prepare("SELECT deployment, class_id, state, count(*) FROM deployment_devices "
                                            "GROUP BY deployment, class_id, state ORDER BY 1, 2, 3"));
  return all(rows, read_count);
}

Result<std::vector<DeploymentCount>> SqliteRollout::all_counts() {
  GODWIT_TRY(auto rows, connection_.prepare(
                            "SELECT deployment, class_id, state, devices FROM deployment_counts ORDER BY 1, 2, 3"));
  return all(rows, read_count);
}

Result<DeploymentSpan> SqliteRollout::span(std::int64_t deployment) {
  GODWIT_TRY(auto rows, connection_.prepare("SELECT count(*), ifnull(min(created), 0), ifnull(max(updated), 0) FROM "
                                            "deployment_devices WHERE deployment = ?"));
  rows.bind(deployment);
  GODWIT_TRY(const auto found, one(rows, [](Statement& row) -> Result<DeploymentSpan> {
               return DeploymentSpan{.first = row.time(1), .last = row.time(2), .has_devices = row.integer(0) > 0};
             }));
  return found.value_or(DeploymentSpan{});
}

Result<std::vector<DeploymentStep>> SqliteRollout::steps(std::int64_t deployment, WallTime from, Duration step) {
  constexpr std::int64_t kTakenUp = -1;
  // The literal state is that of DeviceState::in_progress.
  GODWIT_TRY(auto rows,
             connection_.prepare("SELECT max(0, (created - ?2) / ?3) AS step, -1 AS state, count(*) FROM "
                                 "deployment_devices WHERE deployment = ?1 GROUP BY 1 UNION ALL "
                                 "SELECT max(0, (updated - ?2) / ?3), state, count(*) FROM deployment_devices WHERE "
                                 "deployment = ?1 AND state <> 1 GROUP BY 1, 2 ORDER BY step, state"));
  rows.bind(deployment, from, step.count());
  return all(rows, [](Statement& row) -> Result<DeploymentStep> {
    DeploymentStep found{.step = static_cast<std::size_t>(row.integer(0)),
                         .devices = static_cast<std::uint64_t>(row.integer(2))};
    if (row.integer(1) == kTakenUp) return found;
    GODWIT_TRY(found.state, stored_state(row.integer(1)));
    return found;
  });
}

}  // namespace godwit::store::sqlite
