#include "core/base/clock.hpp"

#include <gtest/gtest.h>

using namespace godwit;

TEST(Time, prints_milliseconds_and_seven_digits) {
  const auto time = from_unix_ms(1'795'342'500'123);
  EXPECT_EQ(format_time(time), "2026-11-22T10:15:00.123Z");
  EXPECT_EQ(format_time_7(time), "2026-11-22T10:15:00.1230000Z");
  EXPECT_EQ(format_time(from_unix_ms(-1)), "1969-12-31T23:59:59.999Z");
}

TEST(Time, reads_what_iso_8601_peers_write) {
  const auto expected = from_unix_ms(1'795'342'500'000);
  for (const char* text : {"2026-11-22T10:15:00Z", "2026-11-22T10:15:00.0000000Z", "2026-11-22T12:15:00+02:00",
                           "2026-11-22T04:45:00-0530"})
    EXPECT_EQ(parse_time(text).value(), expected) << text;
  EXPECT_EQ(parse_time("2026-11-22T10:15:00.1239999Z").value(), expected + Duration(123));
  EXPECT_EQ(parse_time("2026-11-22T10:15:00.5Z").value(), expected + Duration(500));
  EXPECT_EQ(format_time(parse_time("2024-02-29T23:59:59.999Z").value()), "2024-02-29T23:59:59.999Z");
}

TEST(Time, refuses_what_is_no_time) {
  for (const char* text :
       {"", "2026", "2026-11-22", "2026-11-22T10:15:00", "2026-11-22 10:15:00Z", "2026-13-22T10:15:00Z",
        "2026-02-29T10:15:00Z", "2026-11-22T24:00:00Z", "2026-11-22T10:60:00Z", "2026-11-22T10:15:60Z",
        "2026-11-22T10:15:00.Z", "2026-11-22T10:15:00.1234567891Z", "2026-11-22T10:15:00Zx",
        "2026-11-22T10:15:00+25:00", "0000-01-01T00:00:00Z"}) {
    const auto time = parse_time(text);
    ASSERT_FALSE(time) << text;
    EXPECT_EQ(time.error().code, Code::invalid_argument);
  }
}

TEST(Clock, fake_stands_still_until_told) {
  FakeClock clock;
  const auto before = clock.now();
  EXPECT_EQ(clock.now(), before);
  clock.advance(Duration(1500));
  EXPECT_EQ(clock.now(), before + Duration(1500));
  EXPECT_EQ(clock.monotonic(), Duration(1500));
}

TEST(Clock, system_is_past_the_day_this_was_written) {
  SystemClock clock;
  EXPECT_GT(clock.now(), parse_time("2024-01-01T00:00:00Z").value());
  const auto first = clock.monotonic();
  EXPECT_GE(clock.monotonic(), first);
}
