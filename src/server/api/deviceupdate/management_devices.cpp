#include "server/api/deviceupdate/management_arguments.hpp"
#include "server/api/deviceupdate/management_handlers.hpp"
#include "server/api/services.hpp"

namespace godwit::api::management {

Answer answer_page(const Request& request, Result<service::FleetPage> list) {
  if (!list) return tl::unexpected<Error>{std::move(list).error()};
  return page(request, std::move(list->values), list->next_token);
}

Answer list_devices(const Request& request, Services& services) {
  GODWIT_TRY(auto filter, device_filter(request));
  GODWIT_TRY(const std::string token, page_token(request));
  return answer_page(request, services.inventory.list_devices(std::move(filter), token));
}

Answer get_device(const Request& request, Services& services) {
  GODWIT_TRY(const auto id, device_of(request));
  return answer(services.inventory.describe_device(id));
}

Answer get_limits(const Request&, Services& services) { return answer(services.rollout.limits()); }

Answer import_devices(const Request& request, Services& services) {
  GODWIT_TRY(const json::Value body, json::parse(request.body));
  if (!body.is_string())
    return fail(Code::invalid_argument, "the body must be one JSON string: \"Devices\", \"Modules\" or \"All\"");
  GODWIT_TRY(const std::string id,
             services.inventory.start_sync(std::string(std::string_view(body.as_string())), request.caller));
  const std::string version = request.query_value("api-version").value_or("2022-10-01");
  return Reply{.status = 202,
               .headers = {{"Operation-Location", "/deviceUpdate/" + request.parameter("instanceId") +
                                                      "/management/operations/" + id + "?api-version=" + version},
                           {"Retry-After", "1"}}};
}

Answer list_operations(const Request& request, Services& services) {
  GODWIT_TRY(const bool only_unfinished, operation_filter(request));
  GODWIT_TRY(const std::size_t top, top_of(request));
  return answer_page(request, services.inventory.list_operations(only_unfinished, top));
}

Answer get_operation(const Request& request, Services& services) {
  GODWIT_TRY(auto operation, services.inventory.describe_operation(request.parameter("operationId")));
  const std::string etag = json::text_or_nothing(operation, "etag").value_or("");
  const std::string status = json::text_or_nothing(operation, "status").value_or("");
  const bool is_known = request.header("if-none-match") == etag;
  Reply reply = is_known ? Reply{.status = 304} : Reply::json(json::Value(std::move(operation)));
  reply.headers.emplace_back("ETag", etag);
  // Without it the Python client sleeps for 30 s before it asks again.
  if (status == "NotStarted" || status == "Running") reply.headers.emplace_back("Retry-After", "1");
  return reply;
}

Answer list_health(const Request& request, Services& services) {
  GODWIT_TRY(const auto filter, health_filter(request));
  GODWIT_TRY(const std::string token, page_token(request));
  return answer_page(request, services.inventory.list_health(filter, token));
}

Answer list_classes(const Request& request, Services& services) {
  GODWIT_TRY(const auto friendly_name, class_filter(request));
  GODWIT_TRY(const std::string token, page_token(request));
  return answer_page(request, services.inventory.list_classes(friendly_name, token));
}

Answer get_class(const Request& request, Services& services) {
  GODWIT_TRY(const auto id, class_of(request));
  return answer(services.inventory.describe_class(id));
}

Answer rename_class(const Request& request, Services& services) {
  GODWIT_TRY(const auto id, class_of(request));
  GODWIT_TRY(const json::Object body, json::parse_object(request.body));
  GODWIT_TRY(const std::string name, json::text(body, "friendlyName", "the device class"));
  return answer(services.inventory.rename_class(id, name, request.caller));
}

Answer delete_class(const Request& request, Services& services) {
  GODWIT_TRY(const auto id, class_of(request));
  return answer_nothing(services.inventory.remove_class(id, request.caller));
}

Answer list_installable(const Request& request, Services& services) {
  GODWIT_TRY(const auto id, class_of(request));
  return answer_page(request, services.inventory.installable_updates(id));
}

}  // namespace godwit::api::management
