#include <gtest/gtest.h>

#include "server/api/test_rig.hpp"

namespace godwit::api {
namespace {

class TokenRoutes : public ::testing::Test {
 protected:
  TokenRoutes() : rig(make_router()), admin(rig.token(Role::administrator, "admin")), client(rig) {}
  Answer ask(std::string_view method, const std::string& rest, const std::string& token, std::string_view body = {}) {
    return client.send(request_text(method, "/godwit/v1/main/tokens" + rest, token, body));
  }
  json::Object make(std::string_view body) {
    const Answer answer = ask("POST", "", admin, body);
    EXPECT_EQ(answer.status, 201) << answer.body;
    return json::parse_object(answer.body).value_or(json::Object{});
  }
  TestRig rig;
  std::string admin;
  TestClient client;
};

TEST_F(TokenRoutes, a_token_is_shown_once_opens_what_its_role_allows_and_ends_when_it_is_revoked) {
  const json::Object made = make(R"({"name":"ci","role":"reader","instanceId":"main","lifetimeInSeconds":3600})");
  const std::string token = json::text_or_nothing(made, "token").value_or("");
  ASSERT_TRUE(token.starts_with("gwt_"));
  EXPECT_EQ(json::text_or_nothing(made, "createdBy"), "admin");
  EXPECT_EQ(client.send(request_text("GET", "/godwit/v1/main/status", token)).status, 200);
  EXPECT_EQ(ask("GET", "", token).status, 403);

  // The use is noted behind the request; a write comes after all that were submitted before it.
  ASSERT_TRUE(rig.store->write([](store::Records&) -> Result<void> { return {}; }));
  const Answer shown = ask("GET", "/ci", admin);
  ASSERT_EQ(shown.status, 200);
  const auto body = json::parse_object(shown.body);
  EXPECT_EQ(json::text_or_nothing(*body, "role"), "reader");
  EXPECT_EQ(json::text_or_nothing(*body, "instanceId"), "main");
  EXPECT_TRUE(json::text_or_nothing(*body, "expiresDateTime"));
  EXPECT_TRUE(json::text_or_nothing(*body, "lastUsedDateTime"));
  const Answer listed = ask("GET", "", admin);
  for (const std::string& text : {shown.body, listed.body}) {
    EXPECT_EQ(text.find(token), std::string::npos);
    EXPECT_EQ(text.find("\"token\""), std::string::npos);
    EXPECT_EQ(text.find(hex_encode(sha256(token))), std::string::npos);
  }

  EXPECT_EQ(ask("DELETE", "/ci", admin).status, 204);
  const Answer after = client.send(request_text("GET", "/godwit/v1/main/status", token));
  EXPECT_EQ(after.status, 401) << "revoked at once, though the token was in memory";
  EXPECT_EQ(ask("GET", "/ci", admin).status, 404);
  EXPECT_EQ(ask("DELETE", "/ci", admin).status, 404);
}

TEST_F(TokenRoutes, what_is_wrong_with_a_wish_is_said) {
  const std::pair<const char*, const char*> wrong[] = {
      {R"({"role":"reader"})", "name"},
      {R"({"name":"a"})", "role"},
      {R"({"name":"a","role":"root"})", "deployments-administrator"},
      {R"({"name":"a","role":"reader","instanceId":"other"})", "no instance 'other'"},
      {R"({"name":"a","role":"reader","lifetimeInSeconds":0})", "lifetimeInSeconds"},
      {R"({"name":"a","role":"reader","lifetimeInSeconds":99999999999})", "lifetimeInSeconds"},
      {R"({"name":"a","role":"reader","expiresDateTime":"2020-01-01T00:00:00Z"})", "expired"},
      {R"({"name":"a","role":"reader","expiresDateTime":"9999-01-01T00:00:00Z"})", "ten years"},
      {R"({"name":"a","role":"reader","expiresDateTime":"soon"})", "soon"},
      {R"({"name":"a","role":"reader","expiresDateTime":"2030-01-01T00:00:00Z","lifetimeInSeconds":1})", "not both"},
      {R"([])", "object"},
  };
  for (const auto& [body, word] : wrong) {
    const Answer answer = ask("POST", "", admin, body);
    EXPECT_EQ(answer.status, 400) << body;
    EXPECT_NE(answer.body.find(word), std::string::npos) << body << " -> " << answer.body;
  }
  make(R"({"name":"a","role":"reader"})");
  EXPECT_EQ(ask("POST", "", admin, R"({"name":"a","role":"reader"})").status, 409);
}

TEST_F(TokenRoutes, the_last_administrator_stays) {
  EXPECT_EQ(ask("DELETE", "/admin", admin).status, 409);
  make(R"({"name":"scoped","role":"administrator","instanceId":"main"})");
  EXPECT_EQ(ask("DELETE", "/admin", admin).status, 409) << "one that is bound to an instance does not count";
  const json::Object second = make(R"({"name":"second","role":"administrator"})");
  const std::string token = json::text_or_nothing(second, "token").value_or("");
  EXPECT_EQ(ask("DELETE", "/admin", token).status, 204);
  EXPECT_EQ(ask("GET", "", admin).status, 401);
}

TEST_F(TokenRoutes, a_token_of_one_instance_sees_and_makes_only_such_tokens) {
  const json::Object made = make(R"({"name":"scoped","role":"administrator","instanceId":"main"})");
  const std::string scoped = json::text_or_nothing(made, "token").value_or("");
  const Answer listed = ask("GET", "", scoped);
  EXPECT_NE(listed.body.find("\"scoped\""), std::string::npos);
  EXPECT_EQ(listed.body.find("\"name\":\"admin\""), std::string::npos);
  EXPECT_EQ(ask("GET", "/admin", scoped).status, 404);
  EXPECT_EQ(ask("DELETE", "/admin", scoped).status, 404);
  EXPECT_EQ(ask("POST", "", scoped, R"({"name":"b","role":"administrator"})").status, 403);
  EXPECT_EQ(ask("POST", "", scoped, R"({"name":"b","role":"reader","instanceId":"main"})").status, 201);
}

TEST_F(TokenRoutes, lists_come_in_pages) {
  for (int i = 0; i < 105; ++i) rig.token(Role::reader, "t" + std::to_string(1000 + i));
  const auto first = json::parse_object(ask("GET", "", admin).body);
  ASSERT_TRUE(first);
  EXPECT_EQ(json::find(*first, "value")->as_array().size(), 100U);
  const std::string link = json::text_or_nothing(*first, "nextLink").value_or("");
  const Answer answer = client.send(request_text("GET", link, admin));
  ASSERT_EQ(answer.status, 200) << link;
  EXPECT_EQ(json::parse_object(answer.body)->at("value").as_array().size(), 6U);
}

TEST_F(TokenRoutes, making_and_revoking_is_in_the_audit_trail) {
  make(R"({"name":"ci","role":"reader"})");
  ask("DELETE", "/ci", admin);
  const Answer trail = client.send(request_text("GET", "/godwit/v1/main/auditEvents", admin));
  EXPECT_NE(trail.body.find("token.created"), std::string::npos);
  EXPECT_NE(trail.body.find("token.revoked"), std::string::npos);
  EXPECT_EQ(trail.body.find("gwt_"), std::string::npos);
}

}  // namespace
}  // namespace godwit::api
