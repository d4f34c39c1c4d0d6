#include "server/hub/twin_cache.hpp"

#include <gtest/gtest.h>

namespace godwit::hub {
namespace {

std::shared_ptr<const TwinAnswer> answer(const std::string& payload) {
  return std::make_shared<const TwinAnswer>(TwinAnswer{.payload = payload, .desired_version = 1});
}
void put(TwinCache& cache, const std::string& id, const std::string& payload) {
  cache.put(id, answer(payload), cache.ticket(id));
}

TEST(TwinAnswerTest, sections_get_their_versions_at_the_end) {
  const TwinAnswer made =
      make_twin_answer({.desired = R"({"a":{"b":1}})", .desired_version = 4, .reported = "{}", .reported_version = 9});
  EXPECT_EQ(made.payload, R"({"desired":{"a":{"b":1},"$version":4},"reported":{"$version":9}})");
  EXPECT_EQ(made.desired_version, 4U);
}

TEST(TwinCacheTest, what_was_put_is_found_until_it_is_forgotten) {
  TwinCache cache(10'000);
  EXPECT_EQ(cache.find("d"), nullptr);
  put(cache, "d", "one");
  EXPECT_EQ(cache.find("d")->payload, "one");
  put(cache, "d", "two");
  EXPECT_EQ(cache.find("d")->payload, "two");
  cache.forget("d");
  EXPECT_EQ(cache.find("d"), nullptr);
  EXPECT_EQ(cache.bytes(), 0U);
}

TEST(TwinCacheTest, an_answer_that_was_overtaken_by_a_change_stays_out) {
  TwinCache cache(10'000);
  const std::uint64_t ticket = cache.ticket("d");
  cache.forget("d");  // the writer was faster than the reader
  cache.put("d", answer("old"), ticket);
  EXPECT_EQ(cache.find("d"), nullptr);
}

TEST(TwinCacheTest, the_least_recently_used_goes_when_the_room_is_used_up) {
  TwinCache cache(1000);
  for (const char* id : {"a", "b", "c", "d"}) {
    put(cache, id, std::string(100, 'x'));
    EXPECT_NE(cache.find("a"), nullptr) << id;
  }
  EXPECT_EQ(cache.find("b"), nullptr);
  EXPECT_NE(cache.find("d"), nullptr);
  EXPECT_LE(cache.bytes(), 1000U);
}

TEST(TwinCacheTest, an_answer_above_the_whole_room_is_not_kept) {
  TwinCache cache(1000);
  put(cache, "a", std::string(2000, 'x'));
  EXPECT_EQ(cache.find("a"), nullptr);
  EXPECT_EQ(cache.bytes(), 0U);
}

}  // namespace
}  // namespace godwit::hub
