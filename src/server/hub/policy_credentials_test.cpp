#include "server/hub/policy_credentials.hpp"

#include <gtest/gtest.h>

namespace godwit::hub {
namespace {

constexpr std::uint8_t kDeviceConnect = static_cast<std::uint8_t>(store::AccessRight::device_connect);
const HubNames kNames{{"hub.example", "localhost:8883"}};

store::SharedAccessPolicy policy(std::uint8_t rights = kDeviceConnect) {
  return {.name = "device",
          .rights = rights,
          .primary_key = Secret("policy-key-one-policy-key-one-32"),
          .secondary_key = Secret("policy-key-two-policy-key-two-32")};
}

std::string check(const std::string& scope, const store::SharedAccessPolicy& by = policy(),
                  const std::string& user = "hub.example/dev1/?api-version=2021-04-12",
                  const std::string& key = "policy-key-one-policy-key-one-32") {
  const auto token = trust::parse_sas(trust::make_sas(scope, key, 2'000'000'000, "device"));
  const auto name = parse_user_name(user);
  return check_policy_token(token.value(), name.value(), kNames, by);
}

TEST(PolicyCredentials, a_token_for_the_hub_or_for_the_device_lets_it_in_with_either_key) {
  EXPECT_EQ(check("hub.example"), "");
  EXPECT_EQ(check("HUB.example/devices/dev1"), "");
  EXPECT_EQ(check("hub.example/devices"), "");
  EXPECT_EQ(check("localhost:8883"), "");
  EXPECT_EQ(
      check("hub.example", policy(), "hub.example/dev1/?api-version=2021-04-12", "policy-key-two-policy-key-two-32"),
      "");
}

TEST(PolicyCredentials, a_token_for_a_device_is_for_its_modules_too_and_not_the_other_way) {
  const std::string module = "hub.example/dev1/mod1/?api-version=2021-04-12";
  EXPECT_EQ(check("hub.example/devices/dev1", policy(), module), "");
  EXPECT_EQ(check("hub.example/devices/dev1/modules/mod1", policy(), module), "");
  EXPECT_EQ(check("hub.example/devices/dev1/modules/mod2", policy(), module), "the token is for another device");
  EXPECT_EQ(check("hub.example/devices/dev1/modules/mod1"), "the token is for another device");
}

TEST(PolicyCredentials, another_scope_key_or_right_is_refused_with_its_reason) {
  EXPECT_EQ(check("other.example"), "the token is for another hub");
  EXPECT_EQ(check("hub.example/devices/dev10"), "the token is for another device");
  EXPECT_EQ(check("hub.example/twins/dev1"), "the token is for another device");
  EXPECT_NE(check("hub.example", policy(7)).find("DeviceConnect"), std::string::npos);
  EXPECT_NE(check("hub.example", policy(), "hub.example/dev1", "another-key-of-enough-bytes-here").find("not signed"),
            std::string::npos);
  auto keyless = policy();
  keyless.primary_key = keyless.secondary_key = Secret();
  EXPECT_NE(check("hub.example", keyless, "hub.example/dev1", ""), "") << "no key is not a key that everybody has";
}

TEST(PolicyCredentials, a_token_without_a_policy_is_not_decided_here) {
  trust::SasToken token;
  EXPECT_FALSE(is_policy_token(token));
  token.policy = "device";
  EXPECT_TRUE(is_policy_token(token));
}

}  // namespace
}  // namespace godwit::hub
