#include "server/store/testing.hpp"

namespace godwit::store {
namespace {

class Messages : public testing::Test {
 protected:
  Messages() {
    write([&](Records& records) -> Result<void> {
      for (const char* id : {"d1", "d2"})
        GODWIT_TRY_VOID(records.devices().insert_identity({.id = *IdentityId::parse(id)}, test_.clock.now()));
      return {};
    });
  }
  void write(const Store::Job& job) {
    const auto done = test_.store->write(job);
    EXPECT_TRUE(done) << done.error().message;
  }
  std::int64_t add(const std::string& device, const std::string& payload, Duration lives = Duration{1000}) {
    std::int64_t sequence = 0;
    write([&](Records& records) -> Result<void> {
      GODWIT_TRY(sequence, records.messages().append_message({.id = *IdentityId::parse(device),
                                                              .message_id = "m-" + payload,
                                                              .properties = "a=b",
                                                              .payload = payload,
                                                              .enqueued = test_.clock.now(),
                                                              .expires = test_.clock.now() + lives,
                                                              .acknowledgement = Acknowledgement::full}));
      return {};
    });
    return sequence;
  }
  std::vector<CloudMessage> list(const std::string& device, std::int64_t after = 0, std::size_t limit = 10) {
    std::vector<CloudMessage> found;
    write([&](Records& records) -> Result<void> {
      GODWIT_TRY(found, records.messages().list_messages(*IdentityId::parse(device), after, test_.clock.now(), limit));
      return {};
    });
    return found;
  }
  std::uint64_t queued(const std::string& device) {
    std::uint64_t count = 99;
    write([&](Records& records) -> Result<void> {
      GODWIT_TRY(const auto session, records.devices().find_session(*IdentityId::parse(device)));
      if (session) count = session->queued_messages;
      GODWIT_TRY(const std::size_t counted, records.messages().count_messages(*IdentityId::parse(device)));
      EXPECT_EQ(counted, session ? count : 0);
      return {};
    });
    return count;
  }
  TestStore test_;
};

}  // namespace

TEST_F(Messages, come_back_in_order_and_the_session_counts_them) {
  const std::string binary("\0\xff", 2);
  const auto first = add("d1", binary);
  add("d2", "other");
  const auto second = add("d1", "two");
  ASSERT_EQ(list("d1").size(), 2U);
  const CloudMessage message = list("d1").front();
  EXPECT_EQ(message.sequence, first);
  EXPECT_EQ(message.payload, binary);
  EXPECT_EQ(message.properties, "a=b");
  EXPECT_EQ(message.expires, test_.clock.now() + Duration{1000});
  EXPECT_EQ(message.acknowledgement, Acknowledgement::full);
  EXPECT_EQ(list("d1", first).front().sequence, second);
  EXPECT_EQ(list("d1", 0, 1).size(), 1U);
  EXPECT_EQ(queued("d1"), 2U);
  write([&](Records& records) -> Result<void> {
    GODWIT_TRY_VOID(records.messages().save_deliveries(first, 3));
    GODWIT_TRY(const auto found, records.messages().find_message(first));
    EXPECT_EQ(found->deliveries, 3U);
    GODWIT_TRY_VOID(records.messages().remove_message(first));
    GODWIT_TRY(const auto gone, records.messages().find_message(first));
    EXPECT_FALSE(gone);
    return records.messages().remove_message(first);
  });
  EXPECT_EQ(queued("d1"), 1U);
}

TEST_F(Messages, that_expire_are_listed_for_the_sweep_and_not_for_the_device) {
  add("d1", "short", Duration{10});
  add("d1", "long", Duration{1000});
  test_.clock.advance(Duration{10});
  ASSERT_EQ(list("d1").size(), 1U);
  EXPECT_EQ(list("d1").front().payload, "long");
  write([&](Records& records) -> Result<void> {
    GODWIT_TRY(const auto expired, records.messages().list_expired(test_.clock.now(), 10));
    EXPECT_EQ(expired.size(), 1U);
    EXPECT_EQ(expired.front().message_id, "m-short");
    return {};
  });
}

TEST_F(Messages, go_with_their_identity) {
  add("d1", "x");
  write([&](Records& records) -> Result<void> {
    GODWIT_TRY([[maybe_unused]] const bool was_there, records.devices().remove_identity(*IdentityId::parse("d1")));
    return {};
  });
  EXPECT_TRUE(list("d1").empty());
}

TEST_F(Messages, feedback_is_bounded_and_taken_from_its_oldest_end) {
  write([&](Records& records) -> Result<void> {
    for (const char* id : {"a", "b", "c", "d"})
      GODWIT_TRY_VOID(records.messages().append_feedback(
          {.device = "d1", .generation = "g", .message_id = id, .end = MessageEnd::expired, .at = from_unix_ms(5)}, 3));
    GODWIT_TRY(const auto all, records.messages().list_feedback(10));
    EXPECT_EQ(all.size(), 3U);
    EXPECT_EQ(all.front().message_id, "b");
    EXPECT_EQ(all.front().end, MessageEnd::expired);
    EXPECT_EQ(all.front().at, from_unix_ms(5));
    GODWIT_TRY_VOID(records.messages().remove_feedback(all[1].sequence));
    GODWIT_TRY(const auto rest, records.messages().list_feedback(10));
    EXPECT_EQ(rest.size(), 1U);
    EXPECT_EQ(rest.front().message_id, "d");
    return {};
  });
}

}  // namespace godwit::store
