// Method: the test plays the service, packet by packet; time is a number.
#include "device/agent/provisioning_session.hpp"

#include <gtest/gtest.h>

namespace godwit::agent {
namespace {

using std::chrono::seconds;

struct ProvisioningSessionTest : ::testing::Test {
  void start() {
    session.start(Secret("token"), Duration{0});
    const auto sent = take();
    ASSERT_EQ(sent.size(), 1U);
    connect = std::get<mqtt::Connect>(sent[0]);
  }
  void subscribe() {
    start();
    ASSERT_TRUE(hear(mqtt::ConnectAck{false, mqtt::ConnectReturn::accepted}));
    const auto sent = take();
    ASSERT_EQ(std::get<mqtt::Subscribe>(sent.at(0)).topics.at(0).filter, "$dps/registrations/res/#");
    ASSERT_TRUE(hear(mqtt::SubscribeAck{std::get<mqtt::Subscribe>(sent[0]).packet_id, {1}}));
    const auto asked = take();
    topic = std::get<mqtt::Publish>(asked.at(0)).topic;
    body = std::get<mqtt::Publish>(asked[0]).payload;
  }
  std::vector<mqtt::Packet> take() {
    std::vector<mqtt::Packet> packets;
    std::string bytes = session.take_output();
    while (!bytes.empty()) {
      auto decoded = mqtt::decode(bytes, 1 << 16);
      GODWIT_CHECK(decoded && *decoded);
      packets.push_back((*decoded)->packet);
      bytes.erase(0, (*decoded)->used);
    }
    return packets;
  }
  Result<void> hear(const mqtt::Packet& packet, Duration now = Duration{0}) {
    return session.receive(mqtt::encode(packet), now);
  }
  Result<void> answer(const std::string& rest, const std::string& payload, Duration now = Duration{0}) {
    mqtt::Publish message;
    message.topic = "$dps/registrations/res/" + rest;
    message.payload = payload;
    return hear(message, now);
  }

  ProvisioningSession session{{.id_scope = "0ne1", .registration_id = "sn-1", .client_version = "agent/1"}};
  mqtt::Connect connect;
  std::string topic;
  std::string body;
};

constexpr const char* kAssigned =
    R"({"operationId":"4.a","status":"assigned","registrationState":{"assignedHub":"hub.example","deviceId":"press-7"}})";

TEST_F(ProvisioningSessionTest, asks_as_the_service_wants_it_and_takes_the_answer) {
  subscribe();
  EXPECT_EQ(connect.client_id, "sn-1");
  EXPECT_EQ(connect.user_name, "0ne1/registrations/sn-1/api-version=2019-03-31&ClientVersion=agent%2F1");
  EXPECT_TRUE(connect.clean_session);
  EXPECT_EQ(topic, "$dps/registrations/PUT/iotdps-register/?$rid=1");
  EXPECT_EQ(body, R"({"registrationId":"sn-1","payload":{"modelId":"dtmi:azure:iot:deviceUpdateModel;3"}})");
  ASSERT_TRUE(answer("200/?$rid=1", kAssigned));
  ASSERT_TRUE(session.assignment());
  EXPECT_EQ(*session.assignment(), (Assignment{"hub.example", "press-7"}));
  EXPECT_TRUE(std::holds_alternative<mqtt::Disconnect>(take().back()));
}

TEST_F(ProvisioningSessionTest, polls_as_long_as_it_is_told_to) {
  subscribe();
  ASSERT_TRUE(answer("202/?$rid=1&retry-after=3", R"({"operationId":"4.a b","status":"assigning"})"));
  ASSERT_TRUE(session.tick(seconds(2)));
  EXPECT_TRUE(take().empty());
  EXPECT_EQ(session.deadline(), seconds(3));
  ASSERT_TRUE(session.tick(seconds(3)));
  EXPECT_EQ(std::get<mqtt::Publish>(take().at(0)).topic,
            "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId=4.a%20b");
  ASSERT_TRUE(answer("429/?$rid=2&retry-after=100000", "", seconds(3)));
  EXPECT_EQ(session.deadline(), seconds(63)) << "a pause has a limit";
  ASSERT_TRUE(session.tick(seconds(63)));
  ASSERT_TRUE(answer("200/?$rid=2", kAssigned, seconds(63)));
  EXPECT_TRUE(session.assignment());
}

TEST_F(ProvisioningSessionTest, gives_up_in_the_end) {
  subscribe();
  for (Duration now{0};; now += seconds(1)) {
    (void)answer("202/?$rid=1&retry-after=1", R"({"operationId":"4.a","status":"assigning"})", now);
    const auto ticked = session.tick(now);
    if (ticked) continue;
    EXPECT_EQ(ticked.error().code, Code::timed_out);
    EXPECT_EQ(now, seconds(180));
    break;
  }
}

TEST_F(ProvisioningSessionTest, a_silent_service_costs_no_more_than_its_time) {
  start();
  EXPECT_TRUE(session.tick(seconds(29)));
  const auto ticked = session.tick(seconds(30));
  ASSERT_FALSE(ticked);
  EXPECT_EQ(ticked.error().code, Code::timed_out);
}

TEST_F(ProvisioningSessionTest, refusals_come_with_the_services_words) {
  start();
  const auto refused = hear(mqtt::ConnectAck{false, mqtt::ConnectReturn::not_authorized});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::refused);
  EXPECT_NE(refused.error().message.find("provisioning.registration_id"), std::string::npos);
  EXPECT_TRUE(session.was_answered());
}

TEST_F(ProvisioningSessionTest, a_disabled_enrollment_is_told) {
  subscribe();
  const auto refused = answer("200/?$rid=1", R"({"operationId":"4.a","status":"disabled","registrationState":)"
                                             R"({"errorCode":403001,"errorMessage":"the enrollment is disabled"}})");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("(disabled): the enrollment is disabled (403001)"), std::string::npos)
      << refused.error().message;
}

// faults: 37
TEST_F(ProvisioningSessionTest, nonsense_is_an_error_and_no_assignment) {
  for (const std::string& payload :
       {std::string("{"), std::string("[]"), std::string(R"({"status":"assigned"})"),
        std::string(R"({"status":"assigned","registrationState":{"assignedHub":"a/b","deviceId":"d"}})"),
        std::string(R"({"status":"assigned","registrationState":{"assignedHub":"hub","deviceId":"a/b"}})"),
        std::string(R"({"status":"assigned","registrationState":{"assignedHub":"hub\u0000x","deviceId":"d"}})"),
        R"({"status":"assigned","registrationState":{"deviceId":"d","assignedHub":")" + std::string(300, 'a') +
            "\"}}"}) {
    session = ProvisioningSession({.id_scope = "0ne1", .registration_id = "sn-1", .client_version = ""});
    subscribe();
    EXPECT_FALSE(answer("200/?$rid=1", payload)) << payload;
    EXPECT_FALSE(session.assignment());
  }
  session = ProvisioningSession({.id_scope = "0ne1", .registration_id = "sn-1", .client_version = ""});
  subscribe();
  EXPECT_FALSE(answer("soon/?$rid=1", "{}"));
  EXPECT_FALSE(answer("401/?$rid=1", R"({"errorCode":401002,"message":"changed"})"));
}

}  // namespace
}  // namespace godwit::agent
