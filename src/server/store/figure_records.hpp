// Sums over other records for monitoring, from counters and small tables: no scan of the fleet. Part of a transaction,
// see store.hpp.
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/error.hpp"

namespace godwit::store {

/// How many have one state; what the number of a state means is told by the records it comes from.
struct StateCount {
  int state = 0;
  std::uint64_t count = 0;
};

class FigureRecords {
 public:
  virtual ~FigureRecords() = default;
  [[nodiscard]] virtual Result<std::vector<StateCount>> subgroup_deployments() = 0;  // SubgroupDeploymentState
  [[nodiscard]] virtual Result<std::vector<StateCount>> fleet_devices() = 0;         // DeviceState, -1: none yet
  [[nodiscard]] virtual Result<std::vector<StateCount>> imports() = 0;               // OperationStatus, as kept
  [[nodiscard]] virtual Result<std::vector<StateCount>> log_agents() = 0;            // OperationStatus
};

}  // namespace godwit::store
