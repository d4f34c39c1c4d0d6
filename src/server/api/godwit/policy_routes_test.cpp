// Policies through the whole rim: who may manage them, and what their tokens open.
#include "core/trust/sas.hpp"
#include "server/api/policies.hpp"
#include "server/api/test_rig.hpp"

namespace godwit::api {
namespace {

Result<Reply> who(const Request& request, Services&) { return Reply{.body = request.caller}; }

Router test_router() {
  Router router;
  router.add(godwit_policy_routes());
  router.add({
      {Method::get, "/devices/{deviceId}", Permission::registry_read, who},
      {Method::put, "/devices/{deviceId}", Permission::registry_write, who},
      {Method::patch, "/twins/{deviceId}", Permission::hub_write, who},
      {Method::get, "/deviceUpdate/{instanceId}/updates", Permission::none, who},
      {Method::get, "/deviceUpdate/{instanceId}/private", Permission::updates_read, who},
  });
  return router;
}

class PolicyRoutes : public ::testing::Test {
 protected:
  PolicyRoutes() : rig(test_router()), admin(rig.token(Role::administrator, "admin")), client(rig) {
    GODWIT_CHECK(policies.load(*rig.store).has_value());
    rig.services->policies = &policies;
    rig.access->use_policies(policies);
  }
  Answer call(std::string_view method, const std::string& rest, std::string_view body = {}) {
    return client.send(request_text(method, "/godwit/v1/main/hub/policies" + rest, admin, body));
  }
  json::Object object(const Answer& answer) { return json::parse_object(answer.body).value_or(json::Object{}); }
  std::string key_of(const std::string& policy) {
    return base64_decode(json::text_or_nothing(object(call("GET", "/" + policy + "/keys")), "primaryKey").value())
        .value();
  }
  /// A call with a token of the policy.
  Answer by(const std::string& policy, std::string_view method, const std::string& target, std::string_view key = {}) {
    const std::string token = trust::make_sas("hub.test", key.empty() ? key_of(policy) : std::string(key),
                                              to_unix_ms(rig.clock.now()) / 1000 + 60, policy);
    TestClient other(rig);
    return other.send(request_text(method, target, {}, {}, "Authorization: " + token + "\r\n"));
  }
  std::vector<store::AuditEvent> audit() {
    std::vector<store::AuditEvent> events;
    GODWIT_CHECK(rig.store
                     ->read([&](store::Records& records) -> Result<void> {
                       GODWIT_TRY(events, records.access().list_audit(0, 100));
                       return {};
                     })
                     .has_value());
    return events;
  }

