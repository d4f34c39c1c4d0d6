// What Godwit adds to the hub's own routes: telemetry as it comes, messages as JSON, what the hub knows of a connection
// and what it has counted.
#include "server/api/iothub/shapes.hpp"
#include "server/api/services.hpp"
#include "server/api/telemetry/feed.hpp"
#include "server/api/telemetry/webhook.hpp"
#include "server/hub/topics.hpp"

namespace godwit::api {
namespace {

Result<std::shared_ptr<EventQueue>> open_telemetry(const Request& request, Services& services) {
  if (services.telemetry == nullptr) return fail(Code::unavailable, "telemetry is not offered here");
  for (const auto& [name, value] : request.query)
    if (name != "device" && name != "module" && name != "component")
      return fail(Code::invalid_argument, "'" + name.substr(0, 64) + "' is none of device, module and component");
  return services.telemetry->subscribe({.device = request.query_value("device").value_or(""),
                                        .module = request.query_value("module").value_or(""),
                                        .component = request.query_value("component").value_or("")},
                                       request.header("last-event-id").value_or(""));
}

json::Array subscription_names(std::uint8_t mask) {
  json::Array names;
  for (const auto& [bit, name] :
       {std::pair{hub::Subscription::twin_response, "twinResponses"},
        std::pair{hub::Subscription::twin_desired, "desiredChanges"}, std::pair{hub::Subscription::methods, "methods"},
        std::pair{hub::Subscription::device_bound, "messages"}})
    if (hub::has(mask, bit)) names.emplace_back(name);
  return names;
}

/// What connects the hub with a device: since when, until when, why it ended, what it listens to.
Result<Reply> get_connection(const Request& request, Services& services) {
  GODWIT_TRY(const IdentityId id, iothub::identity_id(request));
  json::Object body;
  GODWIT_TRY_VOID(services.store.read([&](store::Records& records) -> Result<void> {
    GODWIT_TRY(const auto session, records.devices().find_session(id));
    if (!session) return fail(Code::not_found, "there is no device or module '" + id.str() + "'");
    body["deviceId"] = id.device_text();
    if (id.is_module()) body["moduleId"] = id.module_text();
    body["isConnected"] = session->is_connected;
    if (session->connection_changed != WallTime{})
      body[session->is_connected ? "connectedSince" : "disconnectedSince"] = format_time(session->connection_changed);
    if (session->last_activity != WallTime{}) body["lastActivityTime"] = format_time(session->last_activity);
    if (!session->last_disconnect_reason.empty()) body["lastDisconnectReason"] = session->last_disconnect_reason;
    if (!session->model_id.empty()) body["modelId"] = session->model_id;
    body["subscriptions"] = subscription_names(session->subscriptions);
    body["telemetryCount"] = session->telemetry_count;
    body["queuedMessageCount"] = session->queued_messages;
    return {};
  }));
  return Reply::json(body);
}

Result<Reply> get_counters(const Request&, Services& services) {
  const hub::Counters counters = services.hub.counters ? services.hub.counters() : hub::Counters{};
  json::Object body{{"connections", counters.connections},
                    {"devices", counters.devices},
                    {"connects", counters.connects},
                    {"refused", counters.refused},
                    {"turnedAway", counters.turned_away},
                    {"takeovers", counters.takeovers},
                    {"disconnects", counters.disconnects},
                    {"telemetry", counters.telemetry},
                    {"twinGets", counters.twin_gets},
                    {"reportedPatches", counters.reported_patches},
                    {"desiredPushes", counters.desired_pushes},
                    {"methodCalls", counters.method_calls},
                    {"methodAnswers", counters.method_answers},
                    {"strayAnswers", counters.stray_answers},
                    {"messagesSent", counters.messages_sent},
                    {"messagesCompleted", counters.messages_completed}};
  if (services.telemetry != nullptr) {
    const TelemetryFeed::Counters feed = services.telemetry->counters();
    body["telemetryStream"] =
        json::Object{{"readers", feed.readers}, {"passedOn", feed.passed_on}, {"dropped", feed.dropped}};
  }
  if (services.webhook != nullptr) {
    const Webhook::Counters webhook = services.webhook->counters();
    body["telemetryWebhook"] = json::Object{{"delivered", webhook.delivered},
                                            {"queued", webhook.queued},
                                            {"dropped", webhook.dropped},
                                            {"refused", webhook.refused},
                                            {"failures", webhook.failures}};
  }
  return Reply::json(body);
}

}  // namespace

const std::vector<Route>& godwit_hub_routes() {
  static const std::vector<Route> routes{
      {Method::get, "/godwit/v1/{instanceId}/hub/telemetry", Permission::hub_read, open_telemetry},
      {Method::get, "/godwit/v1/{instanceId}/hub/counters", Permission::hub_read, get_counters},
      {Method::get, "/godwit/v1/{instanceId}/hub/connections/{deviceId}", Permission::hub_read, get_connection},
      {Method::get, "/godwit/v1/{instanceId}/hub/connections/{deviceId}/modules/{moduleId}", Permission::hub_read,
       get_connection},
      {Method::post, "/godwit/v1/{instanceId}/devices/{deviceId}/messages", Permission::hub_write,
       iothub::send_message_document},
      {Method::post, "/godwit/v1/{instanceId}/devices/{deviceId}/modules/{moduleId}/messages", Permission::hub_write,
       iothub::send_message_document},
  };
  return routes;
}

}  // namespace godwit::api
