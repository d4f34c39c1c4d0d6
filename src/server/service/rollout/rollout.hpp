// Deployments: made, cancelled, retried and watched by operators; driven by what devices report and by time. Three
// faces: functions that the hub's observer calls inside the transaction of a change, use cases and views for operators
// (they use the store themselves and answer in the shape of the API), and tick(), which does the work that is due in
// chunks on the planner's thread. Everything follows from the records, so a restart needs no memory. Safe from any
// thread.
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "server/service/inventory/inventory.hpp"
#include "server/service/rollout/lifecycle.hpp"

namespace godwit::service {

inline constexpr std::size_t kReportsPerDevice = 50;  // the log keeps the newest ones

struct RolloutOptions {
  Duration tick_interval = std::chrono::seconds(1);  // how often the planner looks at the clock; events wake it at once
  std::int64_t root_key_package_version = 1;         // of the package that devices are pointed to
  Lifecycle::Limits limits{};
  Deadlines deadlines{};
};

/// What an operator asks for with a PUT.
struct DeploymentWish {
  GroupId group;
  DeploymentId id;
  UpdateId update;
  WallTime start{};
  std::optional<store::RollbackPolicy> rollback{};
};

class Rollout {
 public:
  Rollout(store::Store& store, Clock& clock, Log& log, const Catalog& catalog, Inventory& inventory,
          const DownloadUrls& urls, SetDesired set_desired, RolloutOptions options = {});
  ~Rollout();
  Rollout(const Rollout&) = delete;
  Rollout& operator=(const Rollout&) = delete;

  // ---- the planner's thread
  void start();
  void stop();  // waits for the chunk in hand
  void wake();  // never blocks for long
  /// Does all work that is due: start times, sweeps, URLs that end soon, device syncs. Blocks; not from the writer
  /// thread.
  [[nodiscard]] Result<void> tick();

  // ---- inside the hub's transaction (writer thread). A module counts as a device once it announces an update agent.
  [[nodiscard]] Result<void> on_device_created(store::Records& records, const IdentityId& id);
  [[nodiscard]] Result<void> on_device_removed(store::Records& records, const IdentityId& id);
  /// Cheap when the patch tells nothing about updates (progress, other components).
  [[nodiscard]] Result<void> on_twin_changed(store::Records& records, const IdentityId& id, const twin::Twin& twin,
                                             const json::Object& reported_patch);
  [[nodiscard]] Result<void> on_tags(store::Records& records, const IdentityId& id, const twin::Twin& twin);
  [[nodiscard]] Result<void> on_connected(store::Records& records, const IdentityId& id, const std::string& model_id);
  /// For Catalog::set_in_use.
  [[nodiscard]] static Result<bool> is_update_in_use(store::Records& records, const UpdateId& id) {
    return records.rollout().is_update_in_use(id);
  }

  // ---- use cases
  /// The same wish again changes nothing. Errors: not_found (group), invalid_argument (update, policy), incompatible,
  /// conflict, too_many.
  [[nodiscard]] Result<json::Object> create(const DeploymentWish& wish, const std::string& actor);
  /// Of one subgroup, or of all live ones when `class_id` is not given. Cancelling again changes nothing. Errors:
  /// not_found, conflict.
  [[nodiscard]] Result<json::Object> cancel(const GroupId& group, const DeploymentId& id,
                                            const std::optional<DeviceClassId>& class_id, const std::string& actor);
  /// Failed devices of an active deployment try again. Errors: not_found, conflict.
  [[nodiscard]] Result<json::Object> retry(const GroupId& group, const DeploymentId& id,
                                           const std::optional<DeviceClassId>& class_id, const std::string& actor);
  /// Of one device or module of a deployment: its goal is withdrawn, the others go on. Gives its state as
  /// device_states() does. Errors: not_found, conflict (it has ended, or moved on to a newer deployment).
  [[nodiscard]] Result<json::Object> cancel_device(const GroupId& group, const DeploymentId& id,
                                                   const IdentityId& device, const std::string& actor);
  /// One that failed, or was cancelled alone, tries again. Errors: not_found, conflict.
  [[nodiscard]] Result<json::Object> retry_device(const GroupId& group, const DeploymentId& id,
                                                  const IdentityId& device, const std::string& actor);
  /// Errors: not_found, conflict while it is live or its cancel is still being delivered.
  [[nodiscard]] Result<void> remove(const GroupId& group, const DeploymentId& id,
                                    const std::optional<DeviceClassId>& class_id, const std::string& actor);

