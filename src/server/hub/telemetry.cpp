#include "server/hub/telemetry.hpp"

#include "core/base/bytes.hpp"
#include "server/hub/property_bag.hpp"

namespace godwit::hub {
namespace {

constexpr json::Limits kBodyLimits{.bytes = 256 * 1024, .depth = 32};

void add_body(json::Object& document, const std::string& payload) {
  if (auto parsed = json::parse(payload, kBodyLimits))
    document["body"] = *std::move(parsed);
  else if (is_valid_utf8(payload))
    document["bodyText"] = payload;
  else
    document["bodyBase64"] = base64_encode(payload);
}

}  // namespace

TelemetryEvent telemetry_event(const Telemetry& message, std::string_view id) {
  TelemetryEvent event;
  json::Object& document = event.document;
  document["id"] = id;
  document["deviceId"] = message.id.device_text();
  if (message.id.is_module()) document["moduleId"] = message.id.module_text();
  document["enqueuedTime"] = format_time(message.received);
  json::Object application;
  if (const auto bag = parse_bag(message.properties)) {
    event.component = bag->system_value("sub");
    if (!event.component.empty()) document["component"] = event.component;
    document["systemProperties"] = system_json(*bag);
    application = application_json(*bag);
  } else {
    document["propertiesError"] = bag.error().message;
  }
  // As the original marks them.
  if (message.is_retained) application["mqtt-retain"] = "true";
  if (message.is_will) application["iothub-MessageType"] = "Will";
  document["properties"] = std::move(application);
  add_body(document, message.payload);
  return event;
}

}  // namespace godwit::hub
