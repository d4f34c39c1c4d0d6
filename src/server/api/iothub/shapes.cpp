#include "server/api/iothub/shapes.hpp"

#include "core/base/bytes.hpp"
#include "server/api/services.hpp"
#include "server/api/text.hpp"

namespace godwit::api::iothub {
namespace {

// Before a device was ever seen, clients of the hub expect the first day of their calendar.
constexpr std::string_view kNever = "0001-01-01T00:00:00Z";

[[nodiscard]] std::string time_or_never(WallTime time) {
  return time == WallTime{} ? std::string(kNever) : format_time_7(time);
}
[[nodiscard]] std::string_view connection_state(const store::DeviceSession& session) {
  return session.is_connected ? "Connected" : "Disconnected";
}

[[nodiscard]] json::Object no_thumbprints() {
  json::Object thumbprints;
  thumbprints["primaryThumbprint"] = nullptr;
  thumbprints["secondaryThumbprint"] = nullptr;
  return thumbprints;
}

[[nodiscard]] json::Object no_capabilities() {
  json::Object capabilities;
  capabilities["iotEdge"] = false;
  return capabilities;
}

}  // namespace

std::string etag_text(std::uint64_t number) {
  Bytes bytes(8, '\0');
  for (std::size_t i = 8; i-- > 0; number >>= 8) bytes[i] = static_cast<char>(number & 0xFFU);
  return base64_encode(bytes);
}

Result<std::optional<std::uint64_t>> if_match(const Request& request) {
  const auto header = request.header("if-match");
  if (!header) return std::optional<std::uint64_t>{};
  std::string_view text = trimmed(*header);
  if (text.starts_with("W/")) text.remove_prefix(2);
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') text = text.substr(1, text.size() - 2);
  if (text == "*") return std::optional<std::uint64_t>{};
  const auto bytes = base64_decode(text);
  if (!bytes || bytes->size() != 8)
    return fail(Code::precondition_failed, "If-Match names an etag that this service did not make");
  std::uint64_t number = 0;
  for (const char c : *bytes) number = (number << 8) | static_cast<unsigned char>(c);
  return std::optional<std::uint64_t>(number);
}

json::Object identity_json(const store::DeviceIdentity& identity, const store::DeviceSession& session) {
  json::Object keys;
  keys["primaryKey"] = base64_encode(identity.primary_key.reveal());
  keys["secondaryKey"] = base64_encode(identity.secondary_key.reveal());
  json::Object authentication;
  authentication["symmetricKey"] = std::move(keys);
  authentication["x509Thumbprint"] = no_thumbprints();
  authentication["type"] = "sas";
  json::Object body;
  body["deviceId"] = identity.id.str();
  body["generationId"] = identity.generation;
  body["etag"] = etag_text(identity.etag);
  body["connectionState"] = connection_state(session);
  body["status"] = identity.is_enabled ? "enabled" : "disabled";
  body["statusReason"] = identity.status_reason.empty() ? json::Value(nullptr) : json::Value(identity.status_reason);
  body["connectionStateUpdatedTime"] = kNever;
  body["statusUpdatedTime"] = kNever;
  body["lastActivityTime"] = time_or_never(session.last_activity);
  body["cloudToDeviceMessageCount"] = 0;
  body["authentication"] = std::move(authentication);
  body["capabilities"] = no_capabilities();
  return body;
}

json::Object twin_json(const store::DeviceIdentity& identity, const store::DeviceSession& session,
                       const store::TwinRecord& record) {
  json::Object properties;
  properties["desired"] = record.twin.desired.with_metadata();
  properties["reported"] = record.twin.reported.with_metadata();
  json::Object body;
  body["deviceId"] = identity.id.str();
  body["etag"] = etag_text(record.version);
  body["deviceEtag"] = etag_text(identity.etag);
  body["status"] = identity.is_enabled ? "enabled" : "disabled";
  if (!identity.status_reason.empty()) body["statusReason"] = identity.status_reason;
  body["statusUpdateTime"] = kNever;
  body["connectionState"] = connection_state(session);
  body["lastActivityTime"] = time_or_never(session.last_activity);
  body["cloudToDeviceMessageCount"] = 0;
  body["authenticationType"] = "sas";
  body["x509Thumbprint"] = no_thumbprints();
  body["modelId"] = session.model_id;
  body["version"] = record.version;
  body["tags"] = record.twin.tags;
  body["properties"] = std::move(properties);
  body["capabilities"] = no_capabilities();
  return body;
}

Result<Device> find_device(store::Records& records, const DeviceId& id) {
  GODWIT_TRY(auto identity, records.devices().find_identity(id));
  if (!identity) return fail(Code::not_found, "there is no device '" + id.str() + "'");
  GODWIT_TRY(auto session, records.devices().find_session(id));
  GODWIT_TRY(auto twin, records.devices().find_twin(id));
  if (!session || !twin)
    return fail(Code::internal, "device '" + id.str() + "' has an identity but no session or twin");
  return Device{.identity = *std::move(identity), .session = *std::move(session), .twin = *std::move(twin)};
}

Result<DeviceId> device_id(const Request& request) {
  return DeviceId::parse(request.parameter("deviceId"), "device id");
}

Result<std::string> continuation(const Request& request) {
  const auto header = request.header("x-ms-continuation");
  const std::string token = header ? *header : request.query_value("continuation").value_or("");
  if (token.empty()) return std::string{};
  auto decoded = base64_decode(token);
  if (!decoded || !check_device_id(*decoded).empty())
    return fail(Code::invalid_argument, "x-ms-continuation is not one that this service made");
  return std::string(*std::move(decoded));
}

void add_continuation(Reply& reply, const std::string& last_id) {
  // The header is left out at the end: clients take an empty one for another page.
  if (!last_id.empty()) reply.headers.emplace_back("x-ms-continuation", base64url_encode(last_id));
}

}  // namespace godwit::api::iothub
