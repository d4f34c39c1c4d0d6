#include "server/store/sqlite/fleet.hpp"

#include <algorithm>
#include <iterator>

#include "server/store/sqlite/fleet_columns.hpp"
#include "server/store/sqlite/rows.hpp"

namespace godwit::store::sqlite {
namespace {

constexpr std::string_view kDeviceColumns =
    "id, group_id, class_id, failed_check, health_problem, model_id, installed, attempted, deployment, "
    "last_deployment_id, state, result_json, created, updated";

Result<FleetDevice> read_device(Statement& row) {
  GODWIT_TRY(auto id, stored_id<IdentityId>(row.text_view(0), "device id"));
  GODWIT_TRY(auto group, stored_id<GroupId>(row.text_view(1), "group id"));
  GODWIT_TRY(auto class_id, stored_id_or_nothing<DeviceClassId>(row.text_view(2), "device class id"));
  GODWIT_TRY(auto installed, stored_update_or_nothing(row.text_view(6)));
  GODWIT_TRY(auto attempted, stored_update_or_nothing(row.text_view(7)));
  GODWIT_TRY(const auto state, stored_state_or_nothing(row.integer(10)));
  return FleetDevice{.id = std::move(id),
                     .group = std::move(group),
                     .class_id = std::move(class_id),
                     .failed_check = row.text(3),
                     .health_problem = row.text(4),
                     .model_id = row.text(5),
                     .installed = std::move(installed),
                     .attempted = std::move(attempted),
                     .deployment = row.integer(8),
                     .last_deployment_id = row.text(9),
                     .state = state,
                     .result_json = row.text(11),
                     .created = row.time(12),
                     .updated = row.time(13)};
}

Result<FleetCount> read_count(Statement& row) {
  GODWIT_TRY(auto group, stored_id<GroupId>(row.text_view(0), "group id"));
  GODWIT_TRY(auto class_id, stored_id_or_nothing<DeviceClassId>(row.text_view(1), "device class id"));
  GODWIT_TRY(auto installed, stored_update_or_nothing(row.text_view(2)));
  GODWIT_TRY(auto attempted, stored_update_or_nothing(row.text_view(3)));
  GODWIT_TRY(const auto state, stored_state_or_nothing(row.integer(4)));
  return FleetCount{.group = std::move(group),
                    .class_id = std::move(class_id),
                    .installed = std::move(installed),
                    .attempted = std::move(attempted),
                    .state = state,
                    .devices = static_cast<std::uint64_t>(row.integer(5))};
}

}  // namespace

Result<UpdateId> stored_update(std::string_view text) {
  const auto first = text.find('/');
  const auto second = first == std::string_view::npos ? first : text.find('/', first + 1);
  if (second == std::string_view::npos)
    return fail(Code::database_failed, "stored update id '" + std::string(text) + "' cannot be read");
  auto id = UpdateId::parse(text.substr(0, first), text.substr(first + 1, second - first - 1), text.substr(second + 1));
  if (!id) return damaged("update id", id.error());
  return *std::move(id);
}

Result<std::optional<UpdateId>> stored_update_or_nothing(std::string_view text) {
  if (text.empty()) return std::optional<UpdateId>{};
  GODWIT_TRY(auto id, stored_update(text));
  return std::optional<UpdateId>{std::move(id)};
}

std::vector<TextRange> identity_ranges(const std::optional<IdentityId>& wanted, const std::string& after) {
  const std::string start = after.empty() ? after : after + '\x01';
  if (!wanted) return {{start, "\x7F"}};
  const std::string& id = wanted->str();
  std::vector<TextRange> ranges{{std::max(start, id), id + '\x01'}};
  if (!wanted->is_module()) ranges.push_back({std::max(start, id + '/'), id + static_cast<char>('/' + 1)});
  std::erase_if(ranges, [](const TextRange& range) { return range.from >= range.to; });
  return ranges;
}

Result<DeviceState> stored_state(std::int64_t number) {
  if (number < 0 || number > static_cast<std::int64_t>(DeviceState::failed))
    return fail(Code::database_failed, "stored device state " + std::to_string(number) + " is unknown");
  return static_cast<DeviceState>(number);
}

Result<std::optional<DeviceState>> stored_state_or_nothing(std::int64_t number) {
  if (number == -1) return std::optional<DeviceState>{};
  GODWIT_TRY(const DeviceState state, stored_state(number));
  return std::optional<DeviceState>{state};
}

Result<std::optional<FleetDevice>> SqliteFleet::find_device(const IdentityId& id) {
  GODWIT_TRY(auto row,
             connection_.prepare("SELECT " + std::string(kDeviceColumns) + " FROM fleet_devices WHERE id = ?"));
  row.bind(id.str());
  return one(row, read_device);
}

Result<void> SqliteFleet::save_device(const FleetDevice& device) {
  return connection_.run(
      "INSERT INTO fleet_devices (id, group_id, class_id, failed_check, health_problem, model_id, installed, "
      "attempted, deployment, "
      "last_deployment_id, state, result_json, created, updated) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
      "ON CONFLICT (id) DO UPDATE SET group_id = excluded.group_id, class_id = excluded.class_id, failed_check = "
      "excluded.failed_check, "
      "health_problem = excluded.health_problem, model_id = excluded.model_id, installed = excluded.installed, "
      "attempted = excluded.attempted, "
      "deployment = excluded.deployment, last_deployment_id = excluded.last_deployment_id, state = excluded.state, "
      "result_json = excluded.result_json, updated = excluded.updated",
      device.id.str(), device.group.str(), column(device.class_id), device.failed_check, device.health_problem,
      device.model_id, column(device.installed), column(device.attempted), device.deployment, device.last_deployment_id,
      column(device.state), device.result_json, device.created, device.updated);
}

Result<bool> SqliteFleet::remove_device(const IdentityId& id) {
  GODWIT_TRY_VOID(connection_.run("DELETE FROM fleet_devices WHERE id = ?", id.str()));
  return connection_.changes() > 0;
}

Result<std::vector<FleetDevice>> SqliteFleet::list_devices(const FleetFilter& filter, const std::string& after,
                                                           std::size_t limit) {
  std::string sql = "SELECT " + std::string(kDeviceColumns) + " FROM fleet_devices WHERE id >= ? AND id < ?";
  if (filter.group) sql += " AND group_id = ?";
  if (filter.class_id) sql += " AND class_id = ?";
  if (filter.state) sql += " AND state = ?";
  if (filter.is_never_deployed) sql += " AND state = -1";
  if (filter.is_healthy) sql += *filter.is_healthy ? " AND class_id <> ''" : " AND class_id = ''";
  sql += " ORDER BY id LIMIT ?";
  std::vector<FleetDevice> devices;
  for (const TextRange& range : identity_ranges(filter.device, after)) {
    GODWIT_TRY(auto rows, connection_.prepare(sql));
    rows.bind(range.from, range.to);
    if (filter.group) rows.bind(filter.group->str());
    if (filter.class_id) rows.bind(filter.class_id->str());
    if (filter.state) rows.bind(column(*filter.state));
    rows.bind(limit - devices.size());
    GODWIT_TRY(auto found, all(rows, read_device));
    std::move(found.begin(), found.end(), std::back_inserter(devices));
  }
  return devices;
}

Result<std::vector<FleetCount>> SqliteFleet::counts(const std::optional<GroupId>& group,
                                                    const std::optional<DeviceClassId>& class_id) {
  std::string sql = "SELECT group_id, class_id, installed, attempted, state, devices FROM fleet_counts WHERE 1";
  if (group) sql += " AND group_id = ?";
  if (class_id) sql += " AND class_id = ?";
  GODWIT_TRY(auto rows, connection_.prepare(sql + " ORDER BY 1, 2, 3, 4, 5"));
  if (group) rows.bind(group->str());
  if (class_id) rows.bind(class_id->str());
  return all(rows, read_count);
}

Result<std::uint64_t> SqliteFleet::count_healthy() {
  return count(connection_, "SELECT coalesce(sum(devices), 0) FROM fleet_counts WHERE class_id <> ''");
}

Result<std::vector<FleetCount>> SqliteFleet::recount() {
  GODWIT_TRY(auto rows,
             connection_.prepare("SELECT group_id, class_id, installed, attempted, state, count(*) FROM fleet_devices "
                                 "GROUP BY group_id, class_id, installed, attempted, state ORDER BY 1, 2, 3, 4, 5"));
  return all(rows, read_count);
}

}  // namespace godwit::store::sqlite
