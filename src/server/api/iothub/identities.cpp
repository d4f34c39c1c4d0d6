// The registry of identities: /devices and /devices/{deviceId}/modules.
#include "server/api/iothub/shapes.hpp"

#include "core/base/bytes.hpp"
#include "core/base/text.hpp"
#include "server/api/services.hpp"
#include "server/hub/registry.hpp"

namespace godwit::api::iothub {
namespace {

constexpr std::size_t kMostListed = 1000;

[[nodiscard]] Result<Bytes> read_key(const json::Object& keys, std::string_view name) {
  const auto text = json::text_or_nothing(keys, name);
  if (!text || text->empty()) return Bytes{};
  auto key = base64_decode(*text);
  const std::string where = "authentication.symmetricKey." + std::string(name);
  if (!key) return fail(Code::invalid_argument, where + " is not base64");
  if (key->size() < 16 || key->size() > 64)
    return fail(Code::invalid_argument, where + " has " + std::to_string(key->size()) + " bytes; 16 to 64 are needed");
  return key;
}

[[nodiscard]] Result<void> read_authentication(const json::Object& authentication, hub::NewIdentity& wanted) {
  const std::string type = json::text_or_nothing(authentication, "type").value_or("sas");
  const auto known = parse_authentication(type);
  if (!known)
    return fail(Code::invalid_argument, "authentication.type '" + type.substr(0, 40) +
                                            "' is none of 'sas', 'selfSigned' and 'certificateAuthority'");
  wanted.authentication = *known;
  if (const json::Object* keys = json::object_or_null(authentication, "symmetricKey");
      keys != nullptr && *known == store::Authentication::sas) {
    GODWIT_TRY(wanted.primary_key, read_key(*keys, "primaryKey"));
    GODWIT_TRY(wanted.secondary_key, read_key(*keys, "secondaryKey"));
  }
  if (const json::Object* thumbprints = json::object_or_null(authentication, "x509Thumbprint");
      thumbprints != nullptr && *known == store::Authentication::self_signed) {
    wanted.primary_thumbprint = json::text_or_nothing(*thumbprints, "primaryThumbprint").value_or("");
    wanted.secondary_thumbprint = json::text_or_nothing(*thumbprints, "secondaryThumbprint").value_or("");
  }
  return {};
}

[[nodiscard]] Result<void> check_named(const json::Object& body, const char* member, std::string_view expected) {
  const auto named = json::text_or_nothing(body, member);
  if (!named || *named == expected) return {};
  return fail(Code::invalid_argument, std::string(member) + " in the body is '" + named->substr(0, 128) +
                                          "' but the path says '" + std::string(expected) + "'");
}

[[nodiscard]] Reply identity_reply(const store::DeviceIdentity& identity, const store::DeviceSession& session) {
  Reply reply = Reply::json(identity_json(identity, session));
  reply.headers.emplace_back("ETag", "\"" + etag_text(identity.etag) + "\"");
  return reply;
}

[[nodiscard]] Result<void> audit(store::Records& records, const Request& request, Services& services,
                                 const char* action, const IdentityId& id) {
  return records.access().append_audit(
      store::AuditEvent{.at = services.clock.now(),
                        .actor = request.caller,
                        .action = std::string(id.is_module() ? "module." : "device.") + action,
                        .subject = id.str()});
}

[[nodiscard]] Result<std::size_t> read_top(const Request& request) {
  const auto text = request.query_value("top");
  if (!text) return kMostListed;
  const std::size_t top = to_number<std::size_t>(*text).value_or(0);
  if (top == 0 || top > kMostListed) return fail(Code::invalid_argument, "top is a number from 1 to 1000");
  return top;
}

}  // namespace

Result<hub::NewIdentity> read_identity(const json::Object& body, const IdentityId& id,
                                       const store::DeviceIdentity* before) {
  GODWIT_TRY_VOID(check_named(body, "deviceId", id.device_text()));
  if (id.is_module()) GODWIT_TRY_VOID(check_named(body, "moduleId", id.module_text()));
  hub::NewIdentity wanted{.id = id};
  const std::string status = json::text_or_nothing(body, "status").value_or("enabled");
  if (status != "enabled" && status != "disabled")
    return fail(Code::invalid_argument, "status is neither 'enabled' nor 'disabled'");
  wanted.is_enabled = status == "enabled";
  wanted.status_reason = json::text_or_nothing(body, "statusReason").value_or("");
  if (wanted.status_reason.size() > 128) return fail(Code::invalid_argument, "statusReason has more than 128 bytes");
  wanted.managed_by = id.is_module() ? json::text_or_nothing(body, "managedBy").value_or("") : "";
  if (const json::Object* capabilities = json::object_or_null(body, "capabilities"))
    if (const json::Value* edge = json::find(*capabilities, "iotEdge");
        edge != nullptr && edge->is_bool() && edge->get_bool())
      return fail(Code::unsupported, "capabilities.iotEdge is not served here");
  if (const json::Object* authentication = json::object_or_null(body, "authentication")) {
    GODWIT_TRY_VOID(read_authentication(*authentication, wanted));
  } else if (before != nullptr) {
    wanted.authentication = before->authentication;
    wanted.primary_thumbprint = before->primary_thumbprint;
    wanted.secondary_thumbprint = before->secondary_thumbprint;
  }
  return wanted;
}

Result<Reply> get_identity(const Request& request, Services& services) {
  GODWIT_TRY(const IdentityId id, identity_id(request));
  Reply reply;
  const auto job = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY(const Device device, find_device(records, id));
    reply = identity_reply(device.identity, device.session);
    return {};
  };
  GODWIT_TRY_VOID(services.store.read(job));
  return reply;
}

