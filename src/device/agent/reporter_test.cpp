#include "device/agent/reporter.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "core/base/testing/temp_folder.hpp"

namespace godwit::agent {
namespace {

struct FakeSender final : PatchSender {
  struct Sent {
    std::uint64_t token;
    std::string patch;
  };
  std::vector<Sent> sent;
  void send_patch(std::uint64_t token, std::string patch) override { sent.push_back({token, std::move(patch)}); }
};

class ReporterTest : public ::testing::Test {
 protected:
  ReporterTest() : outbox_(*Outbox::open(folder_.path() / "outbox", log_)) {}

  Record record(State state) {
    Record value;
    value.state = state;
    value.goal.emplace();
    value.goal->workflow_id = "w";
    value.attempt = 1;
    value.outcome = InstallResult{};
    return value;
  }
  void answer(int status) { reporter_.on_answer(sender_.sent.back().token, status); }
  bool last_has(std::string_view text) const { return sender_.sent.back().patch.find(text) != std::string::npos; }

  TempFolder folder_;
  NullLog log_;
  FakeClock clock_;
  SeededRandom random_{7};
  FakeSender sender_;
  Outbox outbox_;
  Reporter reporter_{outbox_, sender_, clock_, random_, log_};
};

TEST_F(ReporterTest, sends_reports_in_order_one_at_a_time_then_the_rest) {
  reporter_.report(record(State::verifying), false);
  reporter_.report(record(State::failed), true);
  reporter_.acknowledge("{\"ack\":1}");
  reporter_.progress({.phase = "downloading"});
  EXPECT_TRUE(sender_.sent.empty()) << "nothing goes out while offline";
  reporter_.on_online();
  ASSERT_EQ(sender_.sent.size(), 1U);
  EXPECT_TRUE(last_has("\"state\":6"));
  answer(204);
  ASSERT_EQ(sender_.sent.size(), 2U);
  EXPECT_TRUE(last_has("\"state\":255"));
  answer(204);
  EXPECT_TRUE(last_has("\"ack\":1"));
  answer(204);
  EXPECT_TRUE(last_has("downloading"));
  answer(204);
  EXPECT_EQ(sender_.sent.size(), 4U);
  EXPECT_EQ(outbox_.size(), 0U);
}

TEST_F(ReporterTest, a_report_stays_until_it_is_answered) {
  reporter_.report(record(State::failed), true);
  reporter_.on_online();
  reporter_.on_offline();
  EXPECT_EQ(outbox_.size(), 1U);
  reporter_.on_online();
  ASSERT_EQ(sender_.sent.size(), 2U);
  reporter_.on_answer(sender_.sent.front().token, 204);
  EXPECT_EQ(outbox_.size(), 1U) << "an answer to the request of an earlier connection does not count";
  answer(204);
  EXPECT_EQ(outbox_.size(), 0U);
}

// faults: 38
TEST_F(ReporterTest, refusals_for_now_are_tried_again_with_growing_pauses) {
  reporter_.report(record(State::failed), true);
  reporter_.on_online();
  answer(429);
  EXPECT_EQ(sender_.sent.size(), 1U);
  Duration last{};
  for (int i = 0; i < 6; ++i) {
    const auto until = reporter_.deadline();
    ASSERT_TRUE(until);
    const Duration pause = *until - clock_.monotonic();
    EXPECT_GT(pause, Duration{0});
    EXPECT_LE(pause, std::chrono::minutes(5));
    EXPECT_LE(pause, std::chrono::seconds(5) * (1 << i));
    last = pause;
    reporter_.tick();
    EXPECT_EQ(sender_.sent.size(), static_cast<std::size_t>(i) + 1) << "not before the pause is over";
    clock_.advance(pause);
    reporter_.tick();
    ASSERT_EQ(sender_.sent.size(), static_cast<std::size_t>(i) + 2);
    answer(i % 2 == 0 ? 503 : 0);
  }
  EXPECT_GT(last, std::chrono::seconds(60));
  clock_.advance(std::chrono::minutes(6));
  reporter_.tick();
  answer(204);
  EXPECT_EQ(outbox_.size(), 0U);
}

TEST_F(ReporterTest, what_the_hub_will_never_take_is_dropped) {
  reporter_.report(record(State::failed), true);
  reporter_.on_online();
  answer(400);
  EXPECT_EQ(outbox_.size(), 0U);
}

TEST_F(ReporterTest, an_acknowledgement_that_was_put_off_comes_again) {
  reporter_.on_online();
  reporter_.acknowledge("{\"ack\":1}");
  answer(500);
  clock_.advance(std::chrono::minutes(1));
  reporter_.tick();
  ASSERT_EQ(sender_.sent.size(), 2U);
  EXPECT_TRUE(last_has("\"ack\":1"));
}

TEST_F(ReporterTest, of_progress_the_latest_goes_out_once_a_second) {
  reporter_.on_online();
  reporter_.progress({.phase = "downloading", .done_bytes = 1});
  answer(204);
  for (int i = 2; i < 50; ++i) reporter_.progress({.phase = "downloading", .done_bytes = i});
  EXPECT_EQ(sender_.sent.size(), 1U);
  ASSERT_EQ(reporter_.deadline(), clock_.monotonic() + std::chrono::seconds(1));
  clock_.advance(std::chrono::seconds(1));
  reporter_.tick();
  ASSERT_EQ(sender_.sent.size(), 2U);
  EXPECT_TRUE(last_has("\"doneBytes\":49"));
}

TEST_F(ReporterTest, a_full_disk_only_delays_a_report) {
  ASSERT_TRUE(remove_tree(folder_.path() / "outbox"));
  reporter_.on_online();
  reporter_.report(record(State::failed), true);
  EXPECT_TRUE(sender_.sent.empty());
  ASSERT_TRUE(reporter_.deadline());
  ASSERT_TRUE(make_folders(folder_.path() / "outbox"));
  clock_.advance(*reporter_.deadline() - clock_.monotonic());
  reporter_.tick();
  ASSERT_EQ(sender_.sent.size(), 1U);
  EXPECT_TRUE(last_has("\"state\":255"));
}

}  // namespace
}  // namespace godwit::agent