  /// {"counters": {...}}: what the instance holds and may hold.
  [[nodiscard]] Result<json::Object> limits() const;

  // ---- views; `class_id` narrows to one subgroup
  [[nodiscard]] Result<json::Object> describe(const GroupId& group, const DeploymentId& id,
                                              const std::optional<DeviceClassId>& class_id) const;
  [[nodiscard]] Result<FleetPage> list(const GroupId& group, const std::optional<DeviceClassId>& class_id,
                                       store::RolloutRecords::ListOrder order, const std::string& token) const;
  [[nodiscard]] Result<json::Object> status(const GroupId& group, const DeploymentId& id) const;
  /// How many devices were taken up, had succeeded, failed or were cancelled, at up to 120 points of time: as their
  /// last change tells, so a device that failed and then succeeded counts as succeeded only. Reads every row of the
  /// deployment.
  [[nodiscard]] Result<json::Object> progress(const GroupId& group, const DeploymentId& id) const;
  [[nodiscard]] Result<json::Object> subgroup_status(const GroupId& group, const DeploymentId& id,
                                                     const DeviceClassId& class_id) const;
  /// With a member `godwit` beside the contract's: codes, sentence, phase and step.
  [[nodiscard]] Result<FleetPage> device_states(const GroupId& group, const DeploymentId& id,
                                                const store::DeploymentDeviceFilter& filter,
                                                const std::string& token) const;

 private:
  enum class Reading : std::uint8_t { report, again };  // again: a twin read once more, its report may be old news
  [[nodiscard]] Result<void> observe(store::Records& records, const IdentityId& id, const twin::Twin& twin,
                                     const std::optional<std::string>& model_id, std::optional<Reading> reading);
  [[nodiscard]] Result<void> take_report(store::Records& records, store::FleetDevice& device,
                                         const twin::AgentReport& report, Reading reading);
  [[nodiscard]] Result<bool> has_work(store::Records& records) const;
  [[nodiscard]] Result<void> do_chunk(store::Records& records);
  [[nodiscard]] Result<void> sync_chunk(store::Records& records, store::FleetOperation operation);
  [[nodiscard]] Result<void> sync_one(store::Records& records, const IdentityId& id);
  [[nodiscard]] Result<json::Object> device_state(const GroupId& group, const DeploymentId& id,
                                                  const IdentityId& device) const;
  [[nodiscard]] Result<void> audit(store::Records& records, const std::string& actor, std::string action,
                                   const GroupId& group, const DeploymentId& id,
                                   const std::optional<IdentityId>& device = std::nullopt) const;
  void run();

  store::Store& store_;
  Clock& clock_;
  Log& log_;
  Inventory& inventory_;
  RolloutOptions options_;
  Goals goals_;
  Lifecycle lifecycle_;

  std::mutex mutex_;  // guards the two below
  std::condition_variable changed_;
  bool is_woken_ = false;
  bool is_stopping_ = false;
  std::thread thread_;
};

/// The state of a whole deployment from those of its subgroups.
[[nodiscard]] DeploymentState combine(const std::vector<store::SubgroupDeployment>& subgroups);
/// Errors: not_found with the sentence that operators see.
[[nodiscard]] Result<store::DeploymentRecord> need_deployment(store::Records& records, const GroupId& group,
                                                              const DeploymentId& id);
[[nodiscard]] Result<store::SubgroupDeployment> need_subgroup_deployment(store::Records& records,
                                                                         const store::DeploymentRecord& deployment,
                                                                         const DeviceClassId& class_id);

}  // namespace godwit::service
