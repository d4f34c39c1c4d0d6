// Method: the session is fed what a hub would send, byte by byte where it matters, and what it sends is decoded.
#include "device/agent/hub_session.hpp"

#include <gtest/gtest.h>

namespace godwit::agent {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

class HubSessionTest : public ::testing::Test {
 protected:
  HubSessionTest() : session_(settings()) {}

  static SessionSettings settings() {
    SessionSettings value;
    value.hub_name = "hub.example";
    value.device_id = "dev-1";
    value.identity_patch = "{\"who\":1}";
    return value;
  }

  std::vector<mqtt::Packet> sent() {
    std::vector<mqtt::Packet> packets;
    std::string bytes = session_.take_output();
    while (!bytes.empty()) {
      auto decoded = mqtt::decode(bytes, 1 << 20);
      GODWIT_CHECK(decoded.has_value() && decoded->has_value());
      bytes.erase(0, (*decoded)->used);
      packets.push_back(std::move((*decoded)->packet));
    }
    return packets;
  }
  Result<void> hub_says(const mqtt::Packet& packet) { return session_.receive(mqtt::encode(packet), now_); }
  Result<void> hub_publishes(std::string topic, std::string payload) {
    mqtt::Publish publish;
    publish.topic = std::move(topic);
    publish.payload = std::move(payload);
    return hub_says(publish);
  }
  void become_ready() {
    session_.start(Secret("token"), now_);
    (void)sent();
    ASSERT_TRUE(hub_says(mqtt::ConnectAck{}));
    (void)sent();
    ASSERT_TRUE(hub_says(mqtt::SubscribeAck{1, {0, 0}}));
  }
  void take_twin(int version) {
    (void)sent();
    ASSERT_TRUE(hub_publishes(
        "$iothub/twin/res/200/?$rid=2",
        "{\"desired\":{\"a\":1,\"$version\":" + std::to_string(version) + "},\"reported\":{\"$version\":1}}"));
  }
  std::vector<SessionDesired> desired_events() {
    std::vector<SessionDesired> found;
    for (auto& event : session_.take_events())
      if (auto* desired = std::get_if<SessionDesired>(&event)) found.push_back(std::move(*desired));
    return found;
  }

  Duration now_{1'000'000};
  HubSession session_;
};

TEST_F(HubSessionTest, says_who_it_is_as_the_hub_wants_it) {
  session_.start(Secret("SharedAccessSignature sr=x"), now_);
  const auto packets = sent();
  ASSERT_EQ(packets.size(), 1U);
  const auto& connect = std::get<mqtt::Connect>(packets[0]);
  EXPECT_EQ(connect.client_id, "dev-1");
  EXPECT_EQ(connect.user_name,
            "hub.example/dev-1/?api-version=2021-04-12&model-id=dtmi%3Aazure%3Aiot%3AdeviceUpdateModel%3B3");
  EXPECT_EQ(connect.password, "SharedAccessSignature sr=x");
  EXPECT_FALSE(connect.clean_session);
  EXPECT_EQ(connect.keep_alive_seconds, 240);
}

TEST_F(HubSessionTest, subscribes_tells_its_identity_and_reads_the_twin) {
  session_.start(Secret("t"), now_);
  (void)sent();
  ASSERT_TRUE(hub_says(mqtt::ConnectAck{true, mqtt::ConnectReturn::accepted}));
  auto packets = sent();
  ASSERT_EQ(packets.size(), 1U);
  const auto& subscribe = std::get<mqtt::Subscribe>(packets[0]);
  ASSERT_EQ(subscribe.topics.size(), 2U);
  EXPECT_EQ(subscribe.topics[0].filter, "$iothub/twin/res/#");
  EXPECT_EQ(subscribe.topics[1].filter, "$iothub/twin/PATCH/properties/desired/#");
  ASSERT_TRUE(hub_says(mqtt::SubscribeAck{subscribe.packet_id, {0, 0}}));
  packets = sent();
  ASSERT_EQ(packets.size(), 2U);
  EXPECT_EQ(std::get<mqtt::Publish>(packets[0]).topic, "$iothub/twin/PATCH/properties/reported/?$rid=1");
  EXPECT_EQ(std::get<mqtt::Publish>(packets[0]).payload, "{\"who\":1}");
  EXPECT_EQ(std::get<mqtt::Publish>(packets[1]).topic, "$iothub/twin/GET/?$rid=2");
  const auto events = session_.take_events();
  ASSERT_EQ(events.size(), 1U);
  EXPECT_TRUE(std::get<SessionReady>(events[0]).session_present);
  EXPECT_TRUE(session_.is_ready());
}

TEST_F(HubSessionTest, refusals_name_what_to_check) {
  for (const auto& [code, expected] : {std::pair{mqtt::ConnectReturn::not_authorized, Code::unauthorized},
                                       {mqtt::ConnectReturn::unavailable, Code::unavailable}}) {
    HubSession session(settings());
    session.start(Secret("t"), now_);
    const auto refused = session.receive(mqtt::encode(mqtt::ConnectAck{false, code}), now_);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, expected);
  }
}

