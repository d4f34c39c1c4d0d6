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
    std::uint64_t live = 1'000;    // scheduled and active deployments; 0: no limit, so below
    std::uint64_t total = 10'000;  // deployments that are kept
  };
  Lifecycle(Clock& clock, Log& log, const Goals& goals, Limits limits)
      : clock_(clock), log_(log), goals_(goals), limits_(limits) {}

  /// Stores a deployment for every compatible subgroup of its group, starts it if its time has come and does the first
  /// chunk. Errors: conflict (id taken), too_many, incompatible (no subgroup fits).
  [[nodiscard]] Result<store::DeploymentRecord> begin(store::Records& records, store::DeploymentRecord wanted) const;
  /// Decides and acts for one device, and begins a rollback if that made it fail once too often.
  /// True: it did, so the device may have been offered the rollback already.
  [[nodiscard]] Result<bool> plan(store::Records& records, store::FleetDevice& device, const Goals::Request& request,
                                  OfferCache& cache) const;
  /// The rest of what is due, one chunk: URLs that end soon, devices whose time is over. False: nothing was.
  [[nodiscard]] Result<bool> tend(store::Records& records) const;
  [[nodiscard]] Result<bool> has_to_tend(store::Records& records) const;
  /// A subgroup has appeared: the newest running deployment of the group that fits takes it in, scheduled ones will.
  [[nodiscard]] Result<void> adopt(store::Records& records, const GroupId& group, const DeviceClassId& class_id) const;
  /// Scheduled -> active; the active one of the subgroup becomes inactive.
  [[nodiscard]] Result<void> activate(store::Records& records, store::SubgroupDeployment subgroup) const;
  /// One chunk of the pending work of a subgroup's deployment.
  [[nodiscard]] Result<void> sweep(store::Records& records, const store::SubgroupDeployment& subgroup) const;
  /// After a device failed: begins the rollback of the whole deployment, in all its subgroups, if its policy asks for
  /// it. It fires once: the deployment is Inactive afterwards.
  [[nodiscard]] Result<bool> consider_rollback(store::Records& records, const store::DeploymentDevice& failed) const;

 private:
  [[nodiscard]] Result<void> check_quotas(store::Records& records) const;
  [[nodiscard]] Result<store::DeploymentRecord> store_and_start(store::Records& records, store::DeploymentRecord wanted,
                                                                const std::vector<DeviceClassId>& classes) const;
  /// Stores the subgroup's part, which has failed from the start if its class cannot be told. True: it is active now
  /// and its sweep begins.
  [[nodiscard]] Result<bool> join(store::Records& records, const store::DeploymentRecord& deployment,
                                  const DeviceClassId& class_id) const;
  [[nodiscard]] Result<void> roll_back(store::Records& records, const store::DeploymentRecord& deployment,
                                       std::uint64_t failed) const;
  [[nodiscard]] Result<std::vector<DeviceClassId>> compatible_classes(store::Records& records, const GroupId& group,
                                                                      const store::UpdateSummary& update) const;
  [[nodiscard]] Result<std::string> sweep_offers(store::Records& records,
                                                 const store::SubgroupDeployment& subgroup) const;
  [[nodiscard]] Result<std::string> sweep_rows(store::Records& records, const store::SubgroupDeployment& subgroup,
                                               std::optional<DeviceState> state, const Goals::Request& request) const;

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
