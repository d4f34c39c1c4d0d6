#include "server/hub/provisioning/visit.hpp"

#include <gtest/gtest.h>

namespace godwit::hub {
namespace {

const WallTime kNow = std::chrono::sys_days{std::chrono::year{2026} / 5 / 1};
constexpr Duration kSlack{300'000};
const std::string kScope = "0ne1234abcd";

mqtt::Connect connect_of(const std::string& id, const std::string& token) {
  mqtt::Connect connect{.client_id = id};
  connect.user_name = kScope + "/registrations/" + id + "/api-version=2019-03-31";
  if (!token.empty()) connect.password = token;
  return connect;
}
std::string token_for(const std::string& scope, std::int64_t expiry = 4'102'444'800) {
  return trust::make_sas(scope, "a key of sixteen bytes", expiry, "registration");
}
tl::expected<VisitClaim, Refusal> check(const mqtt::Connect& connect, bool has_certificate = false) {
  return check_visit(connect, kScope, has_certificate, kNow, kSlack);
}

TEST(Visit, comes_in_with_a_token_in_either_spelling_of_its_scope_or_with_a_certificate) {
  const auto claim = check(connect_of("dev-1", token_for(kScope + "/registrations/dev-1")));
  ASSERT_TRUE(claim) << claim.error().reason;
  EXPECT_TRUE(claim->token);
  EXPECT_EQ(claim->name.registration_id, "dev-1");
  // As the Node client writes it: the scope is not percent-encoded.
  std::string raw = token_for("x");
  const std::string scope = kScope + "/registrations/dev-1";
  raw.replace(raw.find("sr=x") + 3, 1, scope);
  EXPECT_TRUE(check(connect_of("dev-1", raw)));
  EXPECT_TRUE(check(connect_of("dev-1", token_for("0NE1234ABCD/registrations/DEV-1"))));
  const auto by_certificate = check(connect_of("dev-1", ""), true);
  ASSERT_TRUE(by_certificate) << by_certificate.error().reason;
  EXPECT_FALSE(by_certificate->token);
}

TEST(Visit, is_refused_with_a_reason) {
  const std::string good = token_for(kScope + "/registrations/dev-1");
  const auto reason = [](const tl::expected<VisitClaim, Refusal>& claim) {
    return claim ? std::string("let in") : claim.error().reason;
  };
  const auto contains = [](const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  };
  EXPECT_PRED2(contains, reason(check(connect_of("dev-1", ""))), "neither a password nor a client certificate");
  EXPECT_PRED2(contains, reason(check(connect_of("dev-1", token_for(kScope + "/registrations/dev-2")))), "another");
  EXPECT_PRED2(contains, reason(check(connect_of("dev-1", token_for(kScope + "/devices/dev-1")))), "another");
  EXPECT_PRED2(contains, reason(check(connect_of("dev-1", token_for(kScope + "/registrations/dev-1", 1)))), "expired");
  EXPECT_PRED2(contains, reason(check(connect_of("dev-1", "nonsense"))), "begin with");
  mqtt::Connect other_client = connect_of("dev-1", good);
  other_client.client_id = "dev-2";
  EXPECT_PRED2(contains, reason(check(other_client)), "client id");
  mqtt::Connect other_scope = connect_of("dev-1", good);
  other_scope.user_name = "0neother/registrations/dev-1/api-version=1";
  EXPECT_PRED2(contains, reason(check(other_scope)), "dps.id_scope");
  mqtt::Connect with_will = connect_of("dev-1", good);
  with_will.will = mqtt::Will{.topic = "devices/dev-1/messages/events/"};
  EXPECT_PRED2(contains, reason(check(with_will)), "will");
  mqtt::Connect version_5 = connect_of("dev-1", good);
  version_5.protocol_level = 5;
  EXPECT_EQ(check(version_5).error().code, mqtt::ConnectReturn::bad_protocol);
}

TEST(VisitTopics, are_read_as_clients_write_them) {
  const auto put = read_visit_topic("$dps/registrations/PUT/iotdps-register/?$rid=1f2");
  EXPECT_EQ(put.request, VisitTopic::Request::put_registration);
  EXPECT_EQ(put.request_id, "1f2");
  const auto get = read_visit_topic("$dps/registrations/GET/iotdps-get-operationstatus/?$rid=a&operationId=4.ab%2Ecd");
  EXPECT_EQ(get.request, VisitTopic::Request::get_status);
  EXPECT_EQ(get.request_id, "a");
  EXPECT_EQ(get.operation_id, "4.ab.cd");
  for (const std::string& topic :
       {std::string("$dps/registrations/PUT/iotdps-register/"),
        std::string("$dps/registrations/PUT/iotdps-register/?x=1"), std::string("$dps/registrations/res/200/?$rid=1"),
        std::string("$iothub/twin/GET/?$rid=1"), std::string(),
        "$dps/registrations/PUT/iotdps-register/?$rid=" + std::string(300, 'x')})
    EXPECT_EQ(read_visit_topic(topic).request, VisitTopic::Request::unknown) << topic;
  EXPECT_EQ(visit_answer_topic(200, "r"), "$dps/registrations/res/200/?$rid=r");
  EXPECT_EQ(visit_answer_topic(503, "r", 3), "$dps/registrations/res/503/?$rid=r&retry-after=3");
}

TEST(RegistrationRequest, names_the_registration_of_the_connection_and_no_tpm) {
  const auto check_body = [](std::string_view body) {
    const auto checked = check_registration_request(body, "dev-1", 1000);
    return checked ? Code::ok : checked.error().code;
  };
  EXPECT_EQ(check_body(R"({"registrationId":"dev-1"})"), Code::ok);
  EXPECT_EQ(check_body(R"({"registrationId":"DEV-1","payload":{"a":[1]}})"), Code::ok);
  EXPECT_EQ(check_body("{}"), Code::ok);
  EXPECT_EQ(check_body(R"({"registrationId":"dev-2"})"), Code::invalid_argument);
  EXPECT_EQ(check_body(R"({"registrationId":7})"), Code::invalid_argument);
  EXPECT_EQ(check_body(R"({"registrationId":"dev-1","tpm":{"endorsementKey":"x"}})"), Code::unsupported);
  EXPECT_EQ(check_body(" "), Code::bad_json);
  EXPECT_EQ(check_body("{\"payload\":\"" + std::string(1000, 'x') + "\"}"), Code::too_large);
}

}  // namespace
}  // namespace godwit::hub