  TestRig rig;
  Policies policies{rig.clock, {"hub.test", "localhost"}};
  std::string admin;
  TestClient client;
};

TEST_F(PolicyRoutes, a_list_shows_rights_and_never_keys) {
  const Answer list = call("GET", "");
  EXPECT_EQ(list.status, 200);
  for (const char* name : {"iothubowner", "service", "device", "registryRead", "registryReadWrite"})
    EXPECT_NE(list.body.find("\"name\":\"" + std::string(name) + "\""), std::string::npos) << list.body;
  EXPECT_EQ(list.body.find("Key"), std::string::npos) << list.body;
  EXPECT_EQ(json::print(object(call("GET", "/registryReadWrite")).at("rights")), R"(["RegistryRead","RegistryWrite"])");
  EXPECT_EQ(call("GET", "/nobody").status, 404);
  EXPECT_EQ(call("GET", "/SERVICE").status, 404);
}

TEST_F(PolicyRoutes, keys_and_changes_are_for_administrators) {
  for (const Role role : {Role::reader, Role::hub_administrator}) {
    const std::string token = rig.token(role, std::string(role_name(role)));
    EXPECT_EQ(client.send(request_text("GET", "/godwit/v1/main/hub/policies", token)).status, 200);
    EXPECT_EQ(client.send(request_text("GET", "/godwit/v1/main/hub/policies/service/keys", token)).status, 403);
    EXPECT_EQ(client.send(request_text("POST", "/godwit/v1/main/hub/policies/service:renew", token)).status, 403);
    EXPECT_EQ(client.send(request_text("DELETE", "/godwit/v1/main/hub/policies/service", token)).status, 403);
  }
  const json::Object keys = object(call("GET", "/service/keys"));
  EXPECT_EQ(base64_decode(json::text_or_nothing(keys, "secondaryKey").value()).value().size(), 32U);
  EXPECT_EQ(json::print(keys.at("hostNames")), R"(["hub.test","localhost"])");
}

TEST_F(PolicyRoutes, a_custom_policy_is_made_used_renewed_and_deleted_and_all_of_it_is_in_the_audit_trail) {
  const Answer made = call("POST", "", R"({"name":"shop","rights":["registryread","ServiceConnect"]})");
  ASSERT_EQ(made.status, 201) << made.body;
  const std::string key = base64_decode(json::text_or_nothing(object(made), "primaryKey").value()).value();
  EXPECT_EQ(by("shop", "GET", "/devices/a?api-version=2021-04-12", key).body, "policy:shop");
  const Answer renewed = call("POST", "/shop:renew", R"({"key":"primary"})");
  ASSERT_EQ(renewed.status, 200) << renewed.body;
  EXPECT_EQ(*json::text_or_nothing(object(renewed), "secondaryKey"),
            *json::text_or_nothing(object(made), "secondaryKey"));
  EXPECT_EQ(by("shop", "GET", "/devices/a?api-version=2021-04-12", key).status, 401);
  EXPECT_EQ(by("shop", "GET", "/devices/a?api-version=2021-04-12").status, 200);
  EXPECT_EQ(call("DELETE", "/shop").status, 204);
  EXPECT_EQ(call("DELETE", "/shop").status, 404);
  const auto events = audit();
  ASSERT_GE(events.size(), 3U);
  EXPECT_EQ(events[0].action, "policy.removed");
  EXPECT_EQ(events[1].action, "policy.key_renewed");
  EXPECT_EQ(events[1].details, R"({"key":"primary"})");
  EXPECT_EQ(events[2].action, "policy.created");
  EXPECT_EQ(events[2].actor, "admin");
  EXPECT_EQ(events[2].subject, "shop");
  EXPECT_EQ(events[2].details, R"({"rights":["RegistryRead","ServiceConnect"]})");
}

TEST_F(PolicyRoutes, bad_wishes_are_refused_with_the_place) {
  EXPECT_EQ(call("POST", "", R"({"name":"service","rights":["RegistryRead"]})").status, 409);
  EXPECT_EQ(call("DELETE", "/iothubowner").status, 409);
  for (const auto& [body, word] : std::vector<std::pair<std::string, std::string>>{
           {R"({"name":"x","rights":["Everything"]})", "Everything"},
           {R"({"name":"x","rights":[7]})", "RegistryRead"},
           {R"({"name":"x","rights":[]})", "right"},
           {R"({"name":"x"})", "rights"},
           {R"({"name":"x/y","rights":["RegistryRead"]})", "name"},
           {R"({"name":"x","rights":["RegistryRead"],"primaryKey":"%"})", "primaryKey"},
       }) {
    const Answer answer = call("POST", "", body);
    EXPECT_EQ(answer.status, 400) << body;
    EXPECT_NE(answer.body.find(word), std::string::npos) << answer.body;
  }
  EXPECT_EQ(call("POST", "/service:renew", R"({"key":"third"})").status, 400);
}

TEST_F(PolicyRoutes, a_policy_token_opens_what_its_rights_name_and_401_tells_the_rest) {
  const std::string version = "?api-version=2021-04-12";
  EXPECT_EQ(by("registryRead", "GET", "/devices/a" + version).body, "policy:registryRead");
  const Answer refused = by("registryRead", "PUT", "/devices/a" + version);
  EXPECT_EQ(refused.status, 401);
  EXPECT_NE(refused.body.find("\"Message\":\"ErrorCode:IotHubUnauthorizedAccess;"), std::string::npos) << refused.body;
  EXPECT_EQ(by("registryReadWrite", "PUT", "/devices/a" + version).status, 200);
  EXPECT_EQ(by("registryReadWrite", "PATCH", "/twins/a" + version).status, 401);
  EXPECT_EQ(by("service", "PATCH", "/twins/a" + version).status, 200);
  EXPECT_EQ(by("service", "GET", "/devices/a" + version).status, 401);
  EXPECT_EQ(by("device", "GET", "/devices/a" + version).status, 401);
  EXPECT_EQ(by("iothubowner", "PUT", "/devices/a" + version).status, 200);
}

TEST_F(PolicyRoutes, a_policy_token_opens_nothing_outside_the_hub) {
  const Answer own = by("iothubowner", "GET", "/godwit/v1/main/hub/policies");
  EXPECT_EQ(own.status, 401);
  EXPECT_NE(own.body.find("hub routes only"), std::string::npos) << own.body;
  EXPECT_EQ(by("iothubowner", "GET", "/deviceUpdate/main/private?api-version=2022-10-01").status, 401);
}

TEST(HubRoutes, each_asks_for_the_right_that_the_original_asks_for) {
  // A new route must say whether it is the registry's or the service's: a wrong one would open it to the wrong policy.
  using enum Permission;
  for (const Route& route : iothub_routes()) {
    const std::string pattern(route.pattern);
    const bool is_service = pattern == "/devices/query" || pattern.ends_with("/commands") ||
                            pattern.ends_with("/applyConfigurationContent") || pattern == "/statistics/service";
    const bool is_device = pattern.find("/files") != std::string::npos || pattern.ends_with("/messages/events");
    const bool is_registry =
        !is_service && !is_device && (pattern.starts_with("/devices") || pattern.starts_with("/statistics/devices"));
    const bool is_read = route.method == Method::get || route.method == Method::head || pattern == "/devices/query";
    if (is_device)
      EXPECT_EQ(route.permission, device_connect) << pattern;
    else if (is_registry)
      EXPECT_EQ(route.permission, is_read ? registry_read : registry_write) << pattern;
    else
      EXPECT_TRUE(route.permission == hub_write || (is_read && route.permission == hub_read)) << pattern;
  }
}

}  // namespace
}  // namespace godwit::api
