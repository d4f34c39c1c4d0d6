// The certificate authorities of the hub and their revocation lists: /godwit/v1/{instanceId}/hub/certificates; and what
// devices have to know to be provisioned: .../hub/provisioning.
#include <algorithm>

#include "core/model/text.hpp"
#include "core/trust/client_certificate.hpp"
#include "server/api/iothub/shapes.hpp"
#include "server/api/services.hpp"

namespace godwit::api {
namespace {

constexpr std::size_t kMostAuthorities = 50;
constexpr std::size_t kLongestName = 64;

Result<std::string> authority_name(const Request& request) {
  std::string name = request.parameter("name");
  const bool is_fine = name.size() <= kLongestName && std::all_of(name.begin(), name.end(), [](char c) {
                         return is_ascii_alphanumeric(c) || c == '-' || c == '_' || c == '.';
                       });
  if (!is_fine) return fail(Code::invalid_argument, "an authority's name has 1 to 64 letters, digits and - _ .");
  return name;
}

Result<store::AuthorityRecord> find(store::Records& records, const std::string& name) {
  GODWIT_TRY(auto found, records.provisioning().find_authority(name));
  if (!found) return fail(Code::not_found, "there is no authority '" + name + "'");
  return *std::move(found);
}

json::Object authority_json(const store::AuthorityRecord& authority) {
  json::Object body{{"name", authority.name},
                    {"subject", authority.subject},
                    {"sha256Thumbprint", authority.sha256},
                    {"notAfter", format_time(authority.not_after)},
                    {"isEnabled", authority.is_enabled}};
  if (authority.revocation_list_made != WallTime{}) {
    json::Object list{{"made", format_time(authority.revocation_list_made)}, {"revoked", authority.revoked}};
    if (authority.revocation_list_expires) list["expires"] = format_time(*authority.revocation_list_expires);
    body["revocationList"] = std::move(list);
  }
  if (const auto certificate = trust::Certificate::from_der(authority.certificate))
    body["certificate"] = certificate->to_pem();
  body["etag"] = iothub::etag_text(authority.etag);
  body["created"] = format_time(authority.created);
  body["updated"] = format_time(authority.updated);
  return body;
}

/// What every change ends with: the trail, and live connections are tried again once it is durable.
Result<void> conclude(store::Records& records, const Request& request, Services& services, const char* action,
                      const std::string& name) {
  if (services.recheck_certificates) records.after_commit(services.recheck_certificates);
  return records.access().append_audit(
      store::AuditEvent{.at = services.clock.now(), .actor = request.caller, .action = action, .subject = name});
}

Result<Reply> list_authorities(const Request&, Services& services) {
  json::Array values;
  const auto job = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY(const auto authorities, records.provisioning().list_authorities(false));
    for (const store::AuthorityRecord& one : authorities) values.emplace_back(authority_json(one));
    return {};
  };
  GODWIT_TRY_VOID(services.store.read(job));
  return Reply::json(json::Object{{"value", std::move(values)}});
}

Result<Reply> get_authority(const Request& request, Services& services) {
  GODWIT_TRY(const std::string name, authority_name(request));
  Reply reply;
  const auto job = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY(const store::AuthorityRecord authority, find(records, name));
    reply = Reply::json(authority_json(authority));
    return {};
  };
  GODWIT_TRY_VOID(services.store.read(job));
  return reply;
}

/// {"certificate": PEM, "isEnabled": true}. A certificate does not change: another one is another authority.
Result<Reply> put_authority(const Request& request, Services& services) {
  GODWIT_TRY(const std::string name, authority_name(request));
  GODWIT_TRY(const json::Object body, json::parse_object(request.body));
  GODWIT_TRY(const std::string pem, json::text(body, "certificate", "certificate"));
  auto certificate = trust::Certificate::from_pem(pem);
  if (!certificate) return with_context("certificate", certificate.error());
  const trust::CertificateFacts& facts = certificate->facts();
  if (!facts.is_authority)
    return fail(Code::invalid_argument, "the certificate is not one of an authority (basic constraints CA:TRUE)");
  const WallTime now = services.clock.now();
  if (facts.not_after < now)
    return fail(Code::invalid_argument, "the certificate expired on " + format_time(facts.not_after));
  const json::Value* enabled = json::find(body, "isEnabled");
  const store::AuthorityRecord wanted{.name = name,
                                      .certificate = certificate->der(),
                                      .subject = facts.subject,
                                      .sha256 = facts.sha256,
                                      .not_after = facts.not_after,
                                      .is_enabled = enabled == nullptr || !enabled->is_bool() || enabled->get_bool(),
                                      .created = now,
                                      .updated = now};
  const auto job = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY(const auto present, records.provisioning().list_authorities(false));
    if (present.size() >= kMostAuthorities)
      return fail(Code::too_many, "50 authorities are there already, which is the limit");
    GODWIT_TRY_VOID(records.provisioning().insert_authority(wanted));
    return conclude(records, request, services, "authority.created", name);
  };
  GODWIT_TRY_VOID(services.store.write(job));
  return Reply::json(authority_json(wanted), 201);
}

