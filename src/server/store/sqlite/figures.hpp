// Sums in SQLite. One connection, one thread.
#pragma once

#include "server/store/figure_records.hpp"
#include "server/store/sqlite/statement.hpp"

namespace godwit::store::sqlite {

class SqliteFigures final : public FigureRecords {
 public:
  explicit SqliteFigures(Connection& connection) : connection_(connection) {}
  Result<std::vector<StateCount>> subgroup_deployments() override;
  Result<std::vector<StateCount>> fleet_devices() override;
  Result<std::vector<StateCount>> imports() override;
  Result<std::vector<StateCount>> log_agents() override;

 private:
  Connection& connection_;
};

}  // namespace godwit::store::sqlite
