#include "core/base/bytes.hpp"

#include <gtest/gtest.h>

#include <set>

using namespace godwit;

TEST(Base64, agrees_with_the_examples_of_rfc_4648) {
  const std::pair<const char*, const char*> examples[] = {{"", ""},
                                                          {"f", "Zg=="},
                                                          {"fo", "Zm8="},
                                                          {"foo", "Zm9v"},
                                                          {"foob", "Zm9vYg=="},
                                                          {"fooba", "Zm9vYmE="},
                                                          {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : examples) {
    EXPECT_EQ(base64_encode(bytes), text);
    EXPECT_EQ(base64_decode(text).value(), bytes);
  }
}

TEST(Base64, decodes_both_alphabets_with_and_without_padding) {
  const Bytes bytes("\xfb\xff\xbf\xfe", 4);
  EXPECT_EQ(base64_encode(bytes), "+/+//g==");
  EXPECT_EQ(base64url_encode(bytes), "-_-__g");
  for (const char* text : {"+/+//g==", "-_-__g", "+/+//g", "-_-__g=="})
    EXPECT_EQ(base64_decode(text).value(), bytes) << text;
}

TEST(Base64, refuses_broken_text) {
  for (const char* text : {"A", "AA=", "AAA==", "AA===", "A A=", "AA=A", "AAAA=", "====", "QUJD\n", "QR=="}) {
    const auto decoded = base64_decode(text);
    ASSERT_FALSE(decoded) << text;
    EXPECT_EQ(decoded.error().code, Code::invalid_argument);
  }
}

TEST(Hex, round_trips_and_refuses_foreign_text) {
  const Bytes bytes("\x00\x7f\xff", 3);
  EXPECT_EQ(hex_encode(bytes), "007fff");
  EXPECT_EQ(hex_decode("007FfF").value(), bytes);
  EXPECT_FALSE(hex_decode("0"));
  EXPECT_FALSE(hex_decode("0g"));
}

TEST(Percent, keeps_only_unreserved_characters) {
  EXPECT_EQ(percent_encode("a-._~/ +\xff"), "a-._~%2F%20%2B%FF");
  EXPECT_EQ(percent_decode("a%2f%20+%FF").value(), "a/ +\xff");
  for (const char* text : {"%", "%4", "a%", "%zz", "%4g"}) EXPECT_FALSE(percent_decode(text)) << text;
}

TEST(Sha256, agrees_with_fips_180_and_with_itself_in_pieces) {
  EXPECT_EQ(hex_encode(sha256("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  Sha256 pieces;
  pieces.update("a");
  pieces.update("");
  pieces.update("bc");
  EXPECT_EQ(pieces.finish(), sha256("abc"));
}

TEST(Bytes, compares_whole_texts_in_constant_time) {
  EXPECT_TRUE(equal_constant_time("same", "same"));
  EXPECT_TRUE(equal_constant_time("", ""));
  EXPECT_FALSE(equal_constant_time("same", "samE"));
  EXPECT_FALSE(equal_constant_time("same", "sam"));
}

TEST(Utf8, accepts_what_unicode_allows_and_nothing_else) {
  for (const char* good :
       {"", "ascii", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x90\xa6", "\xee\x80\x80", "\xf4\x8f\xbf\xbf"})
    EXPECT_TRUE(is_valid_utf8(good)) << good;
  for (const char* bad : {"\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
                          "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xc3", "\xe2\x82", "a\xff"})
    EXPECT_FALSE(is_valid_utf8(bad));
}

TEST(Random, gives_the_asked_count_and_guids_of_version_4) {
  EXPECT_EQ(random_bytes(1000).size(), 1000U);
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) {
    const auto guid = random_guid();
    ASSERT_EQ(guid.size(), 36U);
    for (const std::size_t dash : {8U, 13U, 18U, 23U}) EXPECT_EQ(guid[dash], '-');
    EXPECT_EQ(guid[14], '4');
    EXPECT_NE(std::string("89ab").find(guid[19]), std::string::npos);
    seen.insert(guid);
  }
  EXPECT_EQ(seen.size(), 100U);
}
