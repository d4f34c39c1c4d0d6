// Goal: a connected device sees its twin as an IoT hub shows it. Method: a real hub over a real store, devices on raw
// TLS; the test writes as the service does.
#include "server/hub/test_hub.hpp"

namespace godwit::hub {
namespace {

using namespace std::chrono_literals;
using mqtt::ConnectReturn;

const std::string kReported = "$iothub/twin/PATCH/properties/reported/?$rid=";

class TwinFlow : public HubTest {
 protected:
  void SetUp() override {
    start();
    add_device("dev1");
  }
};

TEST_F(TwinFlow, get_answers_with_both_sections_and_the_request_id_as_sent) {
  desire("dev1", R"({"a":{"b":1}})");
  TestDevice device = this->device("dev1");
  device.connect();
  device.subscribe({{.filter = "$iothub/twin/res/#", .qos = 1}});
  ASSERT_TRUE(device.publish("$iothub/twin/GET/?$rid=2c%20-1", " "));
  EXPECT_EQ(device.take_publish(),
            R"($iothub/twin/res/200/?$rid=2c%20-1|{"desired":{"a":{"b":1},"$version":2},"reported":{"$version":1}})");
}

TEST_F(TwinFlow, a_reported_patch_is_merged_acknowledged_and_told_to_the_service) {
  TestDevice device = this->device("dev1");
  device.connect();
  device.subscribe({{.filter = "$iothub/twin/res/#", .qos = 0}});
  ASSERT_TRUE(device.publish(kReported + "1", R"({"x":{"y":1,"z":2}})"));
  EXPECT_EQ(device.take_publish(), "$iothub/twin/res/204/?$rid=1&$version=2|");
  ASSERT_TRUE(device.publish(kReported + "2", R"({"x":{"y":null}})"));
  EXPECT_EQ(device.take_publish(), "$iothub/twin/res/204/?$rid=2&$version=3|");
  ASSERT_TRUE(device.publish("$iothub/twin/GET/?$rid=3"));
  EXPECT_EQ(device.take_publish(),
            R"($iothub/twin/res/200/?$rid=3|{"desired":{"$version":1},"reported":{"x":{"z":2},"$version":3}})");
  EXPECT_EQ(observer_.events().back(), R"(reported dev1 {"x":{"y":null}} -> 3)");
}

TEST_F(TwinFlow, a_version_precondition_that_fails_is_412_with_a_body_clients_understand) {
  TestDevice device = this->device("dev1");
  device.connect();
  device.subscribe({{.filter = "$iothub/twin/res/#", .qos = 0}});
  ASSERT_TRUE(device.publish(kReported + "1&$version=1", R"({"a":1})"));
  EXPECT_EQ(device.take_publish(), "$iothub/twin/res/204/?$rid=1&$version=2|");
  ASSERT_TRUE(device.publish(kReported + "2&$version=1", R"({"a":2})"));
  const auto refused = device.take<mqtt::Publish>();
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->topic, "$iothub/twin/res/412/?$rid=2");
  const auto body = json::parse_object(refused->payload);
  ASSERT_TRUE(body);
  EXPECT_EQ(*json::integer(*body, "errorCode", ""), 412001);
  EXPECT_FALSE(json::text(*body, "message", "")->empty());
  EXPECT_FALSE(json::text(*body, "trackingId", "")->empty());
  EXPECT_TRUE(parse_time(*json::text(*body, "timestampUtc", "")));
}

TEST_F(TwinFlow, patches_that_break_the_rules_are_400_and_the_connection_stays) {
  TestDevice device = this->device("dev1");
  device.connect();
  device.subscribe({{.filter = "$iothub/twin/res/#", .qos = 0}});
  for (const std::string& payload : {std::string("{"), std::string("[1]"), std::string(""), std::string(R"({"a b":1})"),
                                     std::string(R"({"a":1,"a":2})"), R"({"a":")" + std::string(5000, 'x') + "\"}"}) {
    ASSERT_TRUE(device.publish(kReported + "1", payload));
    const auto answer = device.take<mqtt::Publish>();
    ASSERT_TRUE(answer) << payload.substr(0, 20);
    EXPECT_EQ(answer->topic, "$iothub/twin/res/400/?$rid=1");
    EXPECT_NE(answer->payload.find("400004"), std::string::npos);
  }
  ASSERT_TRUE(device.publish(kReported + "2&$version=x", "{}"));
  EXPECT_EQ(device.take<mqtt::Publish>()->topic, "$iothub/twin/res/400/?$rid=2");
  EXPECT_TRUE(device.is_quiet());
  EXPECT_EQ(observer_.events().size(), 2U);  // created, connected
}

