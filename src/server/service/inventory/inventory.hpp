// The inventory: devices with their class and group as their twins tell, and how far they are from the best updates.
// Two faces: functions that work inside a caller's transaction (the rollout uses them while the hub stores a change),
// and views and changes for operators, which use the store themselves. Views answer in the shape of the API. Safe from
// any thread.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/clock.hpp"
#include "core/twin/dialect.hpp"
#include "core/twin/twin.hpp"
#include "server/service/inventory/compliance.hpp"
#include "server/store/store.hpp"

namespace godwit::service {

inline constexpr std::size_t kFleetPageSize = 100;
inline constexpr auto kFinishedSyncsAreKept = std::chrono::hours(24 * 7);

struct FleetPage {
  json::Array values{};
  std::string next_token{};  // "" = last page
};

/// How much of the fleet an instance takes; 0: no limit. What is beyond a quota is unhealthy, with the reason.
struct FleetQuotas {
  std::uint64_t devices = 0;
  std::uint64_t groups = 0;
  std::uint64_t classes = 0;
};

struct HealthFilter {
  std::optional<bool> is_healthy{};
  std::optional<IdentityId> device{};  // this device and its modules, or this module
};

enum class GroupOrder : std::uint8_t { group_id, device_count, created, new_updates, in_progress, on_latest };

class Inventory {
 public:
  /// Called after the commit that queued a device sync.
  using Wake = std::function<void()>;

  Inventory(store::Store& store, Clock& clock, FleetQuotas quotas = {})
      : store_(store), clock_(clock), quotas_(quotas) {}
  void set_wake(Wake wake) { wake_ = std::move(wake); }  // before the server serves

  void set_quotas(const FleetQuotas& quotas) { quotas_ = quotas; }  // before the server serves
  [[nodiscard]] const FleetQuotas& quotas() const { return quotas_; }

  // ---- inside a transaction

  struct Refreshed {
    store::FleetDevice device;
    bool is_new_subgroup = false;  // nobody of this class was ever in this group
  };
  /// Brings the row of a device in line with its twin; makes class, group and subgroup when they are new. Writes only
  /// what changed. `model_id`: nullopt = as known.
  [[nodiscard]] Result<Refreshed> refresh(store::Records& records, const IdentityId& id, const twin::Twin& twin,
                                          const twin::ReportedAgent& agent,
                                          const std::optional<std::string>& model_id = std::nullopt) const;

  // ---- devices
  [[nodiscard]] Result<json::Object> describe_device(
      const IdentityId& id) const;  // not_found, also for an unhealthy one
  [[nodiscard]] Result<FleetPage> list_devices(store::FleetFilter filter, const std::string& token) const;
  [[nodiscard]] Result<FleetPage> list_health(const HealthFilter& filter, const std::string& token) const;
  /// Godwit's own answer: the device with connection, progress, explained result, and why it has no update. Healthy or
  /// not.
  [[nodiscard]] Result<json::Object> explain_device(const IdentityId& id) const;

  // ---- classes
  [[nodiscard]] Result<json::Object> describe_class(const DeviceClassId& id) const;
  [[nodiscard]] Result<FleetPage> list_classes(const std::optional<std::string>& friendly_name,
                                               const std::string& token) const;
  /// 1..100 of letters, digits, '.', '-'. Errors: not_found, invalid_argument.
  [[nodiscard]] Result<json::Object> rename_class(const DeviceClassId& id, const std::string& name,
                                                  const std::string& actor);
  [[nodiscard]] Result<void> remove_class(const DeviceClassId& id,
                                          const std::string& actor);  // conflict while subgroups use it
  [[nodiscard]] Result<FleetPage> installable_updates(const DeviceClassId& id) const;

  // ---- groups and subgroups
  [[nodiscard]] Result<json::Object> describe_group(const GroupId& id) const;
  [[nodiscard]] Result<FleetPage> list_groups(GroupOrder order, bool is_descending,
                                              const std::string& token) const;  // $default is always first
  [[nodiscard]] Result<void> remove_group(const GroupId& id,
                                          const std::string& actor);  // conflict: members, deployments, $default
  [[nodiscard]] Result<json::Object> describe_subgroup(const GroupId& group, const DeviceClassId& class_id) const;
  /// `properties`: compat properties that the class must have; names blind to case.
  [[nodiscard]] Result<FleetPage> list_subgroups(
      const GroupId& group, const std::vector<std::pair<std::string, std::string>>& properties) const;
  [[nodiscard]] Result<void> remove_subgroup(const GroupId& group, const DeviceClassId& class_id,
                                             const std::string& actor);  // conflict: members, live deployment
  [[nodiscard]] Result<json::Object> compliance(const std::optional<GroupId>& group,
                                                const std::optional<DeviceClassId>& class_id) const;
  [[nodiscard]] Result<FleetPage> best_updates(const GroupId& group) const;
  [[nodiscard]] Result<json::Object> best_update(const GroupId& group,
                                                 const DeviceClassId& class_id) const;  // not_found when no update fits

  // ---- device sync: all twins are read again; the rollout's planner carries it out in chunks
  /// `kind`: "Devices", "Modules" or "All". Gives the operation's id. Errors: conflict while one runs.
  [[nodiscard]] Result<std::string> start_sync(const std::string& kind, const std::string& actor);
  [[nodiscard]] Result<json::Object> describe_operation(const std::string& id) const;
  [[nodiscard]] Result<FleetPage> list_operations(bool only_unfinished, std::size_t top) const;

 private:
  [[nodiscard]] Result<void> audit(store::Records& records, const std::string& actor, std::string action,
                                   std::string subject) const;

  store::Store& store_;
  Clock& clock_;
  FleetQuotas quotas_;
  Wake wake_{};
};

/// Errors: not_found with the sentence that operators see.
[[nodiscard]] Result<store::FleetGroup> need_group(store::Records& records, const GroupId& id);
[[nodiscard]] Result<store::FleetClass> need_class(store::Records& records, const DeviceClassId& id);
[[nodiscard]] Result<store::FleetSubgroup> need_subgroup(store::Records& records, const GroupId& group,
                                                         const DeviceClassId& class_id);

}  // namespace godwit::service
