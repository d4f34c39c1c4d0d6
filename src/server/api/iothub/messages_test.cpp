// Messages for devices by their routes, and the two forms in which they are written.
#include "server/api/iothub/message_form.hpp"
#include "server/api/iothub/test_hub_api.hpp"

namespace godwit::api {
namespace {

class MessageRoutes : public HubApiTest {
 protected:
  MessageRoutes() { EXPECT_EQ(call("PUT", "/devices/dev1", "{}").status, 200); }
  std::vector<store::CloudMessage> waiting() {
    std::vector<store::CloudMessage> found;
    EXPECT_TRUE(rig_.store->read([&](store::Records& records) -> Result<void> {
      GODWIT_TRY(found, records.messages().list_messages(*IdentityId::parse("dev1"), 0, clock_.now(), 100));
      return {};
    }));
    return found;
  }
};

TEST_F(MessageRoutes, the_header_form_queues_a_message) {
  const Answer sent = call("POST", "/devices/dev1/messages/devicebound", "hello",
                           "iothub-messageid: m1\r\niothub-ack: full\r\niothub-app-Room: a b\r\n"
                           "Content-Type: text/plain\r\n");
  ASSERT_EQ(sent.status, 204) << sent.body;
  ASSERT_EQ(waiting().size(), 1U);
  EXPECT_EQ(waiting()[0].payload, "hello");
  EXPECT_EQ(waiting()[0].properties,
            "%24.mid=m1&%24.ct=text%2Fplain&%24.to=%2Fdevices%2Fdev1%2Fmessages%2Fdevicebound&room=a%20b&"
            "iothub-ack=full");
  EXPECT_EQ(nudged_, std::vector<std::string>{"dev1"});
  EXPECT_EQ(*json::integer_or_nothing(object(call("GET", "/devices/dev1")), "cloudToDeviceMessageCount"), 1);
  EXPECT_EQ(*json::integer_or_nothing(object(call("GET", "/twins/dev1")), "cloudToDeviceMessageCount"), 1);
  EXPECT_EQ(call("POST", "/devices/nobody/messages/deviceBound", "x").status, 404);
  EXPECT_EQ(call("POST", "/devices/dev1/messages/devicebound", "x", "iothub-ack: maybe\r\n").status, 400);
  EXPECT_EQ(call("POST", "/devices/dev1/messages/devicebound", std::string(70'000, 'x')).status, 400);
  EXPECT_EQ(audit_trail()[0].action, "message.sent");
}

TEST_F(MessageRoutes, the_document_form_says_what_was_queued) {
  const Answer sent =
      call("POST", "/godwit/v1/main/devices/dev1/messages",
           R"({"messageId":"m1","timeToLiveInSeconds":60,"properties":{"Room":"a","none":null},"body":{"t":1}})");
  ASSERT_EQ(sent.status, 201) << sent.body;
  EXPECT_EQ(*json::text_or_nothing(object(sent), "messageId"), "m1");
  ASSERT_EQ(waiting().size(), 1U);
  EXPECT_EQ(waiting()[0].payload, R"({"t":1})");
  EXPECT_NE(waiting()[0].properties.find("Room=a&none"), std::string::npos);
  EXPECT_NE(waiting()[0].properties.find("%24.ct=application%2Fjson"), std::string::npos);
  // The time to live counts from the moment the request was read, a little before it was queued.
  EXPECT_LE(waiting()[0].expires - waiting()[0].enqueued, std::chrono::seconds(60));
  EXPECT_GT(waiting()[0].expires - waiting()[0].enqueued, std::chrono::seconds(50));
}

TEST_F(MessageRoutes, a_full_queue_is_refused_with_its_number_and_can_be_purged) {
  for (int i = 0; i < 50; ++i) ASSERT_EQ(call("POST", "/devices/dev1/messages/devicebound", "x").status, 204);
  const Answer full = call("POST", "/devices/dev1/messages/devicebound", "x");
  EXPECT_EQ(full.status, 403);
  EXPECT_EQ(*json::integer_or_nothing(object(full), "errorCode"), 403004);
  EXPECT_EQ(call("DELETE", "/devices/dev1/commands").body,
            R"({"totalMessagesPurged":50,"deviceId":"dev1","moduleId":null})");
  EXPECT_TRUE(waiting().empty());
  EXPECT_EQ(call("DELETE", "/devices/nobody/commands").status, 404);
}

TEST_F(MessageRoutes, feedback_comes_until_it_is_completed) {
  EXPECT_EQ(call("GET", "/messages/serviceBound/feedback").status, 204);
  ASSERT_EQ(
      call("POST", "/devices/dev1/messages/devicebound", "x", "iothub-messageid: m1\r\niothub-ack: full\r\n").status,
      204);
  ASSERT_EQ(call("DELETE", "/devices/dev1/commands").status, 200);
  const Answer feedback = call("GET", "/messages/serviceBound/feedback");
  ASSERT_EQ(feedback.status, 200);
  const json::Object record = json::parse(feedback.body)->get_array()[0].get_object();
  EXPECT_EQ(*json::text_or_nothing(record, "originalMessageId"), "m1");
  EXPECT_EQ(*json::text_or_nothing(record, "statusCode"), "Purged");
  EXPECT_EQ(*json::text_or_nothing(record, "deviceId"), "dev1");
  EXPECT_EQ(call("GET", "/messages/serviceBound/feedback").body, feedback.body) << "nobody completed it";
  std::string token = feedback.headers.at("etag");
  token = percent_encode(token.substr(1, token.size() - 2));
  EXPECT_EQ(call("DELETE", "/messages/serviceBound/feedback/nonsense").status, 412);
  EXPECT_EQ(call("DELETE", "/messages/serviceBound/feedback/" + token).status, 204);
  EXPECT_EQ(call("GET", "/messages/serviceBound/feedback").status, 204);
}

TEST_F(MessageRoutes, the_hub_tells_what_it_knows_of_a_connection) {
  const json::Object connection = object(call("GET", "/godwit/v1/main/hub/connections/dev1"));
  EXPECT_FALSE(connection.at("isConnected").get_bool());
  EXPECT_EQ(*json::integer_or_nothing(connection, "telemetryCount"), 0);
  EXPECT_EQ(*json::integer_or_nothing(connection, "queuedMessageCount"), 0);
  EXPECT_EQ(call("GET", "/godwit/v1/main/hub/connections/nobody").status, 404);
}

TEST(MessageDocument, refuses_what_it_does_not_understand) {
  const IdentityId id = *IdentityId::parse("dev1");
  const auto read = [&](const std::string& text) {
    return iothub::read_message_document(*json::parse_object(text), id, WallTime{});
  };
  EXPECT_EQ(read("{}")->payload, "");
  EXPECT_EQ(read(R"({"bodyText":"x"})")->payload, "x");
  EXPECT_EQ(read(R"({"bodyBase64":"/wE="})")->payload, "\xff\x01");
  EXPECT_EQ(read(R"({"expiryTimeUtc":"1970-01-01T00:00:05Z"})")->expires, WallTime{Duration{5000}});
  for (const char* text :
       {R"({"body":1,"bodyText":"x"})", R"({"bodyBase64":"!"})", R"({"ack":"maybe"})", R"({"ack":1})",
        R"({"properties":[]})", R"({"properties":{"a":1}})", R"({"properties":{"":"x"}})", R"({"messageId":1})",
        R"({"timeToLiveInSeconds":0})", R"({"timeToLiveInSeconds":99999999})", R"({"expiryTimeUtc":"soon"})",
        R"({"expiryTimeUtc":"1970-01-01T00:00:05Z","timeToLiveInSeconds":5})"})
    EXPECT_FALSE(read(text)) << text;
}

}  // namespace
}  // namespace godwit::api
