// Cloud-to-device messages through a real hub.
#include "server/hub/test_hub.hpp"

namespace godwit::hub {
namespace {

class MessageDelivery : public HubTest {
 protected:
  MessageDelivery() {
    start();
    add_device("dev1");
  }
  void send(const std::string& payload, const std::string& device = "dev1") {
    write([&](store::Records& records) -> Result<void> {
      GODWIT_TRY_VOID(hub_->messages().send(records, {.id = device_id(device), .payload = payload}));
      return {};
    });
  }
  std::uint64_t queued(const std::string& device = "dev1") { return session_of(device).queued_messages; }
  static void listen(TestDevice& device, std::uint8_t qos = 1, const std::string& id = "dev1") {
    device.subscribe({{.filter = "devices/" + id + "/messages/devicebound/#", .qos = qos}});
  }
  static std::string payload_of(const std::optional<mqtt::Publish>& publish) {
    return publish ? publish->payload : "nothing came";
  }
};

TEST_F(MessageDelivery, a_message_reaches_a_device_that_listens_and_is_gone_after_its_acknowledgement) {
  auto dev1 = device("dev1");
  dev1.connect();
  listen(dev1);
  send("hello");
  const auto message = dev1.take<mqtt::Publish>();
  ASSERT_TRUE(message);
  EXPECT_EQ(message->topic, "devices/dev1/messages/devicebound/%24.to=%2Fdevices%2Fdev1%2Fmessages%2Fdevicebound");
  EXPECT_EQ(message->payload, "hello");
  EXPECT_EQ(message->qos, 1);
  EXPECT_FALSE(message->duplicate);
  EXPECT_EQ(queued(), 1U) << "not before the acknowledgement";
  dev1.send(mqtt::PublishAck{.packet_id = static_cast<std::uint16_t>(message->packet_id + 1)});
  EXPECT_TRUE(dev1.is_quiet());
  EXPECT_EQ(queued(), 1U) << "a foreign acknowledgement changes nothing";
  dev1.send(mqtt::PublishAck{.packet_id = message->packet_id});
  EXPECT_TRUE(eventually([&] { return queued() == 0; }));
}

TEST_F(MessageDelivery, messages_wait_for_an_absent_device_and_come_in_order_with_a_small_window) {
  for (int i = 0; i < 10; ++i) send(std::to_string(i));
  auto dev1 = device("dev1");
  dev1.connect();
  EXPECT_TRUE(dev1.is_quiet()) << "not before it listens";
  listen(dev1);
  std::vector<std::uint16_t> packet_ids;
  for (int i = 0; i < 4; ++i) {
    const auto message = dev1.take<mqtt::Publish>();
    EXPECT_EQ(payload_of(message), std::to_string(i));
    packet_ids.push_back(message->packet_id);
  }
  EXPECT_TRUE(dev1.is_quiet()) << "four at a time";
  for (int i = 4; i < 10; ++i) {
    dev1.send(mqtt::PublishAck{.packet_id = packet_ids[static_cast<std::size_t>(i - 4)]});
    const auto message = dev1.take<mqtt::Publish>();
    EXPECT_EQ(payload_of(message), std::to_string(i));
    packet_ids.push_back(message->packet_id);
  }
  for (std::size_t i = 6; i < 10; ++i) dev1.send(mqtt::PublishAck{.packet_id = packet_ids[i]});
  EXPECT_TRUE(eventually([&] { return queued() == 0; }));
}

TEST_F(MessageDelivery, what_was_not_acknowledged_comes_again_as_a_duplicate_with_its_packet_id) {
  auto first = device("dev1");
  first.connect();
  listen(first);
  send("a");
  send("b");
  const auto a = first.take<mqtt::Publish>();
  const auto b = first.take<mqtt::Publish>();
  first.send(mqtt::PublishAck{.packet_id = a->packet_id});
  ASSERT_TRUE(eventually([&] { return queued() == 1; }));
  first.peer.cut();
  // The hub is started again in between: nothing of this lives in memory.
  stop();
  start();
  auto second = device("dev1");
  EXPECT_TRUE(second.connect().session_present);
  const auto again = second.take<mqtt::Publish>();
  EXPECT_EQ(payload_of(again), "b");
  EXPECT_TRUE(again->duplicate);
  EXPECT_EQ(again->packet_id, b->packet_id);
  EXPECT_TRUE(second.is_quiet());
  // A clean session begins anew: for it there was no first time.
  auto third = device("dev1");
  third.connect({.is_clean = true});
  EXPECT_TRUE(third.is_quiet()) << "its subscriptions are gone";
  listen(third);
  const auto fresh = third.take<mqtt::Publish>();
  EXPECT_EQ(payload_of(fresh), "b");
  EXPECT_FALSE(fresh->duplicate);
}

TEST_F(MessageDelivery, with_qos_0_each_message_is_sent_once_and_gone) {
  auto dev1 = device("dev1");
  dev1.connect();
  listen(dev1, 0);
  for (int i = 0; i < 20; ++i) send(std::to_string(i));
  for (int i = 0; i < 20; ++i) {
    const auto message = dev1.take<mqtt::Publish>();
    EXPECT_EQ(payload_of(message), std::to_string(i));
    EXPECT_EQ(message->qos, 0);
  }
  EXPECT_TRUE(eventually([&] { return queued() == 0; }));
}

TEST_F(MessageDelivery, fifty_large_messages_do_not_drown_the_connection) {
  for (int i = 0; i < 50; ++i) send(std::to_string(i) + std::string(60'000, 'x'));
  auto dev1 = device("dev1");
  dev1.connect();
  listen(dev1, 0);
  for (int i = 0; i < 50; ++i) {
    const auto message = dev1.take<mqtt::Publish>();
    ASSERT_TRUE(message) << i;
    EXPECT_EQ(message->payload.size(), std::to_string(i).size() + 60'000);
  }
  EXPECT_TRUE(eventually([&] { return queued() == 0; }));
}

TEST_F(MessageDelivery, a_message_that_expires_before_its_device_comes_is_swept_away) {
  send("old");
  clock_.advance(std::chrono::hours(1));
  EXPECT_TRUE(eventually([&] { return queued() == 0; }));
  auto dev1 = device("dev1");
  dev1.connect();
  listen(dev1);
  EXPECT_TRUE(dev1.is_quiet());
}

TEST_F(MessageDelivery, a_device_that_stops_listening_is_left_alone) {
  auto dev1 = device("dev1");
  dev1.connect();
  listen(dev1);
  dev1.send(mqtt::Unsubscribe{.packet_id = 77, .filters = {"devices/dev1/messages/devicebound/#"}});
  ASSERT_TRUE(dev1.take<mqtt::UnsubscribeAck>());
  send("later");
  EXPECT_TRUE(dev1.is_quiet());
  listen(dev1);
  EXPECT_EQ(payload_of(dev1.take<mqtt::Publish>()), "later");
}

TEST_F(MessageDelivery, a_device_hears_its_own_messages_only) {
  add_device("dev2");
  auto dev2 = device("dev2");
  dev2.connect();
  listen(dev2, 1, "dev2");
  send("for dev1");
  EXPECT_TRUE(dev2.is_quiet());
  send("for dev2", "dev2");
  EXPECT_EQ(payload_of(dev2.take<mqtt::Publish>()), "for dev2");
}

}  // namespace
}  // namespace godwit::hub
