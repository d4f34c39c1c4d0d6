// The queue itself, over a real store and without a hub.
#include "server/hub/cloud_messages.hpp"

#include <gtest/gtest.h>

#include "server/store/testing.hpp"

namespace godwit::hub {
namespace {

IdentityId id_of(const std::string& text) { return *IdentityId::parse(text); }

class CloudQueue : public testing::Test {
 protected:
  CloudQueue() {
    write([&](store::Records& records) {
      return records.devices().insert_identity({.id = id_of("d1"), .generation = "g1"}, test_.clock.now());
    });
  }
  Code write(const store::Store::Job& job) {
    const auto done = test_.store->write(job);
    return done ? Code::ok : done.error().code;
  }
  Code send(const NewCloudMessage& message) {
    return write([&](store::Records& records) -> Result<void> {
      GODWIT_TRY_VOID(queue_.send(records, message));
      return {};
    });
  }
  std::vector<store::CloudMessage> hand_over(std::int64_t after = 0, std::size_t limit = 10) {
    std::vector<store::CloudMessage> messages;
    write([&](store::Records& records) -> Result<void> {
      GODWIT_TRY(messages, queue_.hand_over(records, id_of("d1"), after, limit));
      return {};
    });
    return messages;
  }
  std::string feedback() {
    std::string text;
    write([&](store::Records& records) -> Result<void> {
      GODWIT_TRY(const auto all, records.messages().list_feedback(100));
      for (const store::Feedback& one : all)
        text += one.device + "/" + one.generation + " " + one.message_id + " " +
                std::to_string(static_cast<int>(one.end)) + "\n";
      return {};
    });
    return text;
  }
  NewCloudMessage message(const std::string& id, store::Acknowledgement ack = store::Acknowledgement::full) {
    NewCloudMessage made{.id = id_of("d1"), .payload = "p", .acknowledgement = ack};
    made.properties.set_system("mid", id);
    return made;
  }

  store::TestStore test_;
  std::vector<std::string> nudged_;
  CloudMessages queue_{test_.clock,
                       [this](const IdentityId& id) { nudged_.push_back(id.str()); },
                       {.per_identity = 3, .deliveries = 2, .feedback = 3}};
};

TEST_F(CloudQueue, a_message_gets_its_address_and_wakes_the_hub_after_the_commit) {
  NewCloudMessage made = message("m1");
  made.properties.application = {{"room", "a b"}, {"none", std::nullopt}};
  made.expires = test_.clock.now() + std::chrono::minutes(5);
  EXPECT_EQ(send(made), Code::ok);
  EXPECT_EQ(nudged_, std::vector<std::string>{"d1"});
  const auto got = hand_over();
  ASSERT_EQ(got.size(), 1U);
  EXPECT_EQ(device_bound_topic(got[0].id, got[0].properties),
            "devices/d1/messages/devicebound/%24.mid=m1&%24.to=%2Fdevices%2Fd1%2Fmessages%2Fdevicebound&"
            "%24.exp=2026-01-01T00%3A05%3A00.000Z&room=a%20b&none&iothub-ack=full");
  EXPECT_EQ(device_bound_topic(id_of("a+b#/m"), "x"), "devices/a%2Bb%23/modules/m/messages/devicebound/x");
}

TEST_F(CloudQueue, is_short_and_refuses_what_breaks_a_limit) {
  for (int i = 0; i < 3; ++i) EXPECT_EQ(send(message("m")), Code::ok);
  EXPECT_EQ(send(message("m")), Code::too_many);
  EXPECT_EQ(send({.id = id_of("nobody")}), Code::not_found);
  NewCloudMessage large = message("m");
  large.payload = std::string(64 * 1024, 'x');
  EXPECT_EQ(send(large), Code::too_large) << "properties count too";
  NewCloudMessage reserved = message("m");
  reserved.properties.application = {{"iothub-ack", "full"}};
  EXPECT_EQ(send(reserved), Code::invalid_argument);
  NewCloudMessage wide = message("m");
  wide.properties.application = {{"a", std::string(6000, '/')}};
  EXPECT_EQ(send(wide), Code::too_large) << "three times as long in the topic";
  for (const Duration life : {Duration{0}, Duration{std::chrono::hours(49)}}) {
    NewCloudMessage timed = message("m");
    timed.expires = test_.clock.now() + life;
    EXPECT_EQ(send(timed), Code::invalid_argument);
  }
}

TEST_F(CloudQueue, hands_over_in_order_and_gives_up_after_too_many_tries) {
  send(message("m1"));
  send(message("m2", store::Acknowledgement::positive));
  const auto first = hand_over(0, 1);
  ASSERT_EQ(first.size(), 1U);
  EXPECT_EQ(first[0].message_id, "m1");
  EXPECT_EQ(first[0].deliveries, 1U);
  EXPECT_EQ(hand_over(first[0].sequence).front().message_id, "m2");
  const auto again = hand_over();
  ASSERT_EQ(again.size(), 2U);
  EXPECT_EQ(again[0].deliveries, 2U);
  send(message("m3"));
  const auto third = hand_over(0, 1);
  ASSERT_EQ(third.size(), 1U);
  EXPECT_EQ(third[0].message_id, "m3") << "the two others were tried often enough";
  EXPECT_EQ(feedback(), "d1/g1 m1 2\n") << "m2 asked for success only";
}

TEST_F(CloudQueue, a_sender_hears_of_the_ends_it_asked_for) {
  send(message("m1"));
  const auto sequence = hand_over().front().sequence;
  const auto complete = [&](store::Records& records) { return queue_.complete(records, sequence); };
  EXPECT_EQ(write(complete), Code::ok);
  EXPECT_EQ(write(complete), Code::ok) << "twice is no error";
  EXPECT_EQ(feedback(), "d1/g1 m1 0\n");
  send(message("m2", store::Acknowledgement::negative));
  send(message("m3", store::Acknowledgement::none));
  test_.clock.advance(std::chrono::hours(1));
  EXPECT_TRUE(hand_over().empty()) << "expired";
  write([&](store::Records& records) -> Result<void> {
    GODWIT_TRY(const std::size_t ended, queue_.expire(records, 10));
    EXPECT_EQ(ended, 2U);
    return {};
  });
  EXPECT_EQ(feedback(), "d1/g1 m1 0\nd1/g1 m2 1\n");
}

TEST_F(CloudQueue, a_purge_empties_the_queue_and_says_how_many) {
  send(message("m1"));
  send(message("m2", store::Acknowledgement::none));
  std::size_t purged = 0;
  write([&](store::Records& records) -> Result<void> {
    GODWIT_TRY(purged, queue_.purge(records, id_of("d1")));
    return {};
  });
  EXPECT_EQ(purged, 2U);
  EXPECT_TRUE(hand_over().empty());
  EXPECT_EQ(feedback(), "d1/g1 m1 4\n");
  EXPECT_EQ(write([&](store::Records& records) -> Result<void> {
              GODWIT_TRY(purged, queue_.purge(records, id_of("nobody")));
              return {};
            }),
            Code::not_found);
}

}  // namespace
}  // namespace godwit::hub
