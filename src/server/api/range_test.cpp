#include "server/api/range.hpp"

#include <gtest/gtest.h>

namespace godwit::api {
namespace {

constexpr std::string_view kTag = "\"abc\"";

struct RangeCase {
  const char* range;
  int status;
  ByteCount first;
  ByteCount count;
};

TEST(Range, table_of_forms_for_a_file_of_1000_bytes) {
  const RangeCase cases[] = {
      {"bytes=0-0", 206, 0, 1},
      {"bytes=0-999", 206, 0, 1000},
      {"bytes=0-", 206, 0, 1000},
      {"bytes=999-", 206, 999, 1},
      {"bytes=500-5000", 206, 500, 500},
      {"bytes=-1", 206, 999, 1},
      {"bytes=-5000", 206, 0, 1000},
      {"Bytes = 1-2", 206, 1, 2},
      {"bytes=1000-", 416, 0, 0},
      {"bytes=1000-1001", 416, 0, 0},
      {"bytes=-0", 416, 0, 0},
      {"bytes=99999999999999999999-", 416, 0, 0},
      {"bytes=0-99999999999999999999", 206, 0, 1000},
      // Malformed, of another unit or several: the whole file.
      {"bytes=5-4", 200, 0, 1000},
      {"bytes=-", 200, 0, 1000},
      {"bytes=a-b", 200, 0, 1000},
      {"bytes=0-1,3-4", 200, 0, 1000},
      {"items=0-1", 200, 0, 1000},
      {"bytes", 200, 0, 1000},
      {"", 200, 0, 1000},
      {"bytes=0x1-2", 200, 0, 1000},
      {"bytes=--5", 200, 0, 1000},
      {"bytes=+1-2", 200, 0, 1000},
      {"bytes=1-2-3", 200, 0, 1000},
  };
  for (const RangeCase& c : cases) {
    const Selection got = select_bytes(Conditions{.range = c.range}, 1000, kTag);
    EXPECT_EQ(got.status, c.status) << c.range;
    EXPECT_EQ(got.first, c.first) << c.range;
    EXPECT_EQ(got.count, c.count) << c.range;
  }
}

TEST(Range, nothing_of_an_empty_file_can_be_asked_for) {
  EXPECT_EQ(select_bytes(Conditions{.range = "bytes=0-"}, 0, kTag).status, 416);
  EXPECT_EQ(select_bytes(Conditions{.range = "bytes=-5"}, 0, kTag).status, 416);
  EXPECT_EQ(select_bytes(Conditions{}, 0, kTag).count, 0U);
}

TEST(Range, if_range_counts_only_for_the_same_content) {
  EXPECT_EQ(select_bytes(Conditions{.range = "bytes=0-1", .if_range = "\"abc\""}, 1000, kTag).status, 206);
  EXPECT_EQ(select_bytes(Conditions{.range = "bytes=0-1", .if_range = "\"other\""}, 1000, kTag).status, 200);
  EXPECT_EQ(select_bytes(Conditions{.range = "bytes=0-1", .if_range = "W/\"abc\""}, 1000, kTag).status, 200);
  EXPECT_EQ(
      select_bytes(Conditions{.range = "bytes=0-1", .if_range = "Wed, 21 Oct 2015 07:28:00 GMT"}, 1000, kTag).status,
      200);
}

TEST(Range, if_none_match_comes_before_range) {
  for (const char* value : {"\"abc\"", "W/\"abc\"", "*", "\"x\", \"abc\""})
    EXPECT_EQ(select_bytes(Conditions{.range = "bytes=0-1", .if_none_match = value}, 1000, kTag).status, 304) << value;
  EXPECT_EQ(select_bytes(Conditions{.if_none_match = "\"x\""}, 1000, kTag).status, 200);
}

TEST(Range, content_range_is_written_as_the_rfc_wants) {
  EXPECT_EQ((Selection{.status = 206, .first = 5, .count = 10}.content_range(100)), "bytes 5-14/100");
  EXPECT_EQ((Selection{.status = 416}.content_range(100)), "bytes */100");
}

}  // namespace
}  // namespace godwit::api
