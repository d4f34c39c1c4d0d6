// Who may call what: each role at each route of the whole surface, over TLS. What is expected does not come from
// permissions.hpp: for the Device Update family it follows from method and path by the rule of the original (six data
// actions), for the rest from the tables below. The handlers are replaced by one that only says that it was reached.
#include <gtest/gtest.h>

#include <set>

#include "server/api/test_rig.hpp"

namespace godwit::api {
namespace {

using Actions = std::set<std::string>;

/// What the roles of the original hold, and what this service adds to them, in words.
const std::map<std::string, Actions>& expected_roles() {
  static const std::map<std::string, Actions> roles{
      {"administrator",
       {"updates/read", "updates/write", "updates/delete", "management/read", "management/write", "management/delete",
        "registry/read", "registry/write", "hub/read", "hub/write", "device/connect", "access/write"}},
      {"reader", {"updates/read", "management/read", "registry/read", "hub/read"}},
      {"content-administrator", {"updates/read", "updates/write", "updates/delete"}},
      {"content-reader", {"updates/read"}},
      {"deployments-administrator",
       {"updates/read", "management/read", "management/write", "management/delete", "registry/read", "hub/read"}},
      {"deployments-reader", {"updates/read", "management/read"}},
      {"hub-administrator", {"registry/read", "registry/write", "hub/read", "hub/write", "device/connect"}},
  };
  return roles;
}

[[nodiscard]] std::string verb_of(Method method) {
  if (method == Method::get || method == Method::head) return "read";
  return method == Method::delete_ ? "delete" : "write";
}

/// Routes whose permission does not follow from their method: questions that are asked by POST, secrets that are read,
/// and families without a delete of their own.
[[nodiscard]] std::string expected_action(const RouteInfo& route) {
  const std::string path(route.pattern);
  const bool is_query = path.ends_with("/query");
  const auto in = [&](std::string_view prefix) { return path.starts_with(prefix); };
  if (in("/deviceUpdate/{instanceId}/updates")) return "updates/" + verb_of(route.method);
  if (in("/deviceUpdate/{instanceId}/")) return "management/" + verb_of(route.method);
  // Who may send a payload may also give up sending it.
  if (path == "/godwit/v1/{instanceId}/blobs/{sha256}/upload")
    return route.method == Method::get ? "updates/read" : "updates/write";
  if (in("/godwit/v1/{instanceId}/blobs") || in("/godwit/v1/{instanceId}/updates"))
    return "updates/" + verb_of(route.method);
  if (in("/godwit/v1/{instanceId}/tokens") || in("/godwit/v1/{instanceId}/auditEvents")) return "access/write";
  if (in("/godwit/v1/{instanceId}/hub/policies"))
    return route.method == Method::get && !path.ends_with("/keys") ? "hub/read" : "access/write";
  if (path == "/metrics" || path == "/i/{instanceId}/metrics") return "management/read";
  if (in("/godwit/v1/{instanceId}/groups") || in("/godwit/v1/{instanceId}/logCollections") ||
      path == "/godwit/v1/{instanceId}/events" || path == "/godwit/v1/{instanceId}/devices/{deviceId}" ||
      path == "/godwit/v1/{instanceId}/devices/{deviceId}/modules/{moduleId}")
    return "management/" + verb_of(route.method);
  if (path == "/godwit/v1/{instanceId}/status") return "updates/read";
  const std::string hub_verb = route.method == Method::get || is_query ? "read" : "write";
  const bool is_registry =
      (in("/devices") && !is_query && path.find("/messages") == std::string::npos && !path.ends_with("/commands")) ||
      path == "/statistics/devices";
  if (is_registry) return "registry/" + hub_verb;
  return "hub/" + hub_verb;
}

/// What anybody may ask, or what carries its own signature.
const std::set<std::string_view>& open_routes() {
  static const std::set<std::string_view> paths{"/healthz",
                                                "/readyz",
                                                "/enrolment",
                                                "/download/{sha256}/{filename}",
                                                "/rootkeys/{file}",
                                                "/$iothub/websocket",
                                                "/device-logs/{container}/{blob...}",
                                                "/i/{instanceId}/device-logs/{container}/{blob...}",
                                                "/i/{instanceId}/download/{sha256}/{filename}",
                                                "/i/{instanceId}/rootkeys/{file}",
                                                "/openapi.json",
                                                "/docs/api",
                                                "/docs/api.css",
                                                "/console",
                                                "/console/{path...}"};
  return paths;
}

Result<Reply> reached(const Request&, Services&) { return Reply{.status = 299}; }

/// The real rows with another handler; streams become plain rows.
Router stand_in() {
  Router router;
  std::vector<Route> rows;
  for (const RouteInfo& route : make_router().routes())
    rows.push_back({route.method, route.pattern, route.permission, reached});
  router.add(rows);
  return router;
}

[[nodiscard]] std::string version_of(std::string_view path) {
  if (path.starts_with("/deviceUpdate")) return "?api-version=2022-10-01";
  if (path.starts_with("/godwit")) return "";
  if (path.starts_with("/enrollment") || path.starts_with("/registrations")) return "?api-version=2021-10-01";
  return "?api-version=2021-04-12";
}

[[nodiscard]] std::string filled_in(std::string_view pattern) {
  std::string path(pattern);
  const auto put = [&](const std::string& name, const std::string& value) {
    for (auto at = path.find(name); at != std::string::npos; at = path.find(name)) path.replace(at, name.size(), value);
  };
  put("{instanceId}", "main");
  for (auto open = path.find('{'); open != std::string::npos; open = path.find('{'))
    path.replace(open, path.find('}') - open + 1, "x");
  return path + version_of(pattern);
}

TEST(SurfacePermissions, each_role_at_each_route_is_allowed_or_refused_as_the_tables_say) {
  TestRig rig(stand_in());
  const auto routes = make_router().routes();
  ASSERT_GT(routes.size(), 110U);
  ASSERT_EQ(expected_roles().size(), std::size(kRoles));
  TestClient client(rig);
  std::size_t asked = 0;
  for (const auto& [role, actions] : expected_roles()) {
    const std::string token = rig.token(*parse_role(role), role);
    for (const RouteInfo& route : routes) {
      if (open_routes().contains(route.pattern)) continue;
      const std::string method(method_name(route.method));
      const std::string what = role + " " + method + " " + std::string(route.pattern);
      const Answer answer = client.send(request_text(method, filled_in(route.pattern), token));
      const std::string action = expected_action(route);
      ++asked;
      if (actions.contains(action)) {
        EXPECT_EQ(answer.status, 299) << what << " needs " << action;
        continue;
      }
      EXPECT_EQ(answer.status, 403) << what << " needs " << action;
      EXPECT_NE(answer.body.find(action), std::string::npos) << what << ": " << answer.body;
      EXPECT_NE(answer.body.find("'" + role + "'"), std::string::npos) << what << ": " << answer.body;
    }
  }
  EXPECT_GT(asked, 750U);
}

TEST(SurfacePermissions, without_a_token_each_route_is_401_in_the_shape_of_its_family) {
  TestRig rig(stand_in());
  TestClient client(rig);
  for (const RouteInfo& route : make_router().routes()) {
    const std::string method(method_name(route.method));
    const std::string what = method + " " + std::string(route.pattern);
    const Answer answer = client.send(request_text(method, filled_in(route.pattern)));
    if (open_routes().contains(route.pattern)) {
      EXPECT_EQ(answer.status, 299) << what;
      EXPECT_EQ(route.permission, Permission::none) << what;
      continue;
    }
    ASSERT_EQ(answer.status, 401) << what;
    EXPECT_EQ(answer.headers.at("www-authenticate"), "Bearer realm=\"godwit\"") << what;
    const auto body = json::parse_object(answer.body);
    ASSERT_TRUE(body) << what << ": " << answer.body;
    if (route.pattern.starts_with("/deviceUpdate") || route.pattern.starts_with("/godwit") ||
        route.pattern.ends_with("/metrics")) {
      const json::Object* const error = json::object_or_null(*body, "error");
      ASSERT_NE(error, nullptr) << what;
      EXPECT_EQ(json::text_or_nothing(*error, "code"), "Unauthorized") << what;
      EXPECT_TRUE(json::text_or_nothing(*error, "message")) << what;
      EXPECT_EQ(json::integer_or_nothing(*body, "status"), 401) << what;
      EXPECT_EQ(json::text_or_nothing(*body, "title"), "Unauthorized") << what;
      EXPECT_TRUE(json::text_or_nothing(*body, "traceId").value_or("").starts_with("00-")) << what;
    } else {
      const bool is_hub_shape = json::find(*body, "Message") != nullptr || json::find(*body, "errorCode") != nullptr;
      EXPECT_TRUE(is_hub_shape) << what << ": " << answer.body;
    }
  }
}

TEST(SurfacePermissions, a_token_for_another_instance_opens_nothing) {
  TestRig rig(stand_in());
  std::string token;
  const auto job = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY(const Secret made,
               Access::create_token(records, NewToken{.name = "ci", .role = Role::administrator, .instance = "other"},
                                    rig.clock.now()));
    token = made.reveal();
    return {};
  };
  ASSERT_TRUE(rig.store->write(job));
  TestClient client(rig);
  for (const RouteInfo& route : make_router().routes()) {
    if (route.permission == Permission::none) continue;
    const std::string method(method_name(route.method));
    const Answer answer = client.send(request_text(method, filled_in(route.pattern), token));
    EXPECT_EQ(answer.status, 403) << method << " " << route.pattern;
    EXPECT_NE(answer.body.find("for the instance 'other' only"), std::string::npos) << answer.body;
  }
}

}  // namespace
}  // namespace godwit::api
