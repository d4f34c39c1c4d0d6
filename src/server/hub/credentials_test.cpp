#include "server/hub/credentials.hpp"

#include <gtest/gtest.h>

#include "core/base/bytes.hpp"

namespace godwit::hub {
namespace {

const WallTime kNow{std::chrono::sys_days{std::chrono::year{2026} / 5 / 1}};
const std::int64_t kNowSeconds = to_unix_ms(kNow) / 1000;
constexpr Duration kSlack{300'000};
const std::string kKey = "0123456789abcdef0123456789abcdef";
const HubNames kNames{{"Hub.Example", "localhost:18883"}};

mqtt::Connect good() {
  mqtt::Connect connect{.client_id = "dev1"};
  connect.user_name = "hub.example/dev1/?api-version=2021-04-12";
  connect.password = trust::make_sas("hub.example/devices/dev1", kKey, kNowSeconds + 3600);
  return connect;
}

std::string refusal(const mqtt::Connect& connect, mqtt::ConnectReturn code = mqtt::ConnectReturn::not_authorized) {
  const auto claim = check_connect(connect, kNames, kNow, kSlack);
  EXPECT_FALSE(claim);
  if (claim) return {};
  EXPECT_EQ(claim.error().code, code) << claim.error().reason;
  return claim.error().reason;
}

store::DeviceIdentity identity(const std::string& primary, const std::string& secondary, bool is_enabled = true) {
  return {.id = *DeviceId::parse("dev1"),
          .is_enabled = is_enabled,
          .primary_key = Secret{primary},
          .secondary_key = Secret{secondary}};
}

TEST(Credentials, a_right_token_passes_with_either_key) {
  const auto claim = check_connect(good(), kNames, kNow, kSlack);
  ASSERT_TRUE(claim) << claim.error().reason;
  EXPECT_EQ(check_key(*claim, identity(kKey, "")), "");
  EXPECT_EQ(check_key(*claim, identity("another-key-of-16-bytes", kKey)), "");
  EXPECT_NE(check_key(*claim, identity("another-key-of-16-bytes", "third-key-of-16-bytes")), "");
  EXPECT_NE(check_key(*claim, identity("", "")), "");
  EXPECT_NE(check_key(*claim, identity(kKey, "", false)).find("disabled"), std::string::npos);
}

TEST(Credentials, names_compare_without_case_and_may_have_ports) {
  auto connect = good();
  connect.user_name = "HUB.EXAMPLE/dev1/?api-version=2021-04-12";
  EXPECT_TRUE(check_connect(connect, kNames, kNow, kSlack));
  connect.user_name = "localhost:18883/dev1/?api-version=2021-04-12";
  connect.password = trust::make_sas("localhost:18883/devices/dev1", kKey, kNowSeconds + 3600);
  EXPECT_TRUE(check_connect(connect, kNames, kNow, kSlack));
}

TEST(Credentials, a_token_signed_over_an_unencoded_scope_holds) {
  // As the C client writes it: raw slashes, lower-case hex in the signature, empty skn; vector computed apart from this
  // code.
  auto connect = good();
  connect.user_name = "contoso-test.azure-devices.net/dev1/?api-version=2020-09-30";
  connect.password =
      "SharedAccessSignature "
      "sr=contoso-test.azure-devices.net%2Fdevices%2Fdev1&sig=UtlquzUQR%2bUw16VhbkHK8YHOINZomd31zbDJK0blNVU%3d&se="
      "1893456000&skn=";
  const auto claim = check_connect(connect, HubNames{{"contoso-test.azure-devices.net"}}, kNow, kSlack);
  ASSERT_TRUE(claim) << claim.error().reason;
  EXPECT_EQ(check_key(*claim, identity(*base64_decode("ZGV2MS1rZXktZGV2MS1rZXktZGV2MS1rZXktZGV2MSE="), "")), "");
}

TEST(Credentials, another_protocol_is_answered_with_code_1) {
  auto connect = good();
  connect.protocol_level = 5;
  refusal(connect, mqtt::ConnectReturn::bad_protocol);
  connect = good();
  connect.protocol_name = "MQIsdp";
  refusal(connect, mqtt::ConnectReturn::bad_protocol);
}

TEST(Credentials, every_mismatch_has_its_own_reason) {
  auto connect = good();
  connect.client_id = "dev2";
  EXPECT_NE(refusal(connect).find("client id"), std::string::npos);
  connect = good();
  connect.user_name = "other.example/dev1/?api-version=1";
  EXPECT_NE(refusal(connect).find("hub name"), std::string::npos);
  connect = good();
  connect.user_name.reset();
  EXPECT_NE(refusal(connect).find("user name"), std::string::npos);
  connect = good();
  connect.password.reset();
  EXPECT_NE(refusal(connect).find("password"), std::string::npos);
  connect = good();
  connect.password = "let me in";
  EXPECT_NE(refusal(connect).find("shared access signature"), std::string::npos);
  connect = good();
  connect.user_name = "hub.example/dev1/mod1/?api-version=1";
  connect.client_id = "dev1/mod1";
  EXPECT_NE(refusal(connect).find("token is for another device"), std::string::npos);
  connect.password = trust::make_sas("hub.example/devices/dev1/modules/mod1", kKey, kNowSeconds + 3600);
  const auto claim = check_connect(connect, kNames, kNow, kSlack);
  ASSERT_TRUE(claim) << claim.error().reason;
  EXPECT_EQ(claim->name.identity.str(), "dev1/mod1");
  connect.client_id = "dev1";
  EXPECT_NE(refusal(connect).find("client id"), std::string::npos);
}

TEST(Credentials, a_device_with_a_certificate_does_not_come_in_with_a_key) {
  const auto claim = check_connect(good(), kNames, kNow, kSlack);
  store::DeviceIdentity identity{.id = *IdentityId::parse("dev1"),
                                 .authentication = store::Authentication::self_signed,
                                 .primary_key = Secret{std::string(kKey)}};
  EXPECT_NE(check_key(*claim, identity).find("certificate"), std::string::npos);
}

TEST(Credentials, a_token_for_another_scope_is_refused) {
  for (const char* scope : {"hub.example/devices/dev2", "other.example/devices/dev1", "hub.example",
                            "hub.example/devices/dev1/modules/m", "hub.example/devices/dev"}) {
    auto connect = good();
    connect.password = trust::make_sas(scope, kKey, kNowSeconds + 3600);
    EXPECT_NE(refusal(connect).find("token is for another"), std::string::npos) << scope;
  }
}

TEST(Credentials, expiry_has_the_slack_and_not_a_second_more) {
  auto connect = good();
  connect.password = trust::make_sas("hub.example/devices/dev1", kKey, kNowSeconds - 299);
  EXPECT_TRUE(check_connect(connect, kNames, kNow, kSlack));
  connect.password = trust::make_sas("hub.example/devices/dev1", kKey, kNowSeconds - 300);
  EXPECT_NE(refusal(connect).find("expired"), std::string::npos);
}

}  // namespace
}  // namespace godwit::hub
