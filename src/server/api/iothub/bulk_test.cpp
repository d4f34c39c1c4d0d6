// Many identities in one call, over a real connection.
#include "server/api/iothub/test_hub_api.hpp"

namespace godwit::api {
namespace {

class Bulk : public HubApiTest {
 protected:
  static std::string word(const Answer& answer, std::size_t index) {
    const json::Object body = object(answer);
    const json::Array& errors = body.at("errors").get_array();
    if (index >= errors.size()) return "";
    return *json::text_or_nothing(errors[index].get_object(), "deviceId") + " " +
           *json::text_or_nothing(errors[index].get_object(), "errorCode");
  }
};

TEST_F(Bulk, creates_changes_and_removes_in_the_order_of_the_array) {
  const Answer made = call("POST", "/devices",
                           R"([{"id":"a","importMode":"create","tags":{"ADUGroup":"g"}},)"
                           R"({"deviceId":"b","importMode":"Create","status":"disabled"},)"
                           R"({"id":"a","moduleId":"m","importMode":"createOrUpdate"}])");
  ASSERT_EQ(made.status, 200) << made.body;
  EXPECT_EQ(made.body, R"({"isSuccessful":true,"errors":[],"warnings":[]})");
  EXPECT_EQ(object(call("GET", "/twins/a")).at("tags").at("ADUGroup").get_string(), "g");
  EXPECT_EQ(*json::text_or_nothing(object(call("GET", "/devices/b")), "status"), "disabled");
  const std::string key = std::string(
      object(call("GET", "/devices/b")).at("authentication").at("symmetricKey").at("primaryKey").get_string());

  const Answer changed = call("POST", "/devices",
                              R"([{"id":"b","importMode":"Update","status":"enabled"},)"
                              R"({"id":"b","importMode":"updateTwin","properties":{"desired":{"x":1}}},)"
                              R"({"id":"a","moduleId":"m","importMode":"delete"}])");
  ASSERT_EQ(changed.status, 200) << changed.body;
  EXPECT_EQ(*json::text_or_nothing(object(call("GET", "/devices/b")), "status"), "enabled");
  EXPECT_EQ(object(call("GET", "/devices/b")).at("authentication").at("symmetricKey").at("primaryKey").get_string(),
            key)
      << "keys stay unless others are given";
  EXPECT_EQ(pushed_.size(), 1U);
  EXPECT_EQ(call("GET", "/devices/a/modules/m").status, 404);
}

TEST_F(Bulk, an_element_that_fails_says_so_and_the_others_are_done) {
  ASSERT_EQ(call("PUT", "/devices/there", "{}").status, 200);
  const Answer answer = call("POST", "/devices",
                             R"([{"id":"there","importMode":"create"},)"
                             R"({"id":"gone","importMode":"update"},)"
                             R"({"id":"new","importMode":"create"},)"
                             R"({"id":"bad id","importMode":"create"},)"
                             R"({"id":"x","importMode":"guess"},)"
                             R"({"id":"gone","moduleId":"m","importMode":"delete"},)"
                             R"(7,)"
                             R"({"id":"y","importMode":"create","authentication":{"type":"selfSigned"}}])");
  EXPECT_EQ(answer.status, 400) << answer.body;
  EXPECT_FALSE(object(answer).at("isSuccessful").get_bool());
  EXPECT_EQ(word(answer, 0), "there DeviceAlreadyExists");
  EXPECT_EQ(word(answer, 1), "gone DeviceNotFound");
  EXPECT_EQ(word(answer, 2), "bad id ArgumentInvalid");
  EXPECT_EQ(word(answer, 3), "x ArgumentInvalid");
  EXPECT_EQ(word(answer, 4), "gone ModuleNotFound");
  EXPECT_EQ(word(answer, 5), " ArgumentInvalid");
  EXPECT_EQ(word(answer, 6), "y ArgumentInvalid");
  EXPECT_EQ(call("GET", "/devices/new").status, 200);
}

TEST_F(Bulk, an_element_whose_twin_breaks_a_rule_makes_no_device) {
  const Answer answer = call("POST", "/devices", R"([{"id":"half","importMode":"create","tags":{"a.b":1}}])");
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(word(answer, 0), "half ArgumentInvalid");
  EXPECT_EQ(call("GET", "/devices/half").status, 404);
}

TEST_F(Bulk, etags_are_matched_where_the_mode_asks_for_it) {
  ASSERT_EQ(call("PUT", "/devices/a", "{}").status, 200);
  const std::string first = "AAAAAAAAAAE=";
  const auto with = [&](const std::string& mode, const std::string& etag) {
    return call("POST", "/devices",
                R"([{"id":"a","importMode":")" + mode + R"(","tags":{"n":1})" +
                    (etag.empty() ? "" : R"(,"etag":")" + etag + R"(")") + "}]");
  };
  EXPECT_EQ(word(with("updateIfMatchETag", ""), 0), "a PreconditionFailed") << "none given";
  EXPECT_EQ(word(with("updateIfMatchETag", "AAAAAAAAAAI="), 0), "a PreconditionFailed");
  EXPECT_EQ(with("createOrUpdateIfMatchETag", first).status, 200);
  EXPECT_EQ(word(with("deleteIfMatchETag", first), 0), "a PreconditionFailed") << "the update made another etag";
  EXPECT_EQ(with("updateTwinIfMatchETag", "*").status, 200);
  EXPECT_EQ(word(with("updateTwinIfMatchETag", first), 0), "a PreconditionFailed");
  EXPECT_EQ(with("deleteIfMatchETag", "AAAAAAAAAAI=").status, 200);
}

TEST_F(Bulk, a_thousand_are_made_in_one_call_and_more_are_refused) {
  const auto array_of = [](int count) {
    std::string text = "[";
    for (int i = 0; i < count; ++i)
      text += (i > 0 ? "," : "") + (R"({"id":"d)" + std::to_string(i)) + R"(","importMode":"create"})";
    return text + "]";
  };
  EXPECT_EQ(call("POST", "/devices", array_of(1001)).status, 400);
  EXPECT_EQ(call("POST", "/devices", "[]").status, 400);
  EXPECT_EQ(call("POST", "/devices", "{}").status, 400);
  EXPECT_EQ(call("POST", "/devices", array_of(1000)).status, 200);
  EXPECT_EQ(*json::integer_or_nothing(object(call("GET", "/statistics/devices")), "totalDeviceCount"), 1000);
  const Answer again = call("POST", "/devices", array_of(1000));
  EXPECT_EQ(object(again).at("errors").get_array().size(), 1000U);
}

TEST_F(Bulk, who_did_it_is_in_the_audit_trail) {
  ASSERT_EQ(call("POST", "/devices", R"([{"id":"a","importMode":"create"},{"id":"b","importMode":"create"}])").status,
            200);
  ASSERT_EQ(audit_trail().size(), 1U);
  EXPECT_EQ(audit_trail()[0].action, "devices.changed");
  EXPECT_EQ(audit_trail()[0].subject, "2 identities");
  EXPECT_EQ(audit_trail()[0].details, R"({"create":["a","b"]})");
}

}  // namespace
}  // namespace godwit::api
