// Handlers of the management routes, by family; management_routes.cpp has the table. Plain functions on the worker
// pool.
#pragma once

#include "server/api/http.hpp"
#include "server/service/inventory/inventory.hpp"

namespace godwit::api::management {

using Answer = Result<Reply>;

// management_devices.cpp: devices, classes, health, device syncs
[[nodiscard]] Answer list_devices(const Request& request, Services& services);
[[nodiscard]] Answer get_device(const Request& request, Services& services);  // or a module
[[nodiscard]] Answer import_devices(const Request& request, Services& services);
[[nodiscard]] Answer list_operations(const Request& request, Services& services);
[[nodiscard]] Answer get_operation(const Request& request, Services& services);
[[nodiscard]] Answer list_health(const Request& request, Services& services);
[[nodiscard]] Answer list_classes(const Request& request, Services& services);
[[nodiscard]] Answer get_class(const Request& request, Services& services);
[[nodiscard]] Answer rename_class(const Request& request, Services& services);
[[nodiscard]] Answer delete_class(const Request& request, Services& services);
[[nodiscard]] Answer list_installable(const Request& request, Services& services);
[[nodiscard]] Answer get_limits(const Request& request, Services& services);

// management_groups.cpp: groups, subgroups, compliance, best updates
[[nodiscard]] Answer instance_compliance(const Request& request, Services& services);
[[nodiscard]] Answer list_groups(const Request& request, Services& services);
[[nodiscard]] Answer get_group(const Request& request, Services& services);
[[nodiscard]] Answer delete_group(const Request& request, Services& services);
[[nodiscard]] Answer group_compliance(const Request& request, Services& services);
[[nodiscard]] Answer list_best_updates(const Request& request, Services& services);
[[nodiscard]] Answer list_subgroups(const Request& request, Services& services);
[[nodiscard]] Answer get_subgroup(const Request& request, Services& services);
[[nodiscard]] Answer delete_subgroup(const Request& request, Services& services);
[[nodiscard]] Answer subgroup_compliance(const Request& request, Services& services);
[[nodiscard]] Answer get_best_update(const Request& request, Services& services);

// management_deployments.cpp: deployments of groups and subgroups
[[nodiscard]] Answer list_deployments(const Request& request, Services& services);
[[nodiscard]] Answer get_deployment(const Request& request, Services& services);
[[nodiscard]] Answer put_deployment(const Request& request, Services& services);
[[nodiscard]] Answer delete_deployment(const Request& request, Services& services);
[[nodiscard]] Answer get_status(const Request& request, Services& services);
[[nodiscard]] Answer list_subgroup_deployments(const Request& request, Services& services);
[[nodiscard]] Answer get_subgroup_deployment(const Request& request, Services& services);
[[nodiscard]] Answer delete_subgroup_deployment(const Request& request, Services& services);
[[nodiscard]] Answer cancel_subgroup_deployment(const Request& request, Services& services);
[[nodiscard]] Answer retry_subgroup_deployment(const Request& request, Services& services);
[[nodiscard]] Answer get_subgroup_status(const Request& request, Services& services);
[[nodiscard]] Answer list_device_states(const Request& request, Services& services);

/// A JSON object as a reply, or the error.
[[nodiscard]] inline Answer answer(Result<json::Object> object) {
  if (!object) return tl::unexpected<Error>{std::move(object).error()};
  return Reply::json(json::Value(*std::move(object)));
}
[[nodiscard]] Answer answer_page(const Request& request, Result<service::FleetPage> page);
[[nodiscard]] inline Answer answer_nothing(Result<void> done) {
  if (!done) return tl::unexpected<Error>{std::move(done).error()};
  return Reply::no_content();
}

}  // namespace godwit::api::management
