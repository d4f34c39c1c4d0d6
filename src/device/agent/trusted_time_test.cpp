// Goal: whatever the clock says, tokens and certificates go by a time that cannot be too early, and a wrong clock
// leaves no trace. faults: 19
#include "device/agent/trusted_time.hpp"

#include <gtest/gtest.h>

#include "core/base/testing/temp_folder.hpp"

namespace godwit::agent {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::minutes;

struct TrustedTimeTest : ::testing::Test {
  TrustedTimeTest() { clock.set(today); }
  TrustedTime make() { return {folder.path() / "time.json", clock, log}; }

  TempFolder folder;
  FakeClock clock;
  NullLog log;
  const WallTime built = TrustedTime::build_time();
  const WallTime today = built + days(100);
};

TEST_F(TrustedTimeTest, a_clock_at_1970_does_not_go_below_the_build) {
  clock.set(WallTime{});
  const TrustedTime time = make();
  EXPECT_TRUE(time.is_clock_behind());
  EXPECT_EQ(time.now(), built);
  EXPECT_TRUE(time.is_guess());
  EXPECT_GT(built, parse_time("2025-01-01T00:00:00Z").value());
}

TEST_F(TrustedTimeTest, what_servers_showed_is_kept_over_a_restart) {
  {
    TrustedTime time = make();
    EXPECT_FALSE(time.is_clock_behind());
    EXPECT_EQ(time.now(), today);
    time.learn_floor(today - days(3));
    time.learn_now(today - hours(2), today - days(3), today + days(3));
  }
  clock.set(WallTime{});
  const TrustedTime time = make();
  EXPECT_TRUE(time.is_clock_behind());
  EXPECT_EQ(time.now(), today - hours(2));
}

TEST_F(TrustedTimeTest, a_clock_that_jumps_back_while_it_runs_is_seen_through) {
  TrustedTime time = make();
  time.learn_now(today, today - days(3), today + days(3));
  clock.advance(minutes(10));
  EXPECT_EQ(time.now(), today + minutes(10));
  clock.set(today - days(30));
  EXPECT_TRUE(time.is_clock_behind() && time.is_guess());
  EXPECT_EQ(time.now(), today);
  time.learn_now(today + hours(1), today - days(3), today + days(3));
  EXPECT_TRUE(time.is_clock_behind() && !time.is_guess());
  EXPECT_EQ(time.now(), today + hours(1));
}

TEST_F(TrustedTimeTest, a_clock_that_is_off_is_corrected_by_a_server_until_somebody_sets_it) {
  for (const auto off : {-days(2), days(3650)}) {
    clock.set(today + off);
    TrustedTime time = make();
    time.learn_now(today, today - days(30), today + days(30));
    clock.advance(hours(5));
    EXPECT_EQ(time.now(), today + hours(5));
    clock.set(today + hours(6));  // NTP at last
    EXPECT_EQ(time.now(), today + hours(6));
  }
}

TEST_F(TrustedTimeTest, a_clock_ten_years_ahead_leaves_no_trace) {
  clock.set(today + days(3650));
  {
    TrustedTime time = make();
    time.learn_floor(today - days(1));
    EXPECT_EQ(time.now(), today + days(3650)) << "nobody has told better";
  }
  clock.set(today);
  const TrustedTime time = make();
  EXPECT_FALSE(time.is_clock_behind());
  EXPECT_EQ(time.floor(), today - days(1));
}

TEST_F(TrustedTimeTest, a_server_outside_its_own_certificate_is_not_believed) {
  TrustedTime time = make();
  time.learn_now(today + days(4), today - days(3), today + days(3));
  time.learn_now(today - days(4), today - days(3), today + days(3));
  EXPECT_EQ(time.floor(), built);
  EXPECT_EQ(time.now(), today);
}

// faults: 59
TEST_F(TrustedTimeTest, a_broken_file_costs_the_memory_only) {
  for (const std::string text : {"", "{", "{\"notBefore\":7}", "{\"notBefore\":\"soon\"}"}) {
    ASSERT_TRUE(write_file_durably(folder.path() / "time.json", text));
    EXPECT_EQ(make().floor(), built) << text;
  }
  ASSERT_TRUE(write_file_durably(folder.path() / "time.json", std::string(5000, ' ')));
  EXPECT_EQ(make().floor(), built);
}

TEST_F(TrustedTimeTest, writes_at_most_once_an_hour) {
  TrustedTime time = make();
  time.learn_now(today, today - days(1), today + days(1));
  const auto first = read_file(folder.path() / "time.json", 1000);
  ASSERT_TRUE(first);
  time.learn_now(today + minutes(59), today - days(1), today + days(1));
  EXPECT_EQ(*read_file(folder.path() / "time.json", 1000), *first);
  time.learn_now(today + minutes(61), today - days(1), today + days(1));
  EXPECT_NE(*read_file(folder.path() / "time.json", 1000), *first);
}

}  // namespace
}  // namespace godwit::agent
