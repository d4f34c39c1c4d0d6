#include "server/store/sqlite/figures.hpp"

#include "server/store/sqlite/rows.hpp"

namespace godwit::store::sqlite {
namespace {

Result<std::vector<StateCount>> read_counts(Connection& connection, std::string_view sql) {
  GODWIT_TRY(auto rows, connection.prepare(sql));
  return all(rows, [](Statement& row) -> Result<StateCount> {
    return StateCount{.state = static_cast<int>(row.integer(0)), .count = static_cast<std::uint64_t>(row.integer(1))};
  });
}

}  // namespace

Result<std::vector<StateCount>> SqliteFigures::subgroup_deployments() {
  return read_counts(connection_, "SELECT state, count(*) FROM subgroup_deployments GROUP BY state ORDER BY state");
}

Result<std::vector<StateCount>> SqliteFigures::fleet_devices() {
  return read_counts(connection_, "SELECT state, sum(devices) FROM fleet_counts GROUP BY state ORDER BY state");
}

Result<std::vector<StateCount>> SqliteFigures::imports() {
  return read_counts(connection_, "SELECT status, count(*) FROM update_operations GROUP BY status ORDER BY status");
}

Result<std::vector<StateCount>> SqliteFigures::log_agents() {
  return read_counts(connection_, "SELECT status, count(*) FROM log_agents GROUP BY status ORDER BY status");
}

}  // namespace godwit::store::sqlite