/// {"isEnabled": bool}.
Result<Reply> patch_authority(const Request& request, Services& services) {
  GODWIT_TRY(const std::string name, authority_name(request));
  GODWIT_TRY(const auto etag, iothub::if_match(request));
  GODWIT_TRY(const json::Object body, json::parse_object(request.body));
  const json::Value* enabled = json::find(body, "isEnabled");
  if (enabled == nullptr || !enabled->is_bool() || body.size() != 1)
    return fail(Code::invalid_argument, "the body is {\"isEnabled\": true} or {\"isEnabled\": false}");
  Reply reply;
  const auto job = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY(store::AuthorityRecord authority, find(records, name));
    if (etag && *etag != authority.etag)
      return fail(Code::precondition_failed, "the authority was changed since its etag was read");
    authority.is_enabled = enabled->get_bool();
    ++authority.etag;
    authority.updated = services.clock.now();
    GODWIT_TRY_VOID(records.provisioning().update_authority(authority));
    reply = Reply::json(authority_json(authority));
    return conclude(records, request, services, "authority.changed", name);
  };
  GODWIT_TRY_VOID(services.store.write(job));
  return reply;
}

Result<Reply> delete_authority(const Request& request, Services& services) {
  GODWIT_TRY(const std::string name, authority_name(request));
  const auto job = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY([[maybe_unused]] const store::AuthorityRecord authority, find(records, name));
    GODWIT_TRY(const bool is_referenced, records.provisioning().is_authority_referenced(name));
    if (is_referenced)
      return fail(Code::conflict, "an enrollment attests by authority '" + name + "'; change or remove it first");
    GODWIT_TRY([[maybe_unused]] const bool was_there, records.provisioning().remove_authority(name));
    return conclude(records, request, services, "authority.removed", name);
  };
  GODWIT_TRY_VOID(services.store.write(job));
  return Reply::no_content();
}

/// {"revocationList": PEM}. An older list does not replace a newer one: it could bring a revoked device back.
Result<Reply> put_revocation_list(const Request& request, Services& services) {
  GODWIT_TRY(const std::string name, authority_name(request));
  GODWIT_TRY(const json::Object body, json::parse_object(request.body, {.bytes = 4 * 1024 * 1024, .depth = 8}));
  GODWIT_TRY(const std::string pem, json::text(body, "revocationList", "revocationList"));
  const auto list = trust::RevocationList::from_pem(pem);
  if (!list) return with_context("revocationList", list.error());
  const WallTime now = services.clock.now();
  if (list->next() && *list->next() < now)
    return fail(Code::invalid_argument,
                "the revocation list expired on " + format_time(*list->next()) + "; upload one of today");
  Reply reply;
  const auto job = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY(store::AuthorityRecord authority, find(records, name));
    GODWIT_TRY(const auto issuer, trust::Certificate::from_der(authority.certificate));
    GODWIT_TRY_VOID(list->check_issuer(issuer));
    if (!authority.revocation_list.empty() && list->made() < authority.revocation_list_made)
      return fail(Code::conflict, "the revocation list is older than the one in place, which was made on " +
                                      format_time(authority.revocation_list_made));
    authority.revocation_list = list->der();
    authority.revocation_list_made = list->made();
    authority.revocation_list_expires = list->next();
    authority.revoked = list->entries();
    ++authority.etag;
    authority.updated = now;
    GODWIT_TRY_VOID(records.provisioning().update_authority(authority));
    reply = Reply::json(authority_json(authority));
    return conclude(records, request, services, "authority.revocation_list_changed", name);
  };
  GODWIT_TRY_VOID(services.store.write(job));
  return reply;
}

Result<Reply> delete_revocation_list(const Request& request, Services& services) {
  GODWIT_TRY(const std::string name, authority_name(request));
  const auto job = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY(store::AuthorityRecord authority, find(records, name));
    if (authority.revocation_list.empty())
      return fail(Code::not_found, "authority '" + name + "' has no revocation list");
    authority.revocation_list.clear();
    authority.revocation_list_made = {};
    authority.revocation_list_expires.reset();
    authority.revoked = 0;
    ++authority.etag;
    authority.updated = services.clock.now();
    GODWIT_TRY_VOID(records.provisioning().update_authority(authority));
    return conclude(records, request, services, "authority.revocation_list_removed", name);
  };
  GODWIT_TRY_VOID(services.store.write(job));
  return Reply::no_content();
}

/// What an operator has to put into devices that are to be provisioned.
Result<Reply> describe_provisioning(const Request&, Services& services) {
  return Reply::json(json::Object{{"idScope", services.id_scope}, {"assignedHub", services.assigned_hub}});
}

}  // namespace

const std::vector<Route>& godwit_certificate_routes() {
  // clang-format off
  static const std::vector<Route> routes{
      {Method::get,     "/godwit/v1/{instanceId}/hub/certificates",                        Permission::hub_read,  list_authorities},
      {Method::get,     "/godwit/v1/{instanceId}/hub/certificates/{name}",                 Permission::hub_read,  get_authority},
      {Method::put,     "/godwit/v1/{instanceId}/hub/certificates/{name}",                 Permission::hub_write, put_authority},
      {Method::patch,   "/godwit/v1/{instanceId}/hub/certificates/{name}",                 Permission::hub_write, patch_authority},
      {Method::delete_, "/godwit/v1/{instanceId}/hub/certificates/{name}",                 Permission::hub_write, delete_authority},
      {Method::put,     "/godwit/v1/{instanceId}/hub/certificates/{name}/revocationList",  Permission::hub_write, put_revocation_list},
      {Method::delete_, "/godwit/v1/{instanceId}/hub/certificates/{name}/revocationList",  Permission::hub_write, delete_revocation_list},
      {Method::get,     "/godwit/v1/{instanceId}/hub/provisioning",                        Permission::hub_read,  describe_provisioning},
  };
  // clang-format on
  return routes;
}

}  // namespace godwit::api
