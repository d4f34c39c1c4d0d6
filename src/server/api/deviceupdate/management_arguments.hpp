// What the management routes read out of a request: ids from the path, filters, orders and bodies, each checked against
// what its list allows. Pure functions; safe from any thread.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/api/http.hpp"
#include "server/api/paging.hpp"
#include "server/service/inventory/inventory.hpp"
#include "server/service/rollout/rollout.hpp"

namespace godwit::api {

[[nodiscard]] Result<GroupId> group_of(const Request& request);            // {groupId}
[[nodiscard]] Result<DeviceClassId> class_of(const Request& request);      // {deviceClassId}
[[nodiscard]] Result<DeploymentId> deployment_of(const Request& request);  // {deploymentId}
[[nodiscard]] Result<IdentityId> device_of(const Request& request);  // {deviceId} and, where there is one, {moduleId}

/// friendlyName eq 'x'
[[nodiscard]] Result<std::optional<std::string>> class_filter(const Request& request);
/// groupId, deviceClassId, deploymentStatus (a state or null; beside groupId), joined by `and`
[[nodiscard]] Result<store::FleetFilter> device_filter(const Request& request);
/// compatProperties/NAME eq 'v', joined by `and`
[[nodiscard]] Result<std::vector<std::pair<std::string, std::string>>> subgroup_filter(const Request& request);
/// deviceId (with its modules), moduleId beside it, deviceState, joined by `and`
[[nodiscard]] Result<store::DeploymentDeviceFilter> device_state_filter(const Request& request,
                                                                        std::optional<DeviceClassId> class_id);
/// state, deviceId (with its modules), moduleId beside it; a filter is required
[[nodiscard]] Result<service::HealthFilter> health_filter(const Request& request);
/// status eq 'NotStarted' or status eq 'Running'. True: only unfinished ones
[[nodiscard]] Result<bool> operation_filter(const Request& request);
/// ?top, 1 or more
[[nodiscard]] Result<std::size_t> top_of(const Request& request);

struct GroupListOrder {
  service::GroupOrder order = service::GroupOrder::group_id;
  bool is_descending = false;
};
[[nodiscard]] Result<GroupListOrder> group_order(const Request& request);
/// startDateTime [asc|desc]
[[nodiscard]] Result<store::RolloutRecords::ListOrder> deployment_order(const Request& request);

/// The body of a PUT; its ids must be those of the path.
[[nodiscard]] Result<service::DeploymentWish> deployment_wish(const Request& request);

}  // namespace godwit::api