Result<Reply> list_identities(const Request& request, Services& services) {
  GODWIT_TRY(const std::size_t top, read_top(request));
  GODWIT_TRY(const std::string after, continuation(request));
  json::Array list;
  std::string last;
  const auto job = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY(auto identities, records.devices().list_identities(after, top + 1));
    const bool has_more = identities.size() > top;
    if (has_more) identities.pop_back();
    for (const auto& identity : identities) {
      GODWIT_TRY(const auto session, records.devices().find_session(identity.id));
      list.emplace_back(identity_json(identity, session.value_or(store::DeviceSession{})));
    }
    if (has_more) last = identities.back().id.str();
    return {};
  };
  GODWIT_TRY_VOID(services.store.read(job));
  Reply reply = Reply::json(std::move(list));
  add_continuation(reply, last);
  return reply;
}

Result<Reply> list_modules(const Request& request, Services& services) {
  GODWIT_TRY(const IdentityId id, identity_id(request));
  json::Array list;
  const auto job = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY([[maybe_unused]] const Device device, find_device(records, id));
    GODWIT_TRY(const auto modules, records.devices().list_modules(id.device(), kMostListed));
    for (const auto& module : modules) {
      GODWIT_TRY(const auto session, records.devices().find_session(module.id));
      list.emplace_back(identity_json(module, session.value_or(store::DeviceSession{})));
    }
    return {};
  };
  GODWIT_TRY_VOID(services.store.read(job));
  return Reply::json(std::move(list));
}

/// Creates without If-Match; with it changes what is there.
Result<Reply> put_identity(const Request& request, Services& services) {
  GODWIT_TRY(const IdentityId id, identity_id(request));
  GODWIT_TRY(const json::Object body,
             json::parse_object(request.body.empty() ? std::string_view("{}") : std::string_view(request.body)));
  GODWIT_TRY(const auto etag, if_match(request));
  const bool is_update = request.header("if-match").has_value();
  Reply reply;
  const auto job = [&](store::Records& records) -> Result<void> {
    if (is_update) {
      GODWIT_TRY(const Device before, find_device(records, id));
      GODWIT_TRY(const hub::NewIdentity wanted, read_identity(body, id, &before.identity));
      GODWIT_TRY(const auto identity, services.registry.update(records, wanted, etag));
      GODWIT_TRY_VOID(audit(records, request, services, "changed", id));
      reply = identity_reply(identity, before.session);
      return {};
    }
    GODWIT_TRY(const hub::NewIdentity wanted, read_identity(body, id, nullptr));
    GODWIT_TRY(const auto identity, services.registry.create(records, wanted));
    GODWIT_TRY_VOID(audit(records, request, services, "created", id));
    reply = identity_reply(identity, store::DeviceSession{});
    return {};
  };
  GODWIT_TRY_VOID(services.store.write(job));
  return reply;
}

Result<Reply> delete_identity(const Request& request, Services& services) {
  GODWIT_TRY(const IdentityId id, identity_id(request));
  GODWIT_TRY(const auto etag, if_match(request));
  const auto job = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY_VOID(services.registry.remove(records, id, etag));
    return audit(records, request, services, "removed", id);
  };
  GODWIT_TRY_VOID(services.store.write(job));
  return Reply::no_content();
}

Result<Reply> device_statistics(const Request&, Services& services) {
  store::IdentityCounts counts;
  const auto job = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY(counts, records.devices().count_identities());
    return {};
  };
  GODWIT_TRY_VOID(services.store.read(job));
  return Reply::json(json::Object{{"totalDeviceCount", counts.devices},
                                  {"enabledDeviceCount", counts.enabled},
                                  {"disabledDeviceCount", counts.devices - counts.enabled}});
}

Result<Reply> service_statistics(const Request&, Services& services) {
  store::IdentityCounts counts;
  const auto job = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY(counts, records.devices().count_identities());
    return {};
  };
  GODWIT_TRY_VOID(services.store.read(job));
  return Reply::json(json::Object{{"connectedDeviceCount", counts.connected}});
}

}  // namespace godwit::api::iothub
