// What Godwit adds beside the management family: verbs for a whole group's deployment and for one device of it, its
// device states in one list, its course over time, and the whole answer about one device or module.
#include "server/api/deviceupdate/management_arguments.hpp"
#include "server/api/deviceupdate/management_handlers.hpp"
#include "server/api/services.hpp"

// A pattern is one literal; these only keep the table readable.
#define DEVICE "/godwit/v1/{instanceId}/devices/{deviceId}"
#define DEPLOYMENT "/godwit/v1/{instanceId}/groups/{groupId}/deployments/{deploymentId}"
#define MODULE "/modules/{moduleId}"

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

Result<Reply> cancel_device(const Request& request, Services& services) {
  GODWIT_TRY(const auto group, group_of(request));
  GODWIT_TRY(const auto id, deployment_of(request));
  GODWIT_TRY(const auto device, device_of(request));
  return management::answer(services.rollout.cancel_device(group, id, device, request.caller));
}

Result<Reply> retry_device(const Request& request, Services& services) {
  GODWIT_TRY(const auto group, group_of(request));
  GODWIT_TRY(const auto id, deployment_of(request));
  GODWIT_TRY(const auto device, device_of(request));
  return management::answer(services.rollout.retry_device(group, id, device, request.caller));
}

Result<Reply> group_progress(const Request& request, Services& services) {
  GODWIT_TRY(const auto group, group_of(request));
  GODWIT_TRY(const auto id, deployment_of(request));
  return management::answer(services.rollout.progress(group, id));
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
  constexpr Permission kRead = Permission::management_read;
  constexpr Permission kWrite = Permission::management_write;
  static const std::vector<Route> routes{
      {Method::get, DEVICE, kRead, explain_device},
      {Method::get, DEVICE MODULE, kRead, explain_device},
      {Method::post, DEPLOYMENT ":cancel", kWrite, cancel_group_deployment},
      {Method::post, DEPLOYMENT ":retry", kWrite, retry_group_deployment},
      {Method::get, DEPLOYMENT "/devicestates", kRead, group_device_states},
      {Method::get, DEPLOYMENT "/progress", kRead, group_progress},
      {Method::post, DEPLOYMENT "/devices/{deviceId}:cancel", kWrite, cancel_device},
      {Method::post, DEPLOYMENT "/devices/{deviceId}:retry", kWrite, retry_device},
      {Method::post, DEPLOYMENT "/devices/{deviceId}" MODULE ":cancel", kWrite, cancel_device},
      {Method::post, DEPLOYMENT "/devices/{deviceId}" MODULE ":retry", kWrite, retry_device},
  };
  return routes;
}

}  // namespace godwit::api

#undef MODULE
#undef DEPLOYMENT
#undef DEVICE
