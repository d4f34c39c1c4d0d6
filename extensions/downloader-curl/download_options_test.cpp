#include "download_options.hpp"

#include <gtest/gtest.h>

namespace godwit::downloader_curl {
namespace {

TEST(DownloadOptions, defaults_hold_and_members_are_read) {
  const auto none = parse_options("{}");
  ASSERT_TRUE(none);
  EXPECT_FALSE(none->allow_http);
  EXPECT_EQ(none->max_redirects, 5);
  const auto some = parse_options(
      R"({"caFile":"/ca.pem","allowHttp":true,"maxRedirects":0,"minRateBytesPerSecond":1000,"sizeLimit":7,"somethingNew":[]})");
  ASSERT_TRUE(some) << some.error().message;
  EXPECT_EQ(some->ca_file, "/ca.pem");
  EXPECT_TRUE(some->allow_http);
  EXPECT_EQ(some->size_limit, 7);
}

TEST(DownloadOptions, values_out_of_range_are_named) {
  for (const std::string_view text :
       {"[]", R"({"maxRedirects":21})", R"({"maxRedirects":-1})", R"({"maxRedirects":"5"})", R"({"allowHttp":1})",
        R"({"caFile":7})", R"({"sizeLimit":0})", R"({"minRateSeconds":0})"})
    EXPECT_FALSE(parse_options(text)) << text;
}

// faults: 27
TEST(DownloadOptions, only_plain_web_addresses_are_fetched) {
  EXPECT_EQ(check_url("https://updates.example.org/f?se=1&sig=%2B", false), "");
  EXPECT_EQ(check_url("HTTPS://[::1]:8443/x", false), "");
  EXPECT_EQ(check_url("http://updates.example.org/f", true), "");
  for (const std::string& url :
       {std::string(), std::string("http://updates.example.org/f"), std::string("file:///etc/shadow"),
        std::string("ftp://x/y"), std::string("https:///x"), std::string("https://user:pw@x/y"),
        std::string("https://x/a b"), std::string("https://x/a\r\nHost: y"), std::string("//x/y"),
        std::string("gopher://x"), "https://x/" + std::string(9000, 'a')})
    EXPECT_NE(check_url(url, false), "") << url.substr(0, 60);
}

TEST(DownloadOptions, content_ranges_are_read_strictly) {
  const auto range = parse_content_range("bytes 100-199/1000");
  ASSERT_TRUE(range);
  EXPECT_EQ(range->first, 100U);
  EXPECT_EQ(range->total, 1000U);
  EXPECT_EQ(parse_content_range("bytes */1000")->first, std::nullopt);
  EXPECT_EQ(parse_content_range("bytes 5-9/*")->total, std::nullopt);
  for (const std::string_view bad : {"", "bytes", "bytes 5-9", "bytes 9-5/10", "items 5-9/10", "bytes a-9/10",
                                     "bytes 5-9/x", "bytes 5-/10", "bytes -5/10", "bytes 99999999999999999999-1/2"})
    EXPECT_FALSE(parse_content_range(bad)) << bad;
}

// faults: 28
TEST(DownloadOptions, retry_after_is_bounded) {
  EXPECT_EQ(parse_retry_after("0", 0), 0);
  EXPECT_EQ(parse_retry_after("120", 0), 120);
  EXPECT_EQ(parse_retry_after("999999999", 0), 86'400);
  EXPECT_EQ(parse_retry_after("Thu, 01 Jan 1970 00:01:40 GMT", 40), 60);
  EXPECT_EQ(parse_retry_after("Thu, 01 Jan 1970 00:01:40 GMT", 4000), 0);
  EXPECT_EQ(parse_retry_after("", 0), std::nullopt);
  EXPECT_EQ(parse_retry_after("soon", 0), std::nullopt);
  EXPECT_EQ(parse_retry_after("-5", 0), std::nullopt);
}

}  // namespace
}  // namespace godwit::downloader_curl