TEST_F(TwinFlow, trouble_with_the_store_is_503_and_stores_nothing) {
  TestDevice device = this->device("dev1");
  device.connect();
  device.subscribe({{.filter = "$iothub/twin/res/#", .qos = 0}});
  observer_.fail_with(Code::database_failed);
  ASSERT_TRUE(device.publish(kReported + "1", R"({"a":1})"));
  EXPECT_EQ(device.take<mqtt::Publish>()->topic, "$iothub/twin/res/503/?$rid=1");
  observer_.fail_with(Code::ok);
  ASSERT_TRUE(device.publish("$iothub/twin/GET/?$rid=2"));
  EXPECT_NE(device.take_publish().find(R"("reported":{"$version":1})"), std::string::npos);
}

TEST_F(TwinFlow, answers_keep_the_order_of_requests_and_a_get_sees_the_patch_before_it) {
  TestDevice device = this->device("dev1");
  device.connect();
  device.subscribe({{.filter = "$iothub/twin/res/#", .qos = 0}});
  std::string burst;
  for (int i = 0; i < 100; ++i) {
    burst += mqtt::encode(mqtt::Publish{.topic = kReported + std::to_string(i),
                                        .payload = "{\"n\":" + std::to_string(i) + "}",
                                        .qos = 1,
                                        .packet_id = static_cast<std::uint16_t>(i + 1)});
  }
  burst += mqtt::encode(mqtt::Publish{.topic = "$iothub/twin/GET/?$rid=get", .payload = ""});
  ASSERT_TRUE(device.peer.write(burst));
  int acks = 0, answers = 0;
  while (acks < 100 || answers < 101) {
    const auto packet = device.next();
    ASSERT_TRUE(packet) << acks << " " << answers;
    if (const auto* ack = std::get_if<mqtt::PublishAck>(&*packet)) {
      EXPECT_EQ(ack->packet_id, ++acks);
      continue;
    }
    const auto& publish = std::get<mqtt::Publish>(*packet);
    if (answers < 100) {
      EXPECT_EQ(publish.topic,
                "$iothub/twin/res/204/?$rid=" + std::to_string(answers) + "&$version=" + std::to_string(answers + 2));
    } else {
      EXPECT_EQ(publish.payload, R"({"desired":{"$version":1},"reported":{"n":99,"$version":101}})");
    }
    ++answers;
  }
}

TEST_F(TwinFlow, nothing_is_sent_on_topics_that_were_not_subscribed) {
  TestDevice device = this->device("dev1");
  device.connect();
  ASSERT_TRUE(device.publish("$iothub/twin/GET/?$rid=1"));
  ASSERT_TRUE(device.publish(kReported + "2", R"({"a":1})"));
  desire("dev1", R"({"b":1})");
  ASSERT_TRUE(eventually([&] { return hub_->counters().reported_patches == 1; }));
  write([](store::Records&) -> Result<void> { return {}; });
  EXPECT_TRUE(device.is_quiet());
}

TEST_F(TwinFlow, desired_changes_are_pushed_as_written) {
  TestDevice device = this->device("dev1");
  device.connect();
  device.subscribe_twin();
  desire("dev1", R"({"a":{"b":1},"c":null})");
  EXPECT_EQ(device.take_publish(),
            R"($iothub/twin/PATCH/properties/desired/?$version=2|{"a":{"b":1},"c":null,"$version":2})");
  desire("dev1", R"({"only":true})", true);
  EXPECT_EQ(device.take_publish(), R"($iothub/twin/PATCH/properties/desired/?$version=3|{"only":true,"$version":3})");
  EXPECT_EQ(hub_->counters().desired_pushes, 2U);
}

TEST_F(TwinFlow, a_change_between_get_and_subscribe_is_not_lost) {
  TestDevice device = this->device("dev1");
  device.connect();
  device.subscribe({{.filter = "$iothub/twin/res/#", .qos = 0}});
  ASSERT_TRUE(device.publish("$iothub/twin/GET/?$rid=1"));
  ASSERT_NE(device.take_publish(), "");
  desire("dev1", R"({"a":1})");
  device.subscribe({{.filter = "$iothub/twin/PATCH/properties/desired/#", .qos = 0}});
  EXPECT_EQ(device.take_publish(), R"($iothub/twin/PATCH/properties/desired/?$version=2|{"a":1,"$version":2})");
  device.subscribe({{.filter = "$iothub/twin/PATCH/properties/desired/#", .qos = 0}});
  EXPECT_TRUE(device.is_quiet()) << "what was seen is not pushed again";
}

TEST_F(TwinFlow, what_a_get_showed_is_not_pushed_at_subscription) {
  desire("dev1", R"({"a":1})");
  TestDevice device = this->device("dev1");
  device.connect();
  device.subscribe({{.filter = "$iothub/twin/res/#", .qos = 0}});
  ASSERT_TRUE(device.publish("$iothub/twin/GET/?$rid=1"));
  ASSERT_NE(device.take_publish(), "");
  device.subscribe({{.filter = "$iothub/twin/PATCH/properties/desired/#", .qos = 0}});
  EXPECT_TRUE(device.is_quiet());
}