TEST_F(HubSessionTest, takes_bytes_in_any_portions) {
  session_.start(Secret("t"), now_);
  std::string all = mqtt::encode(mqtt::ConnectAck{}) + mqtt::encode(mqtt::SubscribeAck{1, {0, 0}});
  mqtt::Publish twin;
  twin.topic = "$iothub/twin/res/200/?$rid=2";
  twin.payload = "{\"desired\":{\"$version\":4},\"reported\":{}}";
  all += mqtt::encode(twin);
  for (const char byte : all) ASSERT_TRUE(session_.receive(std::string_view(&byte, 1), now_));
  const auto events = desired_events();
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].version, 4U);
}

TEST_F(HubSessionTest, merges_desired_patches) {
  become_ready();
  take_twin(7);
  ASSERT_TRUE(hub_publishes("$iothub/twin/PATCH/properties/desired/?$version=8",
                            "{\"a\":null,\"b\":{\"c\":2},\"$version\":8}"));
  const auto events = desired_events();
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(json::print(events[0].desired), "{\"a\":1}");
  EXPECT_EQ(json::print(events[1].desired), "{\"b\":{\"c\":2}}");
  EXPECT_EQ(events[1].version, 8U);
}

// faults: 34, 35
TEST_F(HubSessionTest, repeated_and_older_patches_change_nothing) {
  become_ready();
  take_twin(7);
  (void)desired_events();
  ASSERT_TRUE(hub_publishes("$iothub/twin/PATCH/properties/desired/?$version=7", "{\"a\":9,\"$version\":7}"));
  ASSERT_TRUE(hub_publishes("$iothub/twin/PATCH/properties/desired/?$version=3", "{\"a\":9,\"$version\":3}"));
  EXPECT_TRUE(desired_events().empty());
}

TEST_F(HubSessionTest, a_missed_patch_makes_it_read_the_whole_twin_again) {
  become_ready();
  take_twin(7);
  (void)desired_events();
  ASSERT_TRUE(hub_publishes("$iothub/twin/PATCH/properties/desired/?$version=10", "{\"a\":9,\"$version\":10}"));
  ASSERT_TRUE(hub_publishes("$iothub/twin/PATCH/properties/desired/?$version=11", "{\"a\":10,\"$version\":11}"));
  EXPECT_TRUE(desired_events().empty());
  auto packets = sent();
  ASSERT_EQ(packets.size(), 1U) << "one GET, however many patches were missed";
  EXPECT_EQ(std::get<mqtt::Publish>(packets[0]).topic, "$iothub/twin/GET/?$rid=3");
  ASSERT_TRUE(
      hub_publishes("$iothub/twin/res/200/?$rid=3", "{\"desired\":{\"a\":10,\"$version\":11},\"reported\":{}}"));
  EXPECT_EQ(desired_events().size(), 1U);
}

TEST_F(HubSessionTest, a_patch_before_the_twin_makes_it_read_once_more) {
  become_ready();
  (void)sent();
  ASSERT_TRUE(hub_publishes("$iothub/twin/PATCH/properties/desired/?$version=8", "{\"a\":2,\"$version\":8}"));
  ASSERT_TRUE(hub_publishes("$iothub/twin/res/200/?$rid=2", "{\"desired\":{\"a\":1,\"$version\":7},\"reported\":{}}"));
  EXPECT_LE(session_.deadline(), now_);
  ASSERT_TRUE(session_.tick(now_));
  const auto packets = sent();
  ASSERT_EQ(packets.size(), 1U);
  EXPECT_EQ(std::get<mqtt::Publish>(packets[0]).topic, "$iothub/twin/GET/?$rid=3");
}

