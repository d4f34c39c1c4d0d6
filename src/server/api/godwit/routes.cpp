// What Godwit adds beside the published APIs: direct imports, the state of the installation, the audit trail.
#include <fmt/format.h>

#include "core/base/text.hpp"
#include "server/api/deviceupdate/updates_routes.hpp"
#include "server/api/paging.hpp"
#include "server/service/catalog/signatures.hpp"

namespace godwit::api {
namespace {

Result<Reply> status(const Request&, Services& services) {
  std::uint64_t devices = 0;
  std::size_t deployable = 0;
  GODWIT_TRY_VOID(services.store.read([&](store::Records& records) -> Result<void> {
    GODWIT_TRY(const auto counts, records.devices().count_identities());
    devices = counts.devices;
    GODWIT_TRY(const auto updates, records.catalog().list_deployable());
    deployable = updates.size();
    return {};
  }));
  json::Object root_keys;
  if (const PublishedRootKeys* published = services.root_keys; published != nullptr) {
    root_keys["version"] = published->version;
    root_keys["publishedDateTime"] = format_time(published->published);
    if (published->expires) root_keys["expiryDateTime"] = format_time(*published->expires);
  }
  return Reply::json(json::Object{{"version", GODWIT_VERSION},
                                  {"instanceId", services.instance_id},
                                  {"hubName", services.hub_name},
                                  {"time", format_time(services.clock.now())},
                                  {"apiVersions", json::Array{"2022-10-01"}},
                                  {"rootKeys", std::move(root_keys)},
                                  {"deviceCount", devices},
                                  {"deployableUpdateCount", deployable}});
}

/// Against the package that devices are told of now: a key that it disables since was good when it signed.
Result<Reply> list_signatures(const Request& request, Services& services) {
  GODWIT_TRY(const auto id, update_of(request));
  if (services.root_keys == nullptr) return fail(Code::unavailable, "this service has no root key package");
  GODWIT_TRY(const auto package, trust::read_root_key_package(services.root_keys->document));
  GODWIT_TRY(auto signatures, service::describe_signatures(services.store, id, package, services.clock.now()));
  return Reply::json(
      json::Object{{"rootKeyPackageVersion", services.root_keys->version}, {"value", std::move(signatures)}});
}

json::Object describe_event(const store::AuditEvent& event) {
  json::Object object{{"id", event.id},
                      {"time", format_time(event.at)},
                      {"actor", event.actor},
                      {"action", event.action},
                      {"subject", event.subject}};
  if (!event.details.empty())
    if (auto details = json::parse_object(event.details)) object["details"] = *std::move(details);
  return object;
}

Result<Reply> list_audit(const Request& request, Services& services) {
  GODWIT_TRY(const auto token, page_token(request));
  std::int64_t before = 0;
  if (!token.empty()) {
    before = to_number<std::int64_t>(token).value_or(0);
    if (before < 1) return fail(Code::invalid_argument, "skiptoken is not one that this service made");
  }
  std::vector<store::AuditEvent> events;
  GODWIT_TRY_VOID(services.store.read([&](store::Records& records) -> Result<void> {
    GODWIT_TRY(events, records.access().list_audit(before, kPageSize + 1));
    return {};
  }));
  std::string next_token;
  if (events.size() > kPageSize) {
    events.resize(kPageSize);
    next_token = std::to_string(events.back().id);
  }
  json::Array values;
  for (const store::AuditEvent& event : events) values.emplace_back(describe_event(event));
  return page(request, std::move(values), next_token);
}

}  // namespace

const std::vector<Route>& godwit_routes() {
  static const std::vector<Route> routes{
      {Method::post, "/godwit/v1/{instanceId}/updates:import", Permission::updates_write, import_updates},
      {Method::get, "/godwit/v1/{instanceId}/updates/providers/{provider}/names/{name}/versions/{version}/signatures",
       Permission::updates_read, list_signatures},
      {Method::get, "/godwit/v1/{instanceId}/status", Permission::updates_read, status},
      {Method::get, "/godwit/v1/{instanceId}/auditEvents", Permission::access_write, list_audit},
  };
  return routes;
}

}  // namespace godwit::api
