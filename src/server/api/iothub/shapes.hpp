// How identities and twins look to the hub's own client libraries, and how their etags travel. Pure; safe from any
// thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "server/api/http.hpp"
#include "server/hub/registry.hpp"
#include "server/store/store.hpp"

namespace godwit::api::iothub {

/// Base64 of the big-endian number: "AAAAAAAAAAE=".
[[nodiscard]] std::string etag_text(std::uint64_t number);
/// What If-Match asks for: nullopt = any ("*", "\"*\"" or no header). Quotes are optional.
/// Errors: precondition_failed for a tag that this service never made.
[[nodiscard]] Result<std::optional<std::uint64_t>> if_match(const Request& request);
/// The same of an etag as text, wherever it stood. Errors: precondition_failed.
[[nodiscard]] Result<std::optional<std::uint64_t>> parse_etag(std::string_view text);

[[nodiscard]] json::Object identity_json(const store::DeviceIdentity& identity, const store::DeviceSession& session);
/// A twin without tags and properties.
[[nodiscard]] json::Object twin_head_json(const store::DeviceIdentity& identity, const store::DeviceSession& session,
                                          std::uint64_t version);
[[nodiscard]] json::Object twin_json(const store::DeviceIdentity& identity, const store::DeviceSession& session,
                                     const store::TwinRecord& record);

/// "sas", "selfSigned", "certificateAuthority".
[[nodiscard]] std::string_view authentication_name(store::Authentication authentication);
[[nodiscard]] std::optional<store::Authentication> parse_authentication(std::string_view name);

/// What a body says of an identity. `before`: what the identity is now, for an update; what the body leaves out of its
/// proof stays. Errors: invalid_argument, unsupported.
[[nodiscard]] Result<hub::NewIdentity> read_identity(const json::Object& body, const IdentityId& id,
                                                     const store::DeviceIdentity* before);
/// The sections of a twin that a body wants to change, properties.reported aside. Errors: invalid_argument.
[[nodiscard]] Result<hub::TwinChange> read_twin_change(const json::Object& body, bool is_replace);

/// One device or module as the store has it. Errors: not_found, database_failed.
struct Device {
  store::DeviceIdentity identity;
  store::DeviceSession session{};
  store::TwinRecord twin{};
};
[[nodiscard]] Result<Device> find_device(store::Records& records, const IdentityId& id);
/// From {deviceId} and, where the route has it, {moduleId}.
[[nodiscard]] Result<IdentityId> identity_id(const Request& request);

/// Paging of the hub: x-ms-continuation goes out as a header and comes back as one (or as a query value).
[[nodiscard]] Result<std::string> continuation(const Request& request);
void add_continuation(Reply& reply, const std::string& last_id);

// The handlers; iothub/routes.cpp is their table.
[[nodiscard]] Result<Reply> get_identity(const Request& request, Services& services);
[[nodiscard]] Result<Reply> list_identities(const Request& request, Services& services);
[[nodiscard]] Result<Reply> list_modules(const Request& request, Services& services);
[[nodiscard]] Result<Reply> put_identity(const Request& request, Services& services);
[[nodiscard]] Result<Reply> change_identities(const Request& request, Services& services);  // bulk.cpp
void invoke_method(const Request& request, Services& services, Responder responder);        // methods.cpp
[[nodiscard]] Result<Reply> send_message(const Request& request, Services& services);       // messages.cpp
[[nodiscard]] Result<Reply> send_message_document(const Request& request, Services& services);
[[nodiscard]] Result<Reply> put_job(const Request& request, Services& services);  // jobs.cpp
[[nodiscard]] Result<Reply> get_job(const Request& request, Services& services);
[[nodiscard]] Result<Reply> cancel_job(const Request& request, Services& services);
[[nodiscard]] Result<Reply> query_jobs(const Request& request, Services& services);
/// What jobs did to each device, the newest jobs first, bounded: FROM devices.jobs.
[[nodiscard]] Result<std::vector<json::Object>> device_jobs(store::Records& records);
[[nodiscard]] Result<Reply> purge_messages(const Request& request, Services& services);
[[nodiscard]] Result<Reply> get_feedback(const Request& request, Services& services);
[[nodiscard]] Result<Reply> complete_feedback(const Request& request, Services& services);
[[nodiscard]] Result<Reply> delete_identity(const Request& request, Services& services);
[[nodiscard]] Result<Reply> device_statistics(const Request& request, Services& services);
[[nodiscard]] Result<Reply> service_statistics(const Request& request, Services& services);
[[nodiscard]] Result<Reply> get_twin(const Request& request, Services& services);
[[nodiscard]] Result<Reply> patch_twin(const Request& request, Services& services);
[[nodiscard]] Result<Reply> put_twin(const Request& request, Services& services);
[[nodiscard]] Result<Reply> query_devices(const Request& request, Services& services);

}  // namespace godwit::api::iothub
