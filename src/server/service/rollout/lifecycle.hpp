// The life of a deployment in its subgroups: begun, started at its time, superseded, joined by subgroups that appear
// later, rolled back, and swept over its devices in chunks. Works inside a transaction of the store, one thread at a
// time.
#pragma once

#include <vector>

#include "core/base/log.hpp"
#include "server/service/rollout/goals.hpp"

namespace godwit::service {

class Lifecycle {
 public:
  struct Limits {
    std::size_t chunk = 200;       // devices per transaction
    std::uint64_t live = 1'000;    // scheduled and active deployments
    std::uint64_t total = 10'000;  // deployments that are kept
  };
  Lifecycle(Clock& clock, Log& log, const Goals& goals, Limits limits)
      : clock_(clock), log_(log), goals_(goals), limits_(limits) {}

  /// Stores a deployment for every compatible subgroup of its group, starts it if its time has come and does the first
  /// chunk. Errors: conflict (id taken), too_many, incompatible (no subgroup fits).
  [[nodiscard]] Result<store::DeploymentRecord> begin(store::Records& records, store::DeploymentRecord wanted) const;
  /// A subgroup has appeared: the newest running deployment of the group that fits takes it in, scheduled ones will.
  [[nodiscard]] Result<void> adopt(store::Records& records, const GroupId& group, const DeviceClassId& class_id) const;
  /// Scheduled -> active; the active one of the subgroup becomes inactive.
  [[nodiscard]] Result<void> activate(store::Records& records, store::SubgroupDeployment subgroup) const;
  /// One chunk of the pending work of a subgroup's deployment.
  [[nodiscard]] Result<void> sweep(store::Records& records, const store::SubgroupDeployment& subgroup) const;
  /// After a device failed: begins the rollback if the deployment's policy asks for it.
  [[nodiscard]] Result<void> consider_rollback(store::Records& records, const store::DeploymentDevice& failed) const;

 private:
  [[nodiscard]] Result<std::vector<DeviceClassId>> compatible_classes(store::Records& records, const GroupId& group,
                                                                      const store::UpdateSummary& update) const;
  [[nodiscard]] Result<std::string> sweep_offers(store::Records& records,
                                                 const store::SubgroupDeployment& subgroup) const;
  [[nodiscard]] Result<std::string> sweep_rows(store::Records& records, const store::SubgroupDeployment& subgroup,
                                               DeviceState state, bool is_retry) const;

  Clock& clock_;
  Log& log_;
  const Goals& goals_;
  Limits limits_;
};

/// Finds an update that may be deployed. Errors: invalid_argument with a sentence that names `what` ("update",
/// "rollbackPolicy.update").
[[nodiscard]] Result<store::UpdateSummary> need_deployable(store::Records& records, const UpdateId& id,
                                                           std::string_view what);

/// Devices of one class in a deployment: what its counters say, and how many belong to the subgroup now.
struct SubgroupTotals {
  std::uint64_t in_progress = 0, succeeded = 0, failed = 0, canceled = 0;
  std::uint64_t total = 0;
};
[[nodiscard]] Result<SubgroupTotals> totals_of(store::Records& records, const store::SubgroupDeployment& subgroup);

}  // namespace godwit::service
