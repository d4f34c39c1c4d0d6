#include "server/hub/user_name.hpp"

#include <gtest/gtest.h>

namespace godwit::hub {
namespace {

TEST(UserName, what_the_node_client_sends_is_read_with_its_raw_model_id) {
  const auto name = parse_user_name(
      "contoso.example/dev1/"
      "?api-version=2021-04-12&model-id=dtmi:azure:iot:deviceUpdateModel;2&DeviceClientType=azure-iot-device%2F1.18.4%"
      "20(node%20v20)");
  ASSERT_TRUE(name) << name.error().message;
  EXPECT_EQ(name->hub, "contoso.example");
  EXPECT_EQ(name->identity.device_text(), "dev1");
  EXPECT_EQ(name->identity.module_text(), "");
  EXPECT_EQ(name->api_version, "2021-04-12");
  EXPECT_EQ(name->model_id, "dtmi:azure:iot:deviceUpdateModel;2");
  EXPECT_EQ(name->client_type, "azure-iot-device/1.18.4 (node v20)");
}

TEST(UserName, what_the_c_client_sends_is_read_with_its_encoded_model_id_in_any_order) {
  const auto name = parse_user_name(
      "contoso.example/dev1/"
      "?api-version=2020-09-30&DeviceClientType=iothubclient%2f1.9.0&model-id=dtmi%3aazure%3aiot%3adeviceUpdateModel%"
      "3b3");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->model_id, "dtmi:azure:iot:deviceUpdateModel;3");
}

TEST(UserName, missing_slash_query_and_version_are_accepted) {
  for (const char* text : {"h/dev1?api-version=2018-06-30", "h/dev1/", "h/dev1", "h/dev1/?model-id=x"}) {
    const auto name = parse_user_name(text);
    ASSERT_TRUE(name) << text;
    EXPECT_EQ(name->identity.device_text(), "dev1") << text;
  }
}

TEST(UserName, a_hub_name_may_carry_a_port) {
  const auto name = parse_user_name("localhost:18883/dev1/?api-version=2021-04-12");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->hub, "localhost:18883");
}

TEST(UserName, ids_with_odd_characters_survive) {
  const auto plain = parse_user_name("h/a?b#c+d$e'f/?api-version=2021-04-12");
  ASSERT_TRUE(plain) << plain.error().message;
  EXPECT_EQ(plain->identity.str(), "a?b#c+d$e'f");
  const auto encoded = parse_user_name("h/a%3Fb%23c/?api-version=2021-04-12");
  ASSERT_TRUE(encoded);
  EXPECT_EQ(encoded->identity.str(), "a?b#c");
}

TEST(UserName, a_module_is_recognised) {
  const auto name = parse_user_name("h/dev1/DeviceUpdate/?api-version=2021-04-12");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->identity.device_text(), "dev1");
  EXPECT_EQ(name->identity.module_text(), "DeviceUpdate");
}

TEST(UserName, broken_ones_are_refused) {
  for (const std::string& text :
       {std::string(""), std::string("dev1"), std::string("/dev1/?x=1"), std::string("h//?api-version=1"),
        std::string("h/de v/?api-version=1"), std::string("h/d/m/x/?api-version=1"), std::string("h/d/?model-id=%zz"),
        std::string("h/d/?model-id=%07"), std::string("h/d/?model-id=%ff"), "h/d/?model-id=" + std::string(600, 'm'),
        "h/" + std::string(200, 'd'), std::string(300, 'h') + "/d", "h/d/?a=" + std::string(5000, 'x')}) {
    const auto name = parse_user_name(text);
    ASSERT_FALSE(name) << text.substr(0, 80);
    EXPECT_EQ(name.error().code, Code::unauthorized);
  }
}

}  // namespace
}  // namespace godwit::hub
