// Goal: the wait fits the reason, and a fleet that lost its hub neither storms it at once nor when it comes back.
// Method: thousands of devices on a clock that only counts; the same seed gives the same fleet.
#include "device/agent/reconnect.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace godwit::agent {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::size_t kDevices = 10'000;

/// Tries of the fleet in each second, when the hub is away from 0 to `back_at`; a device that found it is quiet.
std::vector<std::size_t> tries_per_second(const ReconnectSettings& settings, Duration back_at, Duration watched) {
  SeededRandom random(7);
  std::vector<std::size_t> counts(static_cast<std::size_t>(watched / seconds(1)));
  for (std::size_t i = 0; i < kDevices; ++i) {
    Duration now{};
    std::uint32_t attempt = 0;
    bool is_back = false;
    while (!is_back) {
      const auto setback = setback_of({Code::network_failed, ""}, attempt == 0);
      now += reconnect_wait(setback, attempt++, settings, random);
      if (now >= watched) break;
      ++counts[static_cast<std::size_t>(now / seconds(1))];
      is_back = now >= back_at;
    }
  }
  return counts;
}

// faults: 32
TEST(Reconnect, a_fleet_whose_hub_restarts_is_spread_over_seconds) {
  const auto counts = tries_per_second({}, Duration{0}, minutes(1));
  EXPECT_LT(*std::ranges::max_element(counts), kDevices / 8);
  std::size_t all = 0;
  for (std::size_t i = 0; i <= 10; ++i) all += counts[i];
  EXPECT_EQ(all, kDevices) << "and each is back within the spread";
}

// faults: 32
TEST(Reconnect, a_fleet_whose_hub_was_away_comes_back_spread_over_minutes) {
  const Duration back_at = minutes(30);
  const auto counts = tries_per_second({}, back_at, minutes(36));
  EXPECT_LT(*std::ranges::max_element(counts), kDevices * 4 / 10) << "while the waits are short, too";
  const auto first = counts.begin() + back_at / seconds(1);
  EXPECT_LT(*std::max_element(first, counts.end()), kDevices / 100);
  std::size_t all = 0;
  for (auto one = first; one != counts.end(); ++one) all += *one;
  EXPECT_EQ(all, kDevices) << "none waits longer than the longest wait";
}

TEST(Reconnect, the_first_wait_fits_the_reason) {
  struct Row {
    Code code;
    bool was_online;
    Duration least;
    Duration most;
  };
  const Row rows[] = {
      {Code::network_failed, true, Duration{0}, seconds(10)},
      {Code::timed_out, true, Duration{0}, seconds(10)},
      {Code::network_failed, false, Duration{500}, seconds(1)},
      {Code::not_found, false, Duration{500}, seconds(1)},  // a key file that is not there yet
      {Code::unavailable, false, seconds(5), seconds(10)},
      {Code::too_many, false, seconds(5), seconds(10)},
      {Code::unauthorized, false, seconds(15), seconds(30)},
      {Code::unauthorized, true, seconds(15), seconds(30)},
      {Code::tls_failed, false, seconds(15), seconds(30)},
  };
  SeededRandom random(1);
  for (const auto& [code, was_online, least, most] : rows) {
    for (int i = 0; i < 200; ++i) {
      const Duration wait = reconnect_wait(setback_of({code, ""}, was_online), 0, {}, random);
      EXPECT_GE(wait, least) << code_name(code);
      EXPECT_LE(wait, most) << code_name(code);
    }
  }
}

TEST(Reconnect, no_wait_is_above_the_longest) {
  SeededRandom random(1);
  const ReconnectSettings settings{.longest_wait = seconds(5)};
  for (const auto setback : {Setback::cut, Setback::network, Setback::busy, Setback::refused})
    for (std::uint32_t attempt = 0; attempt < 100; ++attempt)
      EXPECT_LE(reconnect_wait(setback, attempt, settings, random), seconds(5));
}

TEST(Reconnect, a_connection_that_is_cut_again_and_again_is_waited_for_longer_each_time) {
  SeededRandom random(1);
  EXPECT_GE(reconnect_wait(Setback::cut, 20, {}, random), seconds(150));
}

}  // namespace
}  // namespace godwit::agent