TEST_F(TwinFlow, subscriptions_of_a_kept_session_survive_the_connection_and_the_hub) {
  {
    TestDevice device = this->device("dev1");
    device.connect();
    device.subscribe_twin();
  }
  desire("dev1", R"({"a":1})");  // while it is away
  stop();
  start();
  TestDevice back = this->device("dev1");
  EXPECT_TRUE(back.connect().session_present);
  EXPECT_EQ(back.take_publish(), R"($iothub/twin/PATCH/properties/desired/?$version=2|{"a":1,"$version":2})");
  ASSERT_TRUE(back.publish("$iothub/twin/GET/?$rid=1"));
  EXPECT_NE(back.take_publish(), "");
  desire("dev1", R"({"a":2})");
  EXPECT_EQ(back.take_publish(), R"($iothub/twin/PATCH/properties/desired/?$version=3|{"a":2,"$version":3})");
}

TEST_F(TwinFlow, a_clean_session_forgets_what_was_stored_and_stores_nothing) {
  {
    TestDevice device = this->device("dev1");
    device.connect();
    device.subscribe_twin();
  }
  EXPECT_NE(session_of("dev1").subscriptions, 0);
  {
    TestDevice clean = this->device("dev1");
    EXPECT_FALSE(clean.connect({.is_clean = true}).session_present);
    EXPECT_EQ(session_of("dev1").subscriptions, 0);
    clean.subscribe_twin();
    desire("dev1", R"({"a":1})");
    EXPECT_NE(clean.take_publish(), "");
  }
  TestDevice kept = this->device("dev1");
  EXPECT_FALSE(kept.connect().session_present);
}

TEST_F(TwinFlow, unsubscribing_is_durable_too) {
  {
    TestDevice device = this->device("dev1");
    device.connect();
    device.subscribe_twin();
    device.send(
        mqtt::Unsubscribe{.packet_id = 77, .filters = {"$iothub/twin/PATCH/properties/desired/#", "never/subscribed"}});
    const auto ack = device.take<mqtt::UnsubscribeAck>();
    ASSERT_TRUE(ack);
    EXPECT_EQ(ack->packet_id, 77);
  }
  TestDevice back = this->device("dev1");
  EXPECT_TRUE(back.connect().session_present);
  desire("dev1", R"({"a":1})");
  EXPECT_TRUE(back.is_quiet());
  EXPECT_EQ(session_of("dev1").subscriptions, static_cast<std::uint8_t>(Subscription::twin_response));
}

TEST_F(TwinFlow, granted_qos_is_at_most_1_and_unknown_filters_are_refused_without_closing) {
  TestDevice device = this->device("dev1");
  device.connect();
  const auto ack = device.subscribe({{.filter = "$iothub/twin/res/#", .qos = 2},
                                     {.filter = "#", .qos = 0},
                                     {.filter = "$iothub/methods/POST/#", .qos = 0},
                                     {.filter = "devices/dev1/messages/devicebound/#", .qos = 1},
                                     {.filter = "devices/dev2/messages/devicebound/#", .qos = 1}});
  EXPECT_EQ(ack.codes, (std::vector<std::uint8_t>{1, 0x80, 0, 1, 0x80}));
  EXPECT_TRUE(device.is_quiet());
}

TEST_F(TwinFlow, telemetry_is_acknowledged_and_counted) {
  TestDevice device = this->device("dev1");
  device.connect();
  ASSERT_TRUE(device.publish("devices/dev1/messages/events/a=b", "hello", 1));
  EXPECT_TRUE(device.take<mqtt::PublishAck>());
  ASSERT_TRUE(device.publish("devices/dev1/messages/events/", std::string(256 * 1024, 'x')));
  ASSERT_TRUE(device.publish("$iothub/methods/res/200/?$rid=1", "{}"));
  EXPECT_TRUE(device.is_quiet());
  EXPECT_EQ(hub_->counters().telemetry, 2U);
}

TEST_F(TwinFlow, what_a_hub_does_not_speak_closes_the_connection_with_a_log_line) {
  const struct {
    std::string topic;
    std::string payload;
    std::uint8_t qos;
    const char* reason;
  } cases[] = {
      {"devices/dev2/messages/events/", "x", 0, "an unknown topic"},
      {"some/topic", "x", 1, "an unknown topic"},
      {"devices/dev1/messages/events/", "x", 2, "QoS 2"},
      {"devices/dev1/messages/events/", std::string(256 * 1024 + 1, 'x'), 0, "a payload above"},
      {"devices/dev1/messages/events/", std::string(300 * 1024, 'x'), 0, "above the limit"},
  };
  for (const auto& c : cases) {
    TestDevice device = this->device("dev1");
    ASSERT_EQ(device.connect().code, ConnectReturn::accepted);
    device.publish(c.topic, c.payload, c.qos);  // a large write may already meet the closed socket
    const auto packet = device.next();
    EXPECT_FALSE(packet) << c.topic;
    EXPECT_TRUE(device.peer.is_closed()) << c.topic;
    EXPECT_TRUE(eventually([&] { return log_.contains(c.reason); })) << c.reason << "\n" << log_.text();
  }
}

}  // namespace
}  // namespace godwit::hub
