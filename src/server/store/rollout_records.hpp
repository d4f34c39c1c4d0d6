// Deployments: of a group, of its subgroups, of each device, and the log of what devices reported. Part of a
// transaction, see store.hpp. A deployment has a number (never used twice) that the other rows refer to; people know it
// by group and id.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/clock.hpp"
#include "core/base/error.hpp"
#include "core/model/ids.hpp"
#include "core/model/outcome.hpp"
#include "core/model/update_id.hpp"

namespace godwit::store {

struct RollbackPolicy {
  UpdateId update;
  std::int32_t failed_percentage = 0;  // 1..100
  std::int32_t failed_count = 0;       // at least 1; both must be reached
  friend bool operator==(const RollbackPolicy&, const RollbackPolicy&) = default;
};

struct DeploymentRecord {
  std::int64_t number = 0;  // given by insert_deployment()
  GroupId group;
  DeploymentId id;
  UpdateId update;
  WallTime start{};
  WallTime created{};
  std::optional<RollbackPolicy> rollback{};
  bool is_rollback = false;  // made by the service because another one failed too often
};

/// These numbers are stored. `scheduled` is shown as Active: it waits for its start time.
enum class SubgroupDeploymentState : std::uint8_t { scheduled = 0, active = 1, inactive = 2, canceled = 3, failed = 4 };

/// Work that is still to be done for many devices, in chunks; survives a restart. These numbers are stored.
enum class Sweep : std::uint8_t { none = 0, offer = 1, cancel = 2, retry = 3 };

struct SubgroupDeployment {
  std::int64_t deployment = 0;
  GroupId group;
  DeviceClassId class_id;
  SubgroupDeploymentState state = SubgroupDeploymentState::scheduled;
  WallTime start{};
  bool is_retried = false;
  Sweep sweep = Sweep::none;
  std::string sweep_after{};      // device id the sweep has reached, "" = at its start
  std::string retry_timestamp{};  // of the newest retry
  std::string error_code{};       // when failed
  std::string error_message{};
};

struct DeploymentDevice {
  std::int64_t deployment = 0;
  IdentityId device;
  GroupId group;
  DeviceClassId class_id;
  std::string workflow_id{};
  DeviceState state = DeviceState::in_progress;
  std::int32_t retry_count = 0;
  std::string retry_timestamp{};      // "" on the first try
  bool moved_on = false;              // a newer deployment has taken the device over
  std::int32_t rounds = 0;            // how often the agent began to work on it
  std::optional<AgentState> heard{};  // the agent's last word about this try
  std::string result_json{};
  WallTime urls_expire_at{};
  WallTime began{};    // when this try was sent
  WallTime give_up{};  // when the planner looks whether the device is still at it
  WallTime created{};
  WallTime updated{};
  friend bool operator==(const DeploymentDevice&, const DeploymentDevice&) = default;
};

struct DeploymentDeviceFilter {
  std::optional<DeviceClassId> class_id{};
  std::optional<DeviceState> state{};
  std::optional<IdentityId> device{};  // this device and its modules, or this module
};

struct DeploymentCount {
  std::int64_t deployment = 0;
  DeviceClassId class_id;
  DeviceState state{};
  std::uint64_t devices = 0;
  friend bool operator==(const DeploymentCount&, const DeploymentCount&) = default;
};

/// Devices of a deployment that changed within one step of time.
struct DeploymentStep {
  std::size_t step = 0;
  std::optional<DeviceState> state{};  // the state they reached and are still in; none: they were taken up
  std::uint64_t devices = 0;
  friend bool operator==(const DeploymentStep&, const DeploymentStep&) = default;
};
/// From the first device that was taken up to the last change of one.
struct DeploymentSpan {
  WallTime first{};
  WallTime last{};
  bool has_devices = false;
};

struct ReportRecord {
  IdentityId device;
  WallTime time{};
  std::string workflow_id{};
  std::int64_t deployment = 0;  // 0: no deployment knows this workflow
  std::string verdict{};        // "applied", "repeated", "late", "foreign"
  std::string report_json{};
};

class RolloutRecords {
 public:
  virtual ~RolloutRecords() = default;

