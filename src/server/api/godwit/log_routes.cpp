// Logs of devices: the diagnostics routes of the Device Update family, and what Godwit adds to them: the files.
#include "server/api/paging.hpp"
#include "server/api/services.hpp"
#include "server/service/diagnostics/log_collections.hpp"

// A pattern is one literal; these only keep the table readable.
#define COLLECTIONS "/deviceUpdate/{instanceId}/management/deviceDiagnostics/logCollections"
#define FILES "/godwit/v1/{instanceId}/logCollections/{operationId}"

namespace godwit::api {
namespace {

[[nodiscard]] Result<service::LogCollections*> logs_of(const Services& services) {
  if (services.logs == nullptr) return fail(Code::unavailable, "logs are not collected here");
  return services.logs;
}

[[nodiscard]] Reply json_reply(json::Object object, int status = 200) {
  return Reply::json(json::Value(std::move(object)), status);
}

[[nodiscard]] Result<IdentityId> read_agent(const json::Value& value) {
  if (!value.is_object()) return fail(Code::invalid_argument, "deviceList holds something that is no object");
  GODWIT_TRY(const std::string device_text, json::text(value.get_object(), "deviceId", "deviceList"));
  GODWIT_TRY(const auto device, DeviceId::parse(device_text, "device id"));
  const auto module_text = json::text_or_nothing(value.get_object(), "moduleId");
  if (!module_text || module_text->empty()) return IdentityId(device);
  GODWIT_TRY(const auto module_id, ModuleId::parse(*module_text, "module id"));
  return IdentityId(device, module_id);
}

Result<Reply> put_collection(const Request& request, Services& services) {
  GODWIT_TRY(auto* const logs, logs_of(services));
  GODWIT_TRY(const json::Object body, json::parse_object(request.body));
  service::LogWish wish{.id = request.parameter("operationId"), .agents = {}};
  if (const auto id = json::text_or_nothing(body, "operationId"); id && *id != wish.id)
    return fail(Code::invalid_argument, "operationId in the body is not the one in the path");
  GODWIT_TRY(const json::Array* list, json::array(body, "deviceList", "the log collection"));
  if (list->size() > service::kMostLogAgents)
    return fail(Code::invalid_argument, "deviceList has " + std::to_string(list->size()) +
                                            " agents, allowed are 1 to " + std::to_string(service::kMostLogAgents));
  for (const json::Value& value : *list) {
    GODWIT_TRY(const auto agent, read_agent(value));
    wish.agents.push_back(agent);
  }
  if (const json::Value* text = json::find(body, "description"); text != nullptr && !text->is_null()) {
    GODWIT_TRY(wish.description, json::text(body, "description", "the log collection"));
  }
  GODWIT_TRY(auto made, logs->create(wish, request.caller));
  return json_reply(std::move(made), 201);
}

Result<Reply> get_collection(const Request& request, Services& services) {
  GODWIT_TRY(auto* const logs, logs_of(services));
  GODWIT_TRY(auto body, logs->describe(request.parameter("operationId")));
  return json_reply(std::move(body));
}

Result<Reply> get_detail(const Request& request, Services& services) {
  GODWIT_TRY(auto* const logs, logs_of(services));
  GODWIT_TRY(auto body, logs->detail(request.parameter("operationId")));
  return json_reply(std::move(body));
}

Result<Reply> list_collections(const Request& request, Services& services) {
  GODWIT_TRY(auto* const logs, logs_of(services));
  GODWIT_TRY(const std::string token, page_token(request));
  GODWIT_TRY(auto found, logs->list(token));
  return page(request, std::move(found.values), found.next_token);
}

Result<Reply> delete_collection(const Request& request, Services& services) {
  GODWIT_TRY(auto* const logs, logs_of(services));
  GODWIT_TRY_VOID(logs->remove(request.parameter("operationId"), request.caller));
  return Reply::no_content();
}

Result<Reply> list_files(const Request& request, Services& services) {
  GODWIT_TRY(auto* const logs, logs_of(services));
  GODWIT_TRY(const std::string token, page_token(request));
  std::optional<IdentityId> agent;
  if (const auto text = request.query_value("agent")) {
    GODWIT_TRY(const auto id, IdentityId::parse(*text, "agent"));
    agent = id;
  }
  GODWIT_TRY(auto found, logs->list_files(request.parameter("operationId"), agent, token));
  return page(request, std::move(found.values), found.next_token);
}

}  // namespace

const std::vector<Route>& log_routes() {
  static const std::vector<Route> routes{
      {Method::get, COLLECTIONS, Permission::management_read, list_collections},
      {Method::put, COLLECTIONS "/{operationId}", Permission::management_write, put_collection},
      {Method::get, COLLECTIONS "/{operationId}", Permission::management_read, get_collection},
      {Method::get, COLLECTIONS "/{operationId}/detailedStatus", Permission::management_read, get_detail},
      {Method::delete_, FILES, Permission::management_delete, delete_collection},
      {Method::get, FILES "/files", Permission::management_read, list_files},
  };
  return routes;
}

}  // namespace godwit::api

#undef FILES
#undef COLLECTIONS
