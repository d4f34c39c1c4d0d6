// Batches, repetition and bounds of the webhook, with a receiver that answers as it is told.
#include "server/api/telemetry/webhook.hpp"

#include <gtest/gtest.h>

namespace godwit::api {
namespace {

class Receiver final : public HttpPost {
 public:
  Result<int> post(const std::string& body) override {
    std::unique_lock lock(mutex_);
    bodies_.push_back(body);
    open_.wait(lock, [this] { return is_open_; });
    if (answers_.empty()) return 200;
    auto answer = answers_.front();
    answers_.pop_front();
    return answer;
  }
  void cancel() override { open(); }
  void open() {
    const std::lock_guard lock(mutex_);
    is_open_ = true;
    open_.notify_all();
  }
  std::vector<std::string> bodies() {
    const std::lock_guard lock(mutex_);
    return bodies_;
  }
  bool is_open_ = true;
  std::deque<Result<int>> answers_;

 private:
  std::mutex mutex_;
  std::condition_variable open_;
  std::vector<std::string> bodies_;
};

constexpr WebhookLimits kQuick{.queue_documents = 5,
                               .batch_documents = 3,
                               .gather = Duration{5},
                               .first_pause = Duration{1},
                               .longest_pause = Duration{2}};

template <class Holds>
bool eventually(const Holds& holds) {
  for (int i = 0; i < 500 && !holds(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  return holds();
}

Webhook::Text text(const std::string& document) { return std::make_shared<const std::string>(document); }

TEST(Webhook, posts_in_batches_and_in_order) {
  Receiver receiver;
  NullLog log;
  Webhook webhook(receiver, log, 1, kQuick);
  for (int i = 0; i < 5; ++i) webhook.push(text(std::to_string(i)));
  webhook.start();
  ASSERT_TRUE(eventually([&] { return webhook.counters().delivered == 5; }));
  EXPECT_EQ(receiver.bodies(), (std::vector<std::string>{"[0,1,2]", "[3,4]"}));
}

TEST(Webhook, tries_again_with_the_same_bytes_and_gives_up_where_that_is_no_use) {
  Receiver receiver;
  receiver.answers_ = {fail(Code::network_failed, "no route"), 503, 429, 200, 400, 204};
  NullLog log;
  Webhook webhook(receiver, log, 1, kQuick);
  webhook.push(text("1"));
  webhook.start();
  ASSERT_TRUE(eventually([&] { return webhook.counters().delivered == 1; }));
  EXPECT_EQ(receiver.bodies(), (std::vector<std::string>{"[1]", "[1]", "[1]", "[1]"}));
  EXPECT_EQ(webhook.counters().failures, 3U);
  webhook.push(text("2"));
  ASSERT_TRUE(eventually([&] { return webhook.counters().refused == 1; }));
  webhook.push(text("3"));
  ASSERT_TRUE(eventually([&] { return webhook.counters().delivered == 2; }));
}

TEST(Webhook, drops_the_oldest_while_the_receiver_is_away) {
  Receiver receiver;
  receiver.is_open_ = false;
  NullLog log;
  Webhook webhook(receiver, log, 1, kQuick);
  webhook.push(text("first"));
  webhook.start();
  ASSERT_TRUE(eventually([&] { return receiver.bodies().size() == 1; }));
  for (int i = 0; i < 8; ++i) webhook.push(text(std::to_string(i)));
  EXPECT_EQ(webhook.counters().dropped, 3U);
  receiver.open();
  ASSERT_TRUE(eventually([&] { return webhook.counters().delivered == 6; }));
  EXPECT_EQ(receiver.bodies()[1], "[3,4,5]");
}

TEST(Webhook, stops_while_it_waits_for_a_receiver_that_fails) {
  Receiver receiver;
  for (int i = 0; i < 1000; ++i) receiver.answers_.emplace_back(500);
  NullLog log;
  Webhook webhook(
      receiver, log, 1,
      {.gather = Duration{1}, .first_pause = std::chrono::hours(1), .longest_pause = std::chrono::hours(1)});
  webhook.push(text("1"));
  webhook.start();
  ASSERT_TRUE(eventually([&] { return webhook.counters().failures == 1; }));
  webhook.stop();
  EXPECT_EQ(receiver.bodies().size(), 1U);
}

TEST(Webhook, pauses_grow_to_their_longest_and_differ) {
  const WebhookLimits limits;
  SeededRandom random(7);
  EXPECT_LE(pause_after(1, limits, random), Duration{1'000});
  EXPECT_GE(pause_after(1, limits, random), Duration{750});
  EXPECT_GE(pause_after(4, limits, random), Duration{6'000});
  EXPECT_LE(pause_after(1'000'000, limits, random), Duration{60'000});
  EXPECT_NE(pause_after(9, limits, random), pause_after(9, limits, random));
}

}  // namespace
}  // namespace godwit::api
