#include <gtest/gtest.h>

#include "tools/fleet/fleet.hpp"
#include "tools/fleet/requests.hpp"
#include "tools/fleet/watch.hpp"

namespace godwit::fleet {
namespace {

using namespace std::chrono_literals;

TEST(Answers, a_response_topic_is_taken_apart) {
  const auto got = read_twin_answer("$iothub/twin/res/200/?$rid=42");
  ASSERT_TRUE(got);
  EXPECT_EQ(got->status, 200U);
  EXPECT_EQ(got->request, 42U);
  EXPECT_EQ(got->version, 0U);
  const auto patched = read_twin_answer("$iothub/twin/res/204/?$rid=7&$version=19");
  ASSERT_TRUE(patched);
  EXPECT_EQ(patched->status, 204U);
  EXPECT_EQ(patched->version, 19U);
  for (const char* other : {"", "$iothub/twin/res/", "$iothub/twin/res/200", "$iothub/twin/res/x/?$rid=1",
                            "$iothub/twin/res/200/?$rid=", "$iothub/twin/res/200/?$rid=1x",
                            "$iothub/twin/res/200/?$version=1", "$iothub/methods/POST/a/?$rid=1"})
    EXPECT_FALSE(read_twin_answer(other)) << other;
}

TEST(Answers, a_desired_patch_has_a_version) {
  EXPECT_EQ(read_desired_version("$iothub/twin/PATCH/properties/desired/?$version=12"), 12U);
  EXPECT_EQ(read_desired_version("$iothub/twin/PATCH/properties/desired/"), 0U);
  EXPECT_FALSE(read_desired_version("$iothub/twin/PATCH/properties/reported/?$version=12"));
}

TEST(Answers, a_twin_tells_what_it_has_of_the_fleet) {
  const auto seen =
      read_seen(R"({"desired":{"$version":4},"reported":{"fleet":{"sequence":17,"filler":""},"$version":9}})");
  ASSERT_TRUE(seen) << seen.error().message;
  EXPECT_EQ(seen->sequence, 17U);
  EXPECT_EQ(seen->version, 9U);
  const auto fresh = read_seen(R"({"desired":{"$version":1},"reported":{"$version":1}})");
  ASSERT_TRUE(fresh);
  EXPECT_FALSE(fresh->sequence);
  EXPECT_FALSE(read_seen("{}"));
  EXPECT_FALSE(read_seen("nonsense"));
}

TEST(Backoff, doubles_up_to_its_bound_and_is_spread) {
  SeededRandom random(3);
  for (unsigned failures = 1; failures <= 12; ++failures) {
    const auto bound = std::min<Steady::duration>(500ms * (1U << (failures - 1)), 30s);
    Steady::duration least = bound, most{};
    for (int i = 0; i < 200; ++i) {
      const auto wait = backoff(failures, 500ms, 30s, random);
      EXPECT_GE(wait, bound / 4);
      EXPECT_LE(wait, bound);
      least = std::min(least, wait);
      most = std::max(most, wait);
    }
    EXPECT_GT(most - least, bound / 2) << "a fleet must not come back as one";
  }
}

TEST(Backoff, the_same_seed_waits_the_same) {
  SeededRandom one(9), two(9), other(10);
  int same = 0;
  for (int i = 0; i < 50; ++i) {
    const auto first = backoff(3, 500ms, 30s, one);
    EXPECT_EQ(first, backoff(3, 500ms, 30s, two));
    if (first == backoff(3, 500ms, 30s, other)) ++same;
  }
  EXPECT_LT(same, 5);
}

}  // namespace
}  // namespace godwit::fleet
