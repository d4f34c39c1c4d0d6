// What the pulse keeps, what it tells its readers, and what is left of it after a restart.
#include "server/api/pulse.hpp"

#include <gtest/gtest.h>

#include "core/base/testing/temp_folder.hpp"

namespace godwit::api {
namespace {

class PulseTest : public testing::Test {
 protected:
  std::unique_ptr<Pulse> make() {
    return std::make_unique<Pulse>(clock_, log_,
                                   Pulse::Sources{.commits = [this] { return commits_; },
                                                  .connects = [this] { return connects_; },
                                                  .devices_online = [this] { return devices_; }},
                                   file());
  }
  Path file() const { return folder_.path() / "pulse.json"; }
  /// Lets so many samples be taken, with 0, 1, 2 ... devices.
  void live(Pulse& pulse, std::uint64_t samples) {
    for (std::uint64_t i = 0; i < samples; ++i) {
      devices_ = i;
      pulse.look();
      clock_.advance(Pulse::kBetweenSamples);
    }
  }
  static std::string taken(const EventSubscription& reader) {
    std::string text;
    reader->take(text, 1'000'000);
    return text;
  }

  TempFolder folder_;
  FakeClock clock_;
  NullLog log_;
  std::uint64_t commits_ = 0;
  std::uint64_t connects_ = 0;
  std::uint64_t devices_ = 0;
};

TEST_F(PulseTest, readers_hear_what_changed_and_nothing_while_nothing_does) {
  const auto pulse = make();
  const auto reader = pulse->subscribe();
  ASSERT_TRUE(reader);
  pulse->look();
  EXPECT_EQ(taken(*reader), "");
  commits_ = 3;
  pulse->look();
  pulse->look();
  EXPECT_EQ(taken(*reader), "event: changed\ndata: {\"records\":true,\"connections\":false}\n\n");
  connects_ = 1;
  pulse->look();
  EXPECT_EQ(taken(*reader), "event: changed\ndata: {\"records\":false,\"connections\":true}\n\n");
  pulse->stop();
  EXPECT_FALSE(pulse->subscribe());
}

TEST_F(PulseTest, a_sample_is_taken_each_half_minute_and_the_present_comes_last) {
  const auto pulse = make();
  live(*pulse, 3);
  pulse->look();  // the fourth
  devices_ = 9;
  clock_.advance(Duration{1000});
  pulse->look();  // too soon for a fifth
  const auto points = pulse->online();
  ASSERT_EQ(points.size(), 5U);
  EXPECT_EQ(points[1].time - points[0].time, Pulse::kBetweenSamples);
  EXPECT_EQ(points[2].devices, 2U);
  EXPECT_EQ(points.back(), (Pulse::Sample{clock_.now(), 9}));
}

TEST_F(PulseTest, a_day_is_kept_and_an_answer_has_a_limit_and_shows_the_dips) {
  const auto pulse = make();
  live(*pulse, Pulse::kMostSamples);
  const WallTime last = clock_.now() - Pulse::kBetweenSamples;
  live(*pulse, 100);
  const auto points = pulse->online();
  ASSERT_LE(points.size(), Pulse::kMostPoints + 1);
  EXPECT_EQ(points.front().devices, 100U);  // the oldest hundred are forgotten
  const auto dip = std::find_if(points.begin(), points.end(), [](const auto& one) { return one.devices == 0; });
  ASSERT_NE(dip, points.end());
  EXPECT_EQ(dip->time, last + Pulse::kBetweenSamples);
}

TEST_F(PulseTest, a_restart_keeps_what_was_seen) {
  auto pulse = make();
  pulse->start();
  pulse.reset();
  EXPECT_TRUE(std::filesystem::exists(file()));
  clock_.advance(Duration{3'600'000});
  const auto points = make()->online();
  ASSERT_EQ(points.size(), 2U);
  EXPECT_EQ(points[1].time - points[0].time, Duration{3'600'000});
}

TEST_F(PulseTest, it_saves_by_itself_now_and_then) {
  const auto pulse = make();
  live(*pulse, 1);
  EXPECT_FALSE(std::filesystem::exists(file()));
  clock_.advance(Pulse::kBetweenSaves);
  pulse->look();
  EXPECT_TRUE(std::filesystem::exists(file()));
}

TEST_F(PulseTest, a_file_that_is_damaged_or_from_tomorrow_is_left_out) {
  for (const std::string text : {"", "[]", R"({"version":2,"samples":[]})", R"({"version":1,"samples":[[1]]})",
                                 R"({"version":1,"samples":[[5,1],[4,1]]})", R"({"version":1,"samples":[[1,-1]]})",
                                 R"({"version":1,"samples":[[99999999999999,1]]})"}) {
    ASSERT_TRUE(write_file_durably(file(), text));
    EXPECT_EQ(make()->online().size(), 1U) << text;
  }
}

}  // namespace
}  // namespace godwit::api