TEST_F(HubSessionTest, reads_the_twin_again_when_asked) {
  session_.ask_twin(now_);
  EXPECT_TRUE(sent().empty()) << "there is no connection yet";
  become_ready();
  take_twin(4);
  (void)desired_events();
  (void)sent();
  session_.ask_twin(now_);
  session_.ask_twin(now_);
  EXPECT_EQ(sent().size(), 1U) << "one at a time";
  ASSERT_TRUE(
      hub_publishes("$iothub/twin/res/200/?$rid=3", R"({"desired":{"a":2,"$version":5},"reported":{"$version":1}})"));
  const auto desired = desired_events();
  ASSERT_EQ(desired.size(), 1U);
  EXPECT_EQ(desired[0].version, 5U);
}

TEST_F(HubSessionTest, answers_come_back_with_their_token) {
  become_ready();
  take_twin(1);
  (void)session_.take_events();
  session_.report(77, "{\"x\":1}", now_);
  session_.report(78, "{\"x\":2}", now_);
  ASSERT_TRUE(hub_publishes("$iothub/twin/res/429/?$rid=4", ""));
  ASSERT_TRUE(hub_publishes("$iothub/twin/res/204/?$rid=3&$version=5", ""));
  const auto events = session_.take_events();
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(std::get<SessionAnswer>(events[0]).token, 78U);
  EXPECT_EQ(std::get<SessionAnswer>(events[0]).status, 429);
  EXPECT_EQ(std::get<SessionAnswer>(events[1]).token, 77U);
  EXPECT_EQ(std::get<SessionAnswer>(events[1]).status, 204);
}

TEST_F(HubSessionTest, an_answer_that_does_not_come_is_told) {
  become_ready();
  take_twin(1);
  ASSERT_TRUE(hub_publishes("$iothub/twin/res/204/?$rid=1&$version=5", ""));
  (void)session_.take_events();
  session_.report(5, "{}", now_);
  EXPECT_EQ(session_.deadline(), now_ + seconds(30));
  now_ += seconds(30);
  ASSERT_TRUE(session_.tick(now_));
  const auto events = session_.take_events();
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(std::get<SessionAnswer>(events[0]).status, 0);
}

TEST_F(HubSessionTest, pings_when_it_was_silent_and_notices_a_dead_hub) {
  become_ready();
  take_twin(1);
  ASSERT_TRUE(hub_publishes("$iothub/twin/res/204/?$rid=1&$version=5", ""));
  now_ += minutes(3);
  EXPECT_LE(session_.deadline(), now_);
  ASSERT_TRUE(session_.tick(now_));
  auto packets = sent();
  ASSERT_EQ(packets.size(), 1U);
  EXPECT_TRUE(std::holds_alternative<mqtt::PingRequest>(packets[0]));
  ASSERT_TRUE(hub_says(mqtt::PingResponse{}));
  ASSERT_TRUE(session_.tick(now_ + minutes(1)));
  EXPECT_TRUE(sent().empty());
  now_ += minutes(4);
  ASSERT_TRUE(session_.tick(now_));
  EXPECT_EQ(sent().size(), 1U);
  const auto dead = session_.tick(now_ + seconds(31));
  ASSERT_FALSE(dead);
  EXPECT_EQ(dead.error().code, Code::timed_out);
}

TEST_F(HubSessionTest, a_hub_that_does_not_welcome_is_given_up) {
  session_.start(Secret("t"), now_);
  EXPECT_TRUE(session_.tick(now_ + seconds(29)));
  EXPECT_FALSE(session_.tick(now_ + seconds(30)));
}

TEST_F(HubSessionTest, ends_on_what_no_hub_sends) {
  const std::vector<std::pair<const char*, std::string>> cases{
      {"a request of a client", mqtt::encode(mqtt::PingRequest{})},
      {"no packet at all", std::string("\xff\xff\xff\xff\xff\xff", 6)},
      {"a second welcome", mqtt::encode(mqtt::ConnectAck{})},
  };
  for (const auto& [name, bytes] : cases) {
    HubSession session(settings());
    session.start(Secret("t"), now_);
    ASSERT_TRUE(session.receive(mqtt::encode(mqtt::ConnectAck{}) + mqtt::encode(mqtt::SubscribeAck{1, {0, 0}}), now_));
    EXPECT_FALSE(session.receive(bytes, now_)) << name;
  }
  HubSession deaf(settings());
  deaf.start(Secret("t"), now_);
  const auto refused =
      deaf.receive(mqtt::encode(mqtt::ConnectAck{}) + mqtt::encode(mqtt::SubscribeAck{1, {0, 0x80}}), now_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::refused);
}

TEST_F(HubSessionTest, a_refused_identity_names_the_configuration) {
  become_ready();
  const auto refused = hub_publishes("$iothub/twin/res/400/?$rid=1", "{}");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("configuration"), std::string::npos);
}

}  // namespace
}  // namespace godwit::agent
