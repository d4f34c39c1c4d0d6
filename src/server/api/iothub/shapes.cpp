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

[[nodiscard]] json::Value text_or_null(const std::string& text) {
  return text.empty() ? json::Value(nullptr) : json::Value(text);
}

[[nodiscard]] json::Object thumbprints_json(const store::DeviceIdentity& identity) {
  return json::Object{{"primaryThumbprint", text_or_null(identity.primary_thumbprint)},
                      {"secondaryThumbprint", text_or_null(identity.secondary_thumbprint)}};
}

[[nodiscard]] json::Object authentication_json(const store::DeviceIdentity& identity) {
  const auto key = [](const Secret& secret) { return text_or_null(base64_encode(secret.reveal())); };
  return json::Object{{"symmetricKey", json::Object{{"primaryKey", key(identity.primary_key)},
                                                    {"secondaryKey", key(identity.secondary_key)}}},
                      {"x509Thumbprint", thumbprints_json(identity)},
                      {"type", authentication_name(identity.authentication)}};
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

Result<std::optional<std::uint64_t>> parse_etag(std::string_view text) {
  text = trimmed(text);
  if (text.starts_with("W/")) text.remove_prefix(2);
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') text = text.substr(1, text.size() - 2);
  if (text == "*") return std::optional<std::uint64_t>{};
  const auto bytes = base64_decode(text);
  if (!bytes || bytes->size() != 8)
    return fail(Code::precondition_failed, "the etag to match is not one that this service made");
  std::uint64_t number = 0;
  for (const char c : *bytes) number = (number << 8) | static_cast<unsigned char>(c);
  return std::optional<std::uint64_t>(number);
}

Result<std::optional<std::uint64_t>> if_match(const Request& request) {
  const auto header = request.header("if-match");
  return header ? parse_etag(*header) : std::optional<std::uint64_t>{};
}

std::string_view authentication_name(store::Authentication authentication) {
  switch (authentication) {
    case store::Authentication::sas: return "sas";
    case store::Authentication::self_signed: return "selfSigned";
    case store::Authentication::certificate_authority: return "certificateAuthority";
  }
  return "unknown";
}

std::optional<store::Authentication> parse_authentication(std::string_view name) {
  for (const auto one :
       {store::Authentication::sas, store::Authentication::self_signed, store::Authentication::certificate_authority})
    if (name == authentication_name(one)) return one;
  return std::nullopt;
}

json::Object identity_json(const store::DeviceIdentity& identity, const store::DeviceSession& session) {
  json::Object body;
  if (identity.id.is_module()) {
    body["moduleId"] = identity.id.module_text();
    body["managedBy"] = text_or_null(identity.managed_by);
  }
  body["deviceId"] = identity.id.device_text();
  body["generationId"] = identity.generation;
  body["etag"] = etag_text(identity.etag);
  body["connectionState"] = connection_state(session);
  body["status"] = identity.is_enabled ? "enabled" : "disabled";
  body["statusReason"] = text_or_null(identity.status_reason);
  body["connectionStateUpdatedTime"] = time_or_never(session.connection_changed);
  body["statusUpdatedTime"] = time_or_never(identity.status_updated);
  body["lastActivityTime"] = time_or_never(session.last_activity);
  body["cloudToDeviceMessageCount"] = session.queued_messages;
  body["authentication"] = authentication_json(identity);
  if (!identity.id.is_module()) body["capabilities"] = no_capabilities();
  return body;
}

json::Object twin_head_json(const store::DeviceIdentity& identity, const store::DeviceSession& session,
                            std::uint64_t version) {
  json::Object body;
  body["deviceId"] = identity.id.device_text();
  if (identity.id.is_module()) body["moduleId"] = identity.id.module_text();
  body["etag"] = etag_text(version);
  body["deviceEtag"] = etag_text(identity.etag);
  body["status"] = identity.is_enabled ? "enabled" : "disabled";
  if (!identity.status_reason.empty()) body["statusReason"] = identity.status_reason;
  body["statusUpdateTime"] = time_or_never(identity.status_updated);
  body["connectionState"] = connection_state(session);
  body["lastActivityTime"] = time_or_never(session.last_activity);
  body["cloudToDeviceMessageCount"] = session.queued_messages;
  body["authenticationType"] = authentication_name(identity.authentication);
  body["x509Thumbprint"] = thumbprints_json(identity);
  body["modelId"] = session.model_id;
  body["version"] = version;
  if (!identity.id.is_module()) body["capabilities"] = no_capabilities();
  return body;
}

json::Object twin_json(const store::DeviceIdentity& identity, const store::DeviceSession& session,
                       const store::TwinRecord& record) {
  json::Object properties;
  properties["desired"] = record.twin.desired.with_metadata();
  properties["reported"] = record.twin.reported.with_metadata();
  json::Object body = twin_head_json(identity, session, record.version);
  body["tags"] = record.twin.tags;
  body["properties"] = std::move(properties);
  return body;
}

Result<Device> find_device(store::Records& records, const IdentityId& id) {
  GODWIT_TRY(auto identity, records.devices().find_identity(id));
  if (!identity)
    return fail(Code::not_found,
                std::string(id.is_module() ? "there is no module '" : "there is no device '") + id.str() + "'");
  GODWIT_TRY(auto session, records.devices().find_session(id));
  GODWIT_TRY(auto twin, records.devices().find_twin(id));
  if (!session || !twin)
    return fail(Code::internal, "device '" + id.str() + "' has an identity but no session or twin");
  return Device{.identity = *std::move(identity), .session = *std::move(session), .twin = *std::move(twin)};
}

Result<IdentityId> identity_id(const Request& request) {
  GODWIT_TRY(const DeviceId device, DeviceId::parse(request.parameter("deviceId"), "device id"));
  const auto module_text = request.parameters.find("moduleId");
  if (module_text == request.parameters.end()) return IdentityId(device);
  GODWIT_TRY(const ModuleId module, ModuleId::parse(module_text->second, "module id"));
  return IdentityId(device, module);
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
