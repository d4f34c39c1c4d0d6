#include "server/hub/provisioning/registration_id.hpp"

#include <gtest/gtest.h>

#include "core/model/ids.hpp"

namespace godwit::hub {
namespace {

TEST(RegistrationId, follows_the_rules_of_the_original_and_is_a_device_id) {
  for (const std::string& good : {std::string("a"), std::string("sn-007-888-abc-mac-a1-b2"), std::string("Dev_1.x:y"),
                                  std::string("ends-"), std::string(128, 'a')}) {
    EXPECT_EQ(check_registration_id(good), "") << good;
    EXPECT_EQ(check_device_id(good), "") << good;
  }
  for (const std::string& bad : {std::string(), std::string(129, 'a'), std::string("a b"), std::string("a/b"),
                                 std::string("a."), std::string("a_"), std::string("\xC3\xA4"), std::string("a%41")})
    EXPECT_NE(check_registration_id(bad), "") << bad;
  EXPECT_EQ(canonical_registration_id("Dev-1"), "dev-1");
}

TEST(IdScope, follows_from_the_name_of_the_hub_in_any_case) {
  const std::string scope = default_id_scope("hub.example");
  EXPECT_EQ(scope, default_id_scope("Hub.Example"));
  EXPECT_NE(scope, default_id_scope("hub2.example"));
  EXPECT_EQ(scope.size(), 11U);
  EXPECT_TRUE(scope.starts_with("0ne"));
  EXPECT_EQ(check_id_scope(scope), "");
  EXPECT_NE(check_id_scope(""), "");
  EXPECT_NE(check_id_scope("a/b"), "");
  EXPECT_NE(check_id_scope(std::string(65, 'a')), "");
}

TEST(ProvisioningUserName, is_read_as_clients_write_it) {
  const std::string text =
      "0ne1234abcd/registrations/dev-1/api-version=2019-03-31&ClientVersion=azure-iot-provisioning-device%2F1.9.1";
  ASSERT_TRUE(is_provisioning_user_name(text));
  const auto name = parse_provisioning_user_name(text);
  ASSERT_TRUE(name) << name.error().message;
  EXPECT_EQ(name->id_scope, "0ne1234abcd");
  EXPECT_EQ(name->registration_id, "dev-1");
  EXPECT_EQ(name->api_version, "2019-03-31");
  EXPECT_EQ(name->client_version, "azure-iot-provisioning-device/1.9.1");
  EXPECT_EQ(parse_provisioning_user_name("s/registrations/a%3Ab/api-version=1")->registration_id, "a:b");
  EXPECT_EQ(parse_provisioning_user_name("s/registrations/a/api-version=1&ClientVersion=x%0Ay")->client_version, "xy");
}

TEST(ProvisioningUserName, is_told_apart_from_a_device_of_a_hub) {
  for (const char* text :
       {"hub/registrations/mod/?api-version=2021-04-12", "hub/registrations/?api-version=1", "hub/dev/?api-version=1",
        "hub/registrations", "", "/", "s/registrations/a", "s/registrations/a/?api-version=1", "api-version=1"})
    EXPECT_FALSE(is_provisioning_user_name(text)) << text;
}

TEST(ProvisioningUserName, refuses_bad_parts) {
  for (const std::string& text :
       {std::string("/registrations/a/api-version=1"), std::string("s s/registrations/a/api-version=1"),
        std::string("s/registrations//api-version=1"), std::string("s/registrations/a%2Fb/api-version=1"),
        std::string("s/registrations/a/b/api-version=1"), "s/registrations/a/api-version=" + std::string(2048, '1')}) {
    const auto name = parse_provisioning_user_name(text);
    ASSERT_FALSE(name) << text;
    EXPECT_EQ(name.error().code, Code::unauthorized);
  }
}

}  // namespace
}  // namespace godwit::hub
