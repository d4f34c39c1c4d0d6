// What the feed keeps, for whom, and when it keeps nothing.
#include "server/api/telemetry/feed.hpp"

#include <gtest/gtest.h>

namespace godwit::api {
namespace {

hub::Telemetry message(const std::string& id, const std::string& payload, const std::string& properties = "") {
  return {.id = *IdentityId::parse(id), .properties = properties, .payload = payload};
}

class Feed : public testing::Test {
 protected:
  /// Waits until the feed's thread has passed on so many.
  static void wait_for(const TelemetryFeed& feed, std::uint64_t count) {
    for (int i = 0; i < 500 && feed.counters().passed_on < count; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_EQ(feed.counters().passed_on, count);
  }
  /// All that is queued for a reader.
  static std::string taken(const EventSubscription& reader) {
    std::string text;
    reader->take(text, 10'000'000);
    return text;
  }
  static std::size_t count(const std::string& text, const std::string& what) {
    std::size_t found = 0;
    for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++found;
    return found;
  }
  static std::string first_id(const std::string& text) {
    const std::size_t at = text.find("id: ") + 4;
    return text.substr(at, text.find('\n', at) - at);
  }
  FakeClock clock_;
};

TEST_F(Feed, listens_only_while_somebody_does_and_a_little_longer) {
  TelemetryFeed feed(clock_, {.linger = Duration{1000}});
  EXPECT_FALSE(feed.is_listening());
  feed.start();
  EXPECT_FALSE(feed.is_listening());
  auto reader = feed.subscribe({}, "");
  ASSERT_TRUE(reader);
  EXPECT_TRUE(feed.is_listening());
  (*reader)->leave();
  feed.take(message("d", "1"));
  wait_for(feed, 1);
  clock_.advance(Duration{1000});
  feed.take(message("d", "1"));
  wait_for(feed, 2);
  EXPECT_FALSE(feed.is_listening());
  feed.stop();
  EXPECT_FALSE(feed.is_listening());
}

TEST_F(Feed, a_reader_gets_what_its_filter_lets_through) {
  TelemetryFeed feed(clock_);
  feed.start();
  auto all = *feed.subscribe({}, "");
  auto device = *feed.subscribe({.device = "d1"}, "");
  auto module = *feed.subscribe({.device = "d1", .module = "m"}, "");
  auto component = *feed.subscribe({.component = "thermostat"}, "");
  feed.take(message("d1", "1"));
  feed.take(message("d1/m", "2"));
  feed.take(message("d2", "3", "%24.sub=thermostat"));
  wait_for(feed, 3);
  EXPECT_EQ(count(taken(all), "event: telemetry"), 3U);
  EXPECT_EQ(count(taken(device), "event: telemetry"), 2U);
  EXPECT_EQ(count(taken(module), R"("body":2)"), 1U);
  const std::string text = taken(component);
  EXPECT_EQ(count(text, "event: telemetry"), 1U);
  EXPECT_EQ(count(text, R"("body":3)"), 1U);
}

TEST_F(Feed, a_reader_that_comes_back_gets_what_it_missed_once) {
  TelemetryFeed feed(clock_, {.ring_messages = 3});
  feed.start();
  auto reader = *feed.subscribe({}, "");
  feed.take(message("d", "1"));
  wait_for(feed, 1);
  const std::string last = first_id(taken(reader));
  reader->leave();
  for (const char* payload : {"2", "3", "4", "5"}) feed.take(message("d", payload));
  wait_for(feed, 5);
  auto back = *feed.subscribe({}, last);
  feed.take(message("d", "6"));
  wait_for(feed, 6);
  const std::string text = taken(back);
  EXPECT_EQ(count(text, "event: telemetry"), 4U) << "the ring held three, and one came";
  for (const char* body : {R"("body":3)", R"("body":4)", R"("body":5)", R"("body":6)"})
    EXPECT_EQ(count(text, body), 1U);
  EXPECT_EQ(taken(*feed.subscribe({}, "")), "") << "who never listened gets what comes from now on";
  EXPECT_FALSE(feed.subscribe({}, "not-a-number"));
}

TEST_F(Feed, a_flood_is_dropped_and_counted_and_the_ring_is_bounded_in_bytes) {
  TelemetryFeed feed(clock_, {.queue_messages = 2, .ring_messages = 100, .ring_bytes = 1000});
  for (int i = 0; i < 5; ++i) feed.take(message("d", "1"));
  EXPECT_EQ(feed.counters().dropped, 3U) << "its thread does not run yet";
  feed.start();
  wait_for(feed, 2);
  for (std::uint64_t i = 3; i < 10; ++i) {
    feed.take(message("d", "\"" + std::string(300, 'x') + "\""));
    wait_for(feed, i);
  }
  EXPECT_LE(count(taken(*feed.subscribe({}, "0")), "event: telemetry"), 3U);
}

TEST_F(Feed, a_sink_hears_everything_without_a_reader) {
  TelemetryFeed feed(clock_);
  std::vector<std::string> heard;
  feed.set_sink([&](const TelemetryFeed::Text& text) { heard.push_back(*text); });
  feed.start();
  EXPECT_TRUE(feed.is_listening());
  feed.take(message("d", "7"));
  wait_for(feed, 1);
  feed.stop();
  ASSERT_EQ(heard.size(), 1U);
  EXPECT_NE(heard[0].find(R"("body":7)"), std::string::npos);
}

}  // namespace
}  // namespace godwit::api
