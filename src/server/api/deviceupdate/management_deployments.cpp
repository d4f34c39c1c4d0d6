#include "server/api/deviceupdate/management_arguments.hpp"
#include "server/api/deviceupdate/management_handlers.hpp"
#include "server/api/services.hpp"

namespace godwit::api::management {
namespace {

/// Group, class and deployment of a subgroup's route.
struct Place {
  GroupId group;
  DeploymentId deployment;
  DeviceClassId class_id;
};

Result<Place> place_of(const Request& request) {
  GODWIT_TRY(auto group, group_of(request));
  GODWIT_TRY(auto class_id, class_of(request));
  GODWIT_TRY(auto deployment, deployment_of(request));
  return Place{.group = std::move(group), .deployment = std::move(deployment), .class_id = std::move(class_id)};
}

Answer list_with(const Request& request, Services& services, const std::optional<DeviceClassId>& class_id) {
  GODWIT_TRY(const auto group, group_of(request));
  GODWIT_TRY(const auto order, deployment_order(request));
  GODWIT_TRY(const std::string token, page_token(request));
  return answer_page(request, services.rollout.list(group, class_id, order, token));
}

}  // namespace

Answer list_deployments(const Request& request, Services& services) {
  return list_with(request, services, std::nullopt);
}

Answer get_deployment(const Request& request, Services& services) {
  GODWIT_TRY(const auto group, group_of(request));
  GODWIT_TRY(const auto id, deployment_of(request));
  return answer(services.rollout.describe(group, id, std::nullopt));
}

Answer put_deployment(const Request& request, Services& services) {
  GODWIT_TRY(const auto wish, deployment_wish(request));
  return answer(services.rollout.create(wish, request.caller));
}

Answer delete_deployment(const Request& request, Services& services) {
  GODWIT_TRY(const auto group, group_of(request));
  GODWIT_TRY(const auto id, deployment_of(request));
  return answer_nothing(services.rollout.remove(group, id, std::nullopt, request.caller));
}

Answer get_status(const Request& request, Services& services) {
  GODWIT_TRY(const auto group, group_of(request));
  GODWIT_TRY(const auto id, deployment_of(request));
  return answer(services.rollout.status(group, id));
}

Answer list_subgroup_deployments(const Request& request, Services& services) {
  GODWIT_TRY(auto class_id, class_of(request));
  return list_with(request, services, std::move(class_id));
}

Answer get_subgroup_deployment(const Request& request, Services& services) {
  GODWIT_TRY(const Place place, place_of(request));
  return answer(services.rollout.describe(place.group, place.deployment, place.class_id));
}

Answer delete_subgroup_deployment(const Request& request, Services& services) {
  GODWIT_TRY(const Place place, place_of(request));
  return answer_nothing(services.rollout.remove(place.group, place.deployment, place.class_id, request.caller));
}

Answer cancel_subgroup_deployment(const Request& request, Services& services) {
  GODWIT_TRY(const Place place, place_of(request));
  return answer(services.rollout.cancel(place.group, place.deployment, place.class_id, request.caller));
}

Answer retry_subgroup_deployment(const Request& request, Services& services) {
  GODWIT_TRY(const Place place, place_of(request));
  return answer(services.rollout.retry(place.group, place.deployment, place.class_id, request.caller));
}

Answer get_subgroup_status(const Request& request, Services& services) {
  GODWIT_TRY(const Place place, place_of(request));
  return answer(services.rollout.subgroup_status(place.group, place.deployment, place.class_id));
}

Answer list_device_states(const Request& request, Services& services) {
  GODWIT_TRY(const Place place, place_of(request));
  GODWIT_TRY(const auto filter, device_state_filter(request, place.class_id));
  GODWIT_TRY(const std::string token, page_token(request));
  return answer_page(request, services.rollout.device_states(place.group, place.deployment, filter, token));
}

}  // namespace godwit::api::management
