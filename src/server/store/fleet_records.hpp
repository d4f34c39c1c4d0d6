// The fleet as the service sees it: devices with their class, group and last news; classes, groups, subgroups;
// counters; and the operations that re-read the hub's twins. Part of a transaction, see store.hpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/clock.hpp"
#include "core/base/error.hpp"
#include "core/model/compatibility.hpp"
#include "core/model/ids.hpp"
#include "core/model/outcome.hpp"
#include "core/model/update_id.hpp"
#include "server/store/operation_status.hpp"

namespace godwit::store {

/// One row per device of the hub, and per module of one that updates itself. What it is comes from its twin; the
/// deployment members mirror its newest deployment.
struct FleetDevice {
  IdentityId id;
  GroupId group;
  std::optional<DeviceClassId> class_id{};  // nullopt: unhealthy, `failed_check` and `health_problem` say why
  std::string failed_check{};               // a name of service::HealthCheck; "" when healthy
  std::string health_problem{};             // one sentence without a full stop
  std::string model_id{};                   // announced at CONNECT
  std::optional<UpdateId> installed{};      // as the device last reported it
  std::optional<UpdateId> attempted{};      // of the newest deployment that was offered
  std::int64_t deployment = 0;              // its number, 0 = never deployed to
  std::string last_deployment_id{};         // kept when the deployment is deleted
  std::optional<DeviceState> state{};       // in that deployment
  std::string result_json{};                // last install result as outcome_json.hpp prints it; "" = none yet
  WallTime created{};
  WallTime updated{};
  friend bool operator==(const FleetDevice&, const FleetDevice&) = default;
};

struct FleetClass {
  DeviceClassId id;
  DeviceClass value;
  std::string friendly_name{};
  WallTime created{};
};
struct FleetGroup {
  GroupId id;
  WallTime created{};
};
struct FleetSubgroup {
  GroupId group;
  DeviceClassId class_id;
  WallTime created{};
};

/// Every device is in exactly one of these rows; unhealthy devices have no class. Kept by the database in the same
/// transaction.
struct FleetCount {
  GroupId group;
  std::optional<DeviceClassId> class_id{};
  std::optional<UpdateId> installed{};
  std::optional<UpdateId> attempted{};
  std::optional<DeviceState> state{};
  std::uint64_t devices = 0;
  friend bool operator==(const FleetCount&, const FleetCount&) = default;
};

struct FleetFilter {
  std::optional<GroupId> group{};
  std::optional<DeviceClassId> class_id{};
  std::optional<DeviceState> state{};
  bool is_never_deployed = false;
  std::optional<bool> is_healthy{};    // nullopt = both
  std::optional<IdentityId> device{};  // this device and its modules, or this module
};

/// A re-reading of all twins ("device sync"). `after` is how far it got, so that a restart continues there.
struct FleetOperation {
  std::string id;
  OperationStatus status = OperationStatus::not_started;
  std::string kind{};  // "Devices", "Modules", "All"
  std::string after{};
  std::string error_code{};
  std::string error_message{};
  std::uint64_t etag = 1;  // + 1 at each change
  WallTime created{};
  WallTime last_action{};
};

class FleetRecords {
 public:
  virtual ~FleetRecords() = default;
  [[nodiscard]] virtual Result<std::optional<FleetDevice>> find_device(const IdentityId& id) = 0;
  /// Inserts or replaces; the counters follow.
  [[nodiscard]] virtual Result<void> save_device(const FleetDevice& device) = 0;
  [[nodiscard]] virtual Result<bool> remove_device(const IdentityId& id) = 0;  // false: there was none
  /// In id order, after `after` ("" = from the start), at most `limit`.
  [[nodiscard]] virtual Result<std::vector<FleetDevice>> list_devices(const FleetFilter& filter,
                                                                      const std::string& after, std::size_t limit) = 0;

  /// All rows, of one group, or of one subgroup.
  [[nodiscard]] virtual Result<std::vector<FleetCount>> counts(const std::optional<GroupId>& group,
                                                               const std::optional<DeviceClassId>& class_id) = 0;
  /// Devices that have a class, by their counters.
  [[nodiscard]] virtual Result<std::uint64_t> count_healthy() = 0;
  /// The same as counts() by counting the devices themselves; slow, for checks.
  [[nodiscard]] virtual Result<std::vector<FleetCount>> recount() = 0;

  [[nodiscard]] virtual Result<std::optional<FleetClass>> find_class(const DeviceClassId& id) = 0;
  [[nodiscard]] virtual Result<void> save_class(const FleetClass& value) = 0;
  [[nodiscard]] virtual Result<bool> remove_class(const DeviceClassId& id) = 0;
  [[nodiscard]] virtual Result<std::uint64_t> count_classes() = 0;
  [[nodiscard]] virtual Result<std::vector<FleetClass>> list_classes(const std::optional<std::string>& friendly_name,
                                                                     const std::string& after, std::size_t limit) = 0;

  [[nodiscard]] virtual Result<std::optional<FleetGroup>> find_group(const GroupId& id) = 0;
  [[nodiscard]] virtual Result<void> save_group(const FleetGroup& group) = 0;
  [[nodiscard]] virtual Result<bool> remove_group(const GroupId& id) = 0;
  [[nodiscard]] virtual Result<std::uint64_t> count_groups() = 0;
  [[nodiscard]] virtual Result<std::vector<FleetGroup>> list_groups() = 0;  // in id order; kept few by limits

  [[nodiscard]] virtual Result<std::optional<FleetSubgroup>> find_subgroup(const GroupId& group,
                                                                           const DeviceClassId& class_id) = 0;
  [[nodiscard]] virtual Result<void> save_subgroup(const FleetSubgroup& subgroup) = 0;
  [[nodiscard]] virtual Result<bool> remove_subgroup(const GroupId& group, const DeviceClassId& class_id) = 0;
  /// Of one group or of one class, or all.
  [[nodiscard]] virtual Result<std::vector<FleetSubgroup>> list_subgroups(
      const std::optional<GroupId>& group, const std::optional<DeviceClassId>& class_id) = 0;

  [[nodiscard]] virtual Result<std::optional<FleetOperation>> find_operation(const std::string& id) = 0;
  [[nodiscard]] virtual Result<void> save_operation(const FleetOperation& operation) = 0;
  /// Newest first; only unfinished ones if asked.
  [[nodiscard]] virtual Result<std::vector<FleetOperation>> list_operations(bool only_unfinished,
                                                                            std::size_t limit) = 0;
  [[nodiscard]] virtual Result<void> remove_operations_before(WallTime time) = 0;  // finished ones only
};

}  // namespace godwit::store
