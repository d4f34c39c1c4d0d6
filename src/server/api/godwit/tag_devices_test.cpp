// Tags of many devices in one call.
#include "server/api/iothub/test_hub_api.hpp"

namespace godwit::api {
namespace {

class TagDevices : public HubApiTest {
 protected:
  TagDevices() {
    for (const char* id : {"a", "b"}) EXPECT_EQ(call("PUT", std::string("/devices/") + id, "{}").status, 200);
  }
  Answer tag(const std::string& body) { return call("POST", "/godwit/v1/main/devices:tag", body); }
};

TEST_F(TagDevices, each_named_device_gets_the_tags_and_failures_are_named) {
  const Answer answer = tag(R"({"tags":{"ADUGroup":"g","site":{"hall":3}},"deviceIds":["a","nobody","b","bad id"]})");
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(*json::integer_or_nothing(object(answer), "changedCount"), 2);
  EXPECT_EQ(*json::integer_or_nothing(object(answer), "failedCount"), 2);
  const json::Array failures = object(answer).at("failures").get_array();
  EXPECT_EQ(failures[0].at("deviceId").get_string(), "nobody");
  EXPECT_EQ(failures[0].at("code").get_string(), "not_found");
  EXPECT_EQ(failures[1].at("deviceId").get_string(), "bad id");
  EXPECT_EQ(object(call("GET", "/twins/b")).at("tags").at("ADUGroup").get_string(), "g");
  ASSERT_EQ(tag(R"({"tags":{"ADUGroup":null},"deviceIds":["a"]})").status, 200);
  EXPECT_FALSE(object(call("GET", "/twins/a")).at("tags").get_object().contains("ADUGroup"));
  EXPECT_EQ(audit_trail()[0].action, "devices.tagged");
}

TEST_F(TagDevices, thousands_are_served_in_one_call) {
  std::string made = "[";
  std::string ids;
  for (int i = 0; i < 1000; ++i) {
    made += (i > 0 ? "," : "") + (R"({"id":"d)" + std::to_string(i)) + R"(","importMode":"create"})";
    ids += (i > 0 ? ",\"d" : "\"d") + std::to_string(i) + "\"";
  }
  ASSERT_EQ(call("POST", "/devices", made + "]").status, 200);
  const Answer answer = tag(R"({"tags":{"ADUGroup":"g"},"deviceIds":[)" + ids + "]}");
  EXPECT_EQ(answer.body, R"({"changedCount":1000,"failedCount":0,"failures":[]})");
  EXPECT_EQ(object(call("GET", "/twins/d999")).at("tags").at("ADUGroup").get_string(), "g");
}

TEST_F(TagDevices, what_breaks_a_rule_changes_nobody) {
  for (const char* body :
       {"{}", R"({"tags":{},"deviceIds":["a"]})", R"({"tags":{"a.b":1},"deviceIds":["a"]})", R"({"tags":{"a":1}})",
        R"({"tags":{"a":1},"deviceIds":[]})", R"({"tags":{"a":1},"deviceIds":[1]})", R"({"tags":1,"deviceIds":["a"]})"})
    EXPECT_EQ(tag(body).status, 400) << body;
  EXPECT_TRUE(object(call("GET", "/twins/a")).at("tags").get_object().empty());
}

}  // namespace
}  // namespace godwit::api
