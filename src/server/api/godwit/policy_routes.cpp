// Shared access policies of the hub: anybody who may read the hub sees which there are, administrators see keys and
// change them. Every change is in the audit trail.
#include <algorithm>

#include "server/api/paging.hpp"
#include "server/api/policies.hpp"
#include "server/api/services.hpp"
#include "server/api/text.hpp"

namespace godwit::api {
namespace {

[[nodiscard]] Result<Policies*> policies_of(const Services& services) {
  if (services.policies == nullptr) return fail(Code::unavailable, "shared access policies are not served here");
  return services.policies;
}

[[nodiscard]] json::Object describe(const store::SharedAccessPolicy& policy) {
  json::Array rights;
  for (const RightRow& row : kRights)
    if (policy.has(row.right)) rights.emplace_back(row.name);
  return json::Object{{"name", policy.name},
                      {"rights", std::move(rights)},
                      {"isBuiltIn", policy.is_built_in},
                      {"createdDateTime", format_time(policy.created)},
                      {"lastChangeDateTime", format_time(policy.changed)}};
}

[[nodiscard]] json::Object describe_with_keys(const store::SharedAccessPolicy& policy, const Policies& policies) {
  json::Array hosts;
  for (const std::string& name : policies.hub_names()) hosts.emplace_back(name);
  json::Object body = describe(policy);
  body["primaryKey"] = base64_encode(policy.primary_key.reveal());
  body["secondaryKey"] = base64_encode(policy.secondary_key.reveal());
  body["hostNames"] = std::move(hosts);  // what HostName of a connection string may be
  return body;
}

[[nodiscard]] Result<std::uint8_t> read_rights(const json::Object& body) {
  GODWIT_TRY(const json::Array* names, json::array(body, "rights", "rights"));
  std::uint8_t rights = 0;
  for (const json::Value& name : *names) {
    const std::string text = name.is_string() ? std::string(name.get_string()) : std::string();
    const auto* const row = std::find_if(kRights.begin(), kRights.end(),
                                         [&](const RightRow& r) { return equal_in_any_case(r.name, text); });
    if (row == kRights.end())
      return fail(Code::invalid_argument,
                  "rights holds '" + text.substr(0, 40) +
                      "'; there are RegistryRead, RegistryWrite, ServiceConnect and DeviceConnect");
    rights |= static_cast<std::uint8_t>(row->right);
  }
  return rights;
}

[[nodiscard]] Result<Secret> read_key(const json::Object& body, std::string_view name) {
  const auto text = json::text_or_nothing(body, name);
  if (!text || text->empty()) return Secret{};
  auto key = base64_decode(*text);
  if (!key) return fail(Code::invalid_argument, std::string(name) + " is not base64");
  return Secret(*std::move(key));
}

[[nodiscard]] Result<void> audit(store::Records& records, const Request& request, Services& services,
                                 std::string_view action, const std::string& name, const json::Object& details = {}) {
  return records.access().append_audit(store::AuditEvent{.at = services.clock.now(),
                                                         .actor = request.caller,
                                                         .action = std::string(action),
                                                         .subject = name,
                                                         .details = details.empty() ? "" : json::print(details)});
}

Result<Reply> list_policies(const Request& request, Services& services) {
  json::Array values;
  GODWIT_TRY_VOID(services.store.read([&](store::Records& records) -> Result<void> {
    GODWIT_TRY(const auto list, records.policies().list());
    for (const auto& policy : list) values.emplace_back(describe(policy));
    return {};
  }));
  return page(request, std::move(values), "");
}

Result<Reply> get_policy(const Request& request, Services& services) {
  json::Object body;
  GODWIT_TRY_VOID(services.store.read([&](store::Records& records) -> Result<void> {
    GODWIT_TRY(const auto policy, find_policy(records, request.parameter("policyName")));
    body = describe(policy);
    return {};
  }));
  return Reply::json(std::move(body));
}

Result<Reply> get_policy_keys(const Request& request, Services& services) {
  GODWIT_TRY(Policies* const policies, policies_of(services));
  json::Object body;
  GODWIT_TRY_VOID(services.store.read([&](store::Records& records) -> Result<void> {
    GODWIT_TRY(const auto policy, find_policy(records, request.parameter("policyName")));
    body = describe_with_keys(policy, *policies);
    return {};
  }));
  return Reply::json(std::move(body));
}

Result<Reply> create_policy(const Request& request, Services& services) {
  GODWIT_TRY(Policies* const policies, policies_of(services));
  GODWIT_TRY(const json::Object body, json::parse_object(request.body));
  NewPolicy wanted;
  GODWIT_TRY(wanted.name, json::text(body, "name", "name"));
  GODWIT_TRY(wanted.rights, read_rights(body));
  GODWIT_TRY(wanted.primary_key, read_key(body, "primaryKey"));
  GODWIT_TRY(wanted.secondary_key, read_key(body, "secondaryKey"));
  json::Object made;
  GODWIT_TRY_VOID(services.store.write([&](store::Records& records) -> Result<void> {
    GODWIT_TRY(const auto policy, policies->create(records, wanted));
    made = describe_with_keys(policy, *policies);
    json::Object details;
    details["rights"] = made["rights"];
    return audit(records, request, services, "policy.created", policy.name, details);
  }));
  return Reply::json(std::move(made), 201);
}

Result<Reply> renew_policy_key(const Request& request, Services& services) {
  GODWIT_TRY(Policies* const policies, policies_of(services));
  GODWIT_TRY(const json::Object body, json::parse_object(request.body));
  GODWIT_TRY(const std::string key, json::text(body, "key", "key"));
  if (key != "primary" && key != "secondary")
    return fail(Code::invalid_argument, "key is neither 'primary' nor 'secondary'");
  const PolicyKey which = key == "primary" ? PolicyKey::primary : PolicyKey::secondary;
  json::Object made;
  GODWIT_TRY_VOID(services.store.write([&](store::Records& records) -> Result<void> {
    GODWIT_TRY(const auto policy, policies->renew(records, request.parameter("policyName"), which));
    made = describe_with_keys(policy, *policies);
    return audit(records, request, services, "policy.key_renewed", policy.name, json::Object{{"key", key}});
  }));
  return Reply::json(std::move(made));
}

Result<Reply> delete_policy(const Request& request, Services& services) {
  GODWIT_TRY(Policies* const policies, policies_of(services));
  const std::string name = request.parameter("policyName");
  const auto job = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY_VOID(policies->remove(records, name));
    return audit(records, request, services, "policy.removed", name);
  };
  GODWIT_TRY_VOID(services.store.write(job));
  return Reply::no_content();
}

}  // namespace

const std::vector<Route>& godwit_policy_routes() {
  static const std::vector<Route> routes{
      {Method::get, "/godwit/v1/{instanceId}/hub/policies", Permission::hub_read, list_policies},
      {Method::post, "/godwit/v1/{instanceId}/hub/policies", Permission::access_write, create_policy},
      {Method::get, "/godwit/v1/{instanceId}/hub/policies/{policyName}", Permission::hub_read, get_policy},
      {Method::delete_, "/godwit/v1/{instanceId}/hub/policies/{policyName}", Permission::access_write, delete_policy},
      {Method::post, "/godwit/v1/{instanceId}/hub/policies/{policyName}:renew", Permission::access_write,
       renew_policy_key},
      {Method::get, "/godwit/v1/{instanceId}/hub/policies/{policyName}/keys", Permission::access_write,
       get_policy_keys},
  };
  return routes;
}

}  // namespace godwit::api
