// The route of direct methods; the hub behind it is a stand-in that answers as it is told.
#include "server/api/iothub/test_hub_api.hpp"

namespace godwit::api {
namespace {

class MethodRoute : public HubApiTest {
 protected:
  MethodRoute() {
    rig_.services->hub.invoke = [this](hub::MethodCall call, hub::MethodDone done) {
      calls_.push_back(call);
      done(outcome_);
    };
    EXPECT_EQ(call("PUT", "/devices/dev1", "{}").status, 200);
    EXPECT_EQ(call("PUT", "/devices/dev1/modules/m", "{}").status, 200);
  }
  std::vector<hub::MethodCall> calls_;
  Result<hub::MethodAnswer> outcome_ = hub::MethodAnswer{.status = 200, .payload = R"({"ok":true})"};
};

TEST_F(MethodRoute, passes_the_call_on_and_gives_the_answer_back) {
  const Answer answer = call("POST", "/twins/dev1/methods",
                             R"({"methodName":"thermostat1*getMaxMinReport","payload":{"a":[1]},)"
                             R"("responseTimeoutInSeconds":60,"connectTimeoutInSeconds":5})");
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.body, R"({"status":200,"payload":{"ok":true}})");
  ASSERT_EQ(calls_.size(), 1U);
  EXPECT_EQ(calls_[0].id.str(), "dev1");
  EXPECT_EQ(calls_[0].method, "thermostat1*getMaxMinReport");
  EXPECT_EQ(calls_[0].payload, R"({"a":[1]})");
  EXPECT_EQ(calls_[0].response_time, std::chrono::seconds(60));
  EXPECT_EQ(calls_[0].connect_time, std::chrono::seconds(5));

  outcome_ = hub::MethodAnswer{.status = -7, .payload = ""};
  EXPECT_EQ(call("POST", "/twins/dev1/modules/m/methods", R"({"methodName":"m"})").body,
            R"({"status":-7,"payload":null})");
  EXPECT_EQ(calls_[1].id.str(), "dev1/m");
  EXPECT_EQ(calls_[1].payload, "");
  EXPECT_EQ(calls_[1].response_time, std::chrono::seconds(30));
  EXPECT_EQ(call("POST", "/twins/dev1/methods", R"({"methodName":"m","payload":null})").status, 200);
  EXPECT_EQ(calls_[2].payload, "null");
}

TEST_F(MethodRoute, each_failure_has_the_number_that_clients_know) {
  struct Row {
    Code code;
    int status;
    std::int64_t number;
    const char* word;
  };
  for (const Row& row : {Row{Code::unavailable, 404, 404103, "ErrorCode:DeviceNotOnline"},
                         Row{Code::timed_out, 504, 504101, "ErrorCode:GatewayTimeout"},
                         Row{Code::too_many, 429, 429001, "ErrorCode:ThrottlingException"},
                         Row{Code::bad_packet, 502, 502001, "ErrorCode:BadDeviceResponse"},
                         Row{Code::cancelled, 503, 503001, "ErrorCode:ServiceUnavailable"}}) {
    outcome_ = fail(row.code, "because");
    const Answer answer = call("POST", "/twins/dev1/methods", R"({"methodName":"m"})");
    EXPECT_EQ(answer.status, row.status);
    EXPECT_EQ(*json::integer_or_nothing(object(answer), "errorCode"), row.number);
    EXPECT_EQ(error_word(answer), row.word);
    EXPECT_EQ(answer.headers.at("iothub-errorcode"), std::string(row.word).substr(10));
  }
  outcome_ = fail(Code::invalid_argument, "a method name has ...");
  const Answer bad = call("POST", "/twins/dev1/methods", R"({"methodName":"a/b"})");
  EXPECT_EQ(bad.status, 400);
  EXPECT_EQ(error_word(bad), "ErrorCode:ArgumentInvalid");
}

TEST_F(MethodRoute, what_is_no_call_never_reaches_the_hub) {
  for (const char* body :
       {"", "[]", "{}", R"({"methodName":7})", R"({"methodName":"m","responseTimeoutInSeconds":"x"})",
        R"({"methodName":"m","responseTimeoutInSeconds":1.5})", R"({"methodName":"m","connectTimeoutInSeconds":-1})"})
    EXPECT_EQ(call("POST", "/twins/dev1/methods", body).status, 400) << body;
  const Answer nobody = call("POST", "/twins/nobody/methods", R"({"methodName":"m"})");
  EXPECT_EQ(nobody.status, 404);
  EXPECT_EQ(error_word(nobody), "ErrorCode:DeviceNotFound");
  EXPECT_TRUE(calls_.empty());
}

}  // namespace
}  // namespace godwit::api
