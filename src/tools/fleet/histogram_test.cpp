#include "tools/fleet/histogram.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "core/base/random.hpp"

namespace godwit::fleet {
namespace {

using namespace std::chrono_literals;

TEST(Histogram, is_empty_at_first) {
  const Histogram times;
  EXPECT_EQ(times.count(), 0U);
  EXPECT_EQ(times.percentile(0.5), 0us);
  EXPECT_EQ(times.max(), 0us);
}

TEST(Histogram, small_values_are_exact) {
  Histogram times;
  for (int i = 1; i <= 50; ++i) times.add(Microseconds(i));
  EXPECT_EQ(times.percentile(0.5), 25us);
  EXPECT_EQ(times.percentile(0.9), 45us);
  EXPECT_EQ(times.percentile(1), 50us);
  EXPECT_EQ(times.percentile(0), 1us) << "the smallest";
}

TEST(Histogram, never_flatters_and_is_off_by_less_than_two_percent) {
  // Against the exact percentile of the same seeded values over six decades.
  SeededRandom random(7);
  Histogram times;
  std::vector<std::int64_t> values;
  for (int i = 0; i < 20'000; ++i) {
    const std::uint64_t bound = 10ULL << random.below(26);
    values.push_back(static_cast<std::int64_t>(random.below(bound)));
    times.add(Microseconds(values.back()));
  }
  std::sort(values.begin(), values.end());
  for (const double share : {0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const auto exact = values[static_cast<std::size_t>(std::max(0.0, share * 20'000 - 1))];
    const auto shown = times.percentile(share).count();
    EXPECT_GE(shown, exact) << share;
    EXPECT_LE(static_cast<double>(shown), static_cast<double>(exact) * 1.02 + 1) << share;
  }
  EXPECT_EQ(times.max().count(), values.back());
}

TEST(Histogram, takes_any_value) {
  Histogram times;
  times.add(Microseconds(-5));
  times.add(std::chrono::hours(1000));
  EXPECT_EQ(times.count(), 2U);
  EXPECT_EQ(times.percentile(0.5), 0us);
  EXPECT_EQ(times.max(), 1h);
  times.clear();
  EXPECT_EQ(times.count(), 0U);
}

}  // namespace
}  // namespace godwit::fleet
