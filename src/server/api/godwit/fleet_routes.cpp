// What Godwit adds beside the management family: verbs for a whole group's deployment, its device states in one list,
// and the whole answer about one device.
#include "server/api/deviceupdate/management_arguments.hpp"
#include "server/api/deviceupdate/management_handlers.hpp"
#include "server/api/services.hpp"

namespace godwit::api {
namespace {

Result<Reply> explain_device(const Request& request, Services& services) {
  GODWIT_TRY(const auto id, device_of(request));
  return management::answer(services.inventory.explain_device(id));
}

Result<Reply> cancel_group_deployment(const Request& request, Services& services) {
  GODWIT_TRY(const auto group, group_of(request));
  GODWIT_TRY(const auto id, deployment_of(request));
  return management::answer(services.rollout.cancel(group, id, std::nullopt, request.caller));
}

Result<Reply> retry_group_deployment(const Request& request, Services& services) {
  GODWIT_TRY(const auto group, group_of(request));
  GODWIT_TRY(const auto id, deployment_of(request));
  return management::answer(services.rollout.retry(group, id, std::nullopt, request.caller));
}

Result<Reply> group_device_states(const Request& request, Services& services) {
  GODWIT_TRY(const auto group, group_of(request));
  GODWIT_TRY(const auto id, deployment_of(request));
  GODWIT_TRY(const auto filter, device_state_filter(request, std::nullopt));
  GODWIT_TRY(const std::string token, page_token(request));
  return management::answer_page(request, services.rollout.device_states(group, id, filter, token));
}

}  // namespace

const std::vector<Route>& godwit_fleet_routes() {
  static const std::vector<Route> routes{
      {Method::get, "/godwit/v1/{instanceId}/devices/{deviceId}", Permission::management_read, explain_device},
      {Method::post, "/godwit/v1/{instanceId}/groups/{groupId}/deployments/{deploymentId}:cancel",
       Permission::management_write, cancel_group_deployment},
      {Method::post, "/godwit/v1/{instanceId}/groups/{groupId}/deployments/{deploymentId}:retry",
       Permission::management_write, retry_group_deployment},
      {Method::get, "/godwit/v1/{instanceId}/groups/{groupId}/deployments/{deploymentId}/devicestates",
       Permission::management_read, group_device_states},
  };
  return routes;
}

}  // namespace godwit::api
