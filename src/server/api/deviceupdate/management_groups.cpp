#include "server/api/deviceupdate/management_arguments.hpp"
#include "server/api/deviceupdate/management_handlers.hpp"
#include "server/api/services.hpp"

namespace godwit::api::management {

Answer instance_compliance(const Request&, Services& services) {
  return answer(services.inventory.compliance(std::nullopt, std::nullopt));
}

Answer list_groups(const Request& request, Services& services) {
  GODWIT_TRY(const auto order, group_order(request));
  GODWIT_TRY(const std::string token, page_token(request));
  return answer_page(request, services.inventory.list_groups(order.order, order.is_descending, token));
}

Answer get_group(const Request& request, Services& services) {
  GODWIT_TRY(const auto group, group_of(request));
  return answer(services.inventory.describe_group(group));
}

Answer delete_group(const Request& request, Services& services) {
  GODWIT_TRY(const auto group, group_of(request));
  return answer_nothing(services.inventory.remove_group(group, request.caller));
}

Answer group_compliance(const Request& request, Services& services) {
  GODWIT_TRY(const auto group, group_of(request));
  return answer(services.inventory.compliance(group, std::nullopt));
}

Answer list_best_updates(const Request& request, Services& services) {
  GODWIT_TRY(const auto group, group_of(request));
  return answer_page(request, services.inventory.best_updates(group));
}

Answer list_subgroups(const Request& request, Services& services) {
  GODWIT_TRY(const auto group, group_of(request));
  GODWIT_TRY(const auto properties, subgroup_filter(request));
  return answer_page(request, services.inventory.list_subgroups(group, properties));
}

Answer get_subgroup(const Request& request, Services& services) {
  GODWIT_TRY(const auto group, group_of(request));
  GODWIT_TRY(const auto class_id, class_of(request));
  return answer(services.inventory.describe_subgroup(group, class_id));
}

Answer delete_subgroup(const Request& request, Services& services) {
  GODWIT_TRY(const auto group, group_of(request));
  GODWIT_TRY(const auto class_id, class_of(request));
  return answer_nothing(services.inventory.remove_subgroup(group, class_id, request.caller));
}

Answer subgroup_compliance(const Request& request, Services& services) {
  GODWIT_TRY(const auto group, group_of(request));
  GODWIT_TRY(const auto class_id, class_of(request));
  return answer(services.inventory.compliance(group, class_id));
}

Answer get_best_update(const Request& request, Services& services) {
  GODWIT_TRY(const auto group, group_of(request));
  GODWIT_TRY(const auto class_id, class_of(request));
  return answer(services.inventory.best_update(group, class_id));
}

}  // namespace godwit::api::management