  /// Returns the number. Errors: conflict when the group has a deployment of that id.
  [[nodiscard]] virtual Result<std::int64_t> insert_deployment(const DeploymentRecord& deployment) = 0;
  [[nodiscard]] virtual Result<std::optional<DeploymentRecord>> find_deployment(const GroupId& group,
                                                                                const DeploymentId& id) = 0;
  [[nodiscard]] virtual Result<std::optional<DeploymentRecord>> find_deployment_by_number(std::int64_t number) = 0;
  /// Of a group (and of one class); ordered by number or by start time, then number.
  struct ListOrder {
    bool by_start = false;
    bool is_descending = false;
  };
  [[nodiscard]] virtual Result<std::vector<DeploymentRecord>> list_deployments(
      const GroupId& group, const std::optional<DeviceClassId>& class_id, ListOrder order, std::size_t offset,
      std::size_t limit) = 0;
  [[nodiscard]] virtual Result<std::uint64_t> count_deployments() = 0;
  /// With its subgroups and devices.
  [[nodiscard]] virtual Result<void> remove_deployment(std::int64_t number) = 0;
  /// True while a scheduled or active deployment delivers `update` or would roll back to it.
  [[nodiscard]] virtual Result<bool> is_update_in_use(const UpdateId& update) = 0;

  [[nodiscard]] virtual Result<void> save_subgroup(const SubgroupDeployment& subgroup) = 0;  // inserts or replaces
  [[nodiscard]] virtual Result<std::optional<SubgroupDeployment>> find_subgroup(std::int64_t deployment,
                                                                                const DeviceClassId& class_id) = 0;
  [[nodiscard]] virtual Result<std::vector<SubgroupDeployment>> list_subgroups(std::int64_t deployment) = 0;
  [[nodiscard]] virtual Result<std::optional<SubgroupDeployment>> find_active(const GroupId& group,
                                                                              const DeviceClassId& class_id) = 0;
  /// Scheduled and active ones of a group (and class); by start time, then number.
  [[nodiscard]] virtual Result<std::vector<SubgroupDeployment>> list_live(
      const GroupId& group, const std::optional<DeviceClassId>& class_id) = 0;
  [[nodiscard]] virtual Result<std::uint64_t> count_live() = 0;
  [[nodiscard]] virtual Result<void> remove_subgroup(std::int64_t deployment,
                                                     const DeviceClassId& class_id) = 0;  // with its devices
  /// Scheduled ones whose time has come, earliest first.
  [[nodiscard]] virtual Result<std::vector<SubgroupDeployment>> list_due(WallTime now, std::size_t limit) = 0;
  [[nodiscard]] virtual Result<std::vector<SubgroupDeployment>> list_sweeping(std::size_t limit) = 0;

  [[nodiscard]] virtual Result<void> save_device(
      const DeploymentDevice& row) = 0;  // inserts or replaces; counters follow
  [[nodiscard]] virtual Result<std::optional<DeploymentDevice>> find_device(std::int64_t deployment,
                                                                            const IdentityId& device) = 0;
  [[nodiscard]] virtual Result<std::optional<DeploymentDevice>> find_by_workflow(const IdentityId& device,
                                                                                 const std::string& workflow_id) = 0;
  /// In id order, after `after`.
  [[nodiscard]] virtual Result<std::vector<DeploymentDevice>> list_devices(std::int64_t deployment,
                                                                           const DeploymentDeviceFilter& filter,
                                                                           const std::string& after,
                                                                           std::size_t limit) = 0;
  /// Devices in progress whose URLs end before `time`, soonest first.
  [[nodiscard]] virtual Result<std::vector<DeploymentDevice>> list_expiring(WallTime time, std::size_t limit) = 0;
  /// Devices in progress whose time to be looked at has come, longest overdue first.
  [[nodiscard]] virtual Result<std::vector<DeploymentDevice>> list_overdue(WallTime now, std::size_t limit) = 0;
  [[nodiscard]] virtual Result<void> remove_device(
      const IdentityId& device) = 0;  // from all deployments, and its reports
  [[nodiscard]] virtual Result<std::vector<DeploymentCount>> counts(std::int64_t deployment) = 0;
  [[nodiscard]] virtual Result<std::vector<DeploymentCount>> recount() = 0;     // of all deployments, by counting rows;
                                                                                // for checks
  [[nodiscard]] virtual Result<std::vector<DeploymentCount>> all_counts() = 0;  // the counters themselves; for checks

  /// Both read every row of the deployment.
  [[nodiscard]] virtual Result<DeploymentSpan> span(std::int64_t deployment) = 0;
  /// In steps of `step` (at least 1 ms) from `from` on, earlier changes in the first; ended states only.
  [[nodiscard]] virtual Result<std::vector<DeploymentStep>> steps(std::int64_t deployment, WallTime from,
                                                                  Duration step) = 0;

  /// Keeps the newest `keep` of the device.
  [[nodiscard]] virtual Result<void> append_report(const ReportRecord& report, std::size_t keep) = 0;
  [[nodiscard]] virtual Result<std::vector<ReportRecord>> list_reports(const IdentityId& device,
                                                                       std::size_t limit) = 0;  // newest first
  /// From now on the URLs of all devices in progress count as ended: the planner sends their goals again.
  [[nodiscard]] virtual Result<void> end_urls() = 0;
};

}  // namespace godwit::store
