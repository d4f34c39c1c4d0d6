// Telemetry as JSON, and what of it reaches a listener through a real hub.
#include "server/hub/telemetry.hpp"

#include "server/hub/test_hub.hpp"

namespace godwit::hub {
namespace {

std::string as_json(const Telemetry& message) { return json::print(telemetry_event(message, "7").document); }

TEST(TelemetryJson, has_properties_by_name_and_the_body_as_it_is) {
  EXPECT_EQ(as_json({.id = device_id("dev1"),
                     .properties = "%24.mid=m1&%24.sub=thermostat&room=a%20b",
                     .payload = R"({"t":21.5})"}),
            R"({"id":"7","deviceId":"dev1","enqueuedTime":"1970-01-01T00:00:00.000Z","component":"thermostat",)"
            R"("systemProperties":{"messageId":"m1","component":"thermostat"},"properties":{"room":"a b"},)"
            R"("body":{"t":21.5}})");
  EXPECT_EQ(telemetry_event({.id = device_id("dev1"), .properties = "$.sub=x"}, "1").component, "x");
}

TEST(TelemetryJson, says_what_a_body_is_that_is_no_json) {
  EXPECT_NE(as_json({.id = device_id("d"), .payload = "plain"}).find(R"("bodyText":"plain")"), std::string::npos);
  EXPECT_NE(as_json({.id = device_id("d"), .payload = "\xff\x01"}).find(R"("bodyBase64":"/wE=")"), std::string::npos);
  EXPECT_NE(as_json({.id = device_id("d"), .payload = ""}).find(R"("bodyText":"")"), std::string::npos);
}

TEST(TelemetryJson, marks_wills_and_retained_messages_and_survives_broken_properties) {
  const std::string text =
      as_json({.id = device_id("d/m"), .properties = "a=%zz", .is_retained = true, .is_will = true});
  EXPECT_NE(text.find(R"("moduleId":"m")"), std::string::npos);
  EXPECT_NE(text.find(R"("properties":{"mqtt-retain":"true","iothub-MessageType":"Will"})"), std::string::npos);
  EXPECT_NE(text.find("propertiesError"), std::string::npos);
}

class Listener final : public TelemetryListener {
 public:
  bool is_listening() const override { return listens; }
  void take(Telemetry message) override {
    const std::lock_guard lock(mutex_);
    heard_.push_back(std::move(message));
  }
  std::vector<Telemetry> heard() {
    const std::lock_guard lock(mutex_);
    return heard_;
  }
  std::atomic<bool> listens = true;

 private:
  std::mutex mutex_;
  std::vector<Telemetry> heard_;
};

class TelemetryFlow : public HubTest {
 protected:
  TelemetryFlow() {
    options_.telemetry = &listener_;
    start();
  }
  Listener listener_;
};

TEST_F(TelemetryFlow, a_message_reaches_the_listener_as_it_came) {
  add_device("dev1");
  auto dev1 = device("dev1");
  dev1.connect();
  dev1.send(mqtt::Publish{
      .topic = "devices/dev1/messages/events/%24.mid=1&a=b", .payload = "x", .qos = 1, .retain = true, .packet_id = 9});
  ASSERT_TRUE(dev1.take<mqtt::PublishAck>());
  dev1.publish("devices/dev1/messages/events", "y");
  ASSERT_TRUE(dev1.is_quiet());
  const auto heard = listener_.heard();
  ASSERT_EQ(heard.size(), 2U);
  EXPECT_EQ(heard[0].id.str(), "dev1");
  EXPECT_EQ(heard[0].properties, "%24.mid=1&a=b");
  EXPECT_EQ(heard[0].payload, "x");
  EXPECT_EQ(heard[0].received, clock_.now());
  EXPECT_TRUE(heard[0].is_retained);
  EXPECT_EQ(heard[1].properties, "");
  EXPECT_FALSE(heard[1].is_retained);
}

TEST_F(TelemetryFlow, with_nobody_listening_messages_are_counted_only) {
  listener_.listens = false;
  add_device("dev1");
  auto dev1 = device("dev1");
  dev1.connect();
  for (int i = 0; i < 3; ++i) dev1.publish("devices/dev1/messages/events/", "x");
  ASSERT_TRUE(dev1.is_quiet());
  EXPECT_TRUE(listener_.heard().empty());
  EXPECT_EQ(hub_->counters().telemetry, 3U);
  dev1.send(mqtt::Disconnect{});
  EXPECT_TRUE(eventually([&] { return session_of("dev1").telemetry_count == 3; })) << "counted for the device";
}

TEST_F(TelemetryFlow, a_will_is_told_when_the_connection_breaks_and_not_at_a_goodbye) {
  add_device("dev1");
  const mqtt::Will will{.topic = "devices/dev1/messages/events/a=b", .payload = "gone", .retain = true};
  auto polite = device("dev1");
  polite.connect({.will = will});
  polite.send(mqtt::Disconnect{});
  ASSERT_TRUE(eventually([&] { return hub_->counters().disconnects == 1; }));
  EXPECT_TRUE(listener_.heard().empty());
  auto rude = device("dev1");
  rude.connect({.will = will});
  rude.peer.cut();
  ASSERT_TRUE(eventually([&] { return listener_.heard().size() == 1; }));
  const Telemetry heard = listener_.heard().front();
  EXPECT_TRUE(heard.is_will);
  EXPECT_TRUE(heard.is_retained);
  EXPECT_EQ(heard.properties, "a=b");
  EXPECT_EQ(heard.payload, "gone");
}

TEST_F(TelemetryFlow, properties_beyond_their_limit_end_the_connection) {
  add_device("dev1");
  auto dev1 = device("dev1");
  dev1.connect();
  dev1.publish("devices/dev1/messages/events/a=" + std::string(17 * 1024, 'x'), "y");
  EXPECT_TRUE(dev1.is_closed_by_hub());
}

}  // namespace
}  // namespace godwit::hub
