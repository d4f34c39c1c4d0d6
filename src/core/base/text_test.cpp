// Goal: text from wires, files and people is read the same way in every room.
#include "core/base/text.hpp"

#include <gtest/gtest.h>

#include <cstdint>

namespace godwit {
namespace {

TEST(Text, case_is_that_of_ascii_and_leaves_other_bytes_alone) {
  EXPECT_EQ(lower_case("Content-TYPE \xC3\x84 [Z]"), "content-type \xC3\x84 [z]");
  EXPECT_TRUE(equal_in_any_case("MQTT", "mqtt"));
  EXPECT_FALSE(equal_in_any_case("mqtt", "mqtts"));
  EXPECT_FALSE(equal_in_any_case("@", "`"));
}

TEST(Text, trimming_takes_blanks_at_both_ends_and_none_within) {
  EXPECT_EQ(trimmed(" \t a b\r\n"), "a b");
  EXPECT_EQ(trimmed(" \r\n"), "");
  EXPECT_EQ(trimmed(""), "");
  EXPECT_EQ(trimmed(" a\r\n", " \t"), "a\r\n");
}

TEST(Text, a_number_is_the_whole_text_or_none) {
  EXPECT_EQ(to_number<std::uint64_t>("18446744073709551615"), UINT64_MAX);
  EXPECT_EQ(to_number<std::int32_t>("-12"), -12);
  EXPECT_EQ(to_number<std::uint32_t>("00ff", 16), 255U);
  for (const char* text : {"", " 1", "1 ", "+1", "1.0", "0x1", "18446744073709551616", "one"})
    EXPECT_FALSE(to_number<std::uint64_t>(text)) << text;
  EXPECT_FALSE(to_number<std::uint64_t>("-1"));
  EXPECT_FALSE(to_number<std::uint8_t>("256"));
}

TEST(Text, sizes_are_readable) {
  EXPECT_EQ(readable_size(0), "0 B");
  EXPECT_EQ(readable_size(1023), "1023 B");
  EXPECT_EQ(readable_size(1024), "1.0 KiB");
  EXPECT_EQ(readable_size(20 * 1024 * 1024), "20.0 MiB");
  EXPECT_EQ(readable_size(ByteCount{5} << 50U), "5120.0 TiB");
}

}  // namespace
}  // namespace godwit
