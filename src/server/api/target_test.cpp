#include "server/api/target.hpp"

#include <gtest/gtest.h>

namespace godwit::api {
namespace {

TEST(Target, splits_before_it_decodes) {
  const auto target = parse_target("/groups/%24default/a%2Fb?Filter=groupId%20eq%20%27x%27&top=5&flag");
  ASSERT_TRUE(target) << target.error().message;
  EXPECT_EQ(target->segments, (std::vector<std::string>{"groups", "%24default", "a%2Fb"}));
  EXPECT_EQ(target->query.at("filter"), "groupId eq 'x'");
  EXPECT_EQ(target->query.at("top"), "5");
  EXPECT_EQ(target->query.at("flag"), "");
}

TEST(Target, ignores_one_trailing_slash_and_reads_the_absolute_form) {
  EXPECT_EQ(parse_target("/devices/")->segments.size(), 1U);
  EXPECT_EQ(parse_target("/")->segments.size(), 0U);
  const auto absolute = parse_target("https://host:8443/devices?a=b");
  ASSERT_TRUE(absolute);
  EXPECT_EQ(absolute->path, "/devices");
}

TEST(Target, refuses_what_two_parsers_could_read_in_two_ways) {
  for (const char* text :
       {"",          "*",     "devices", "https://host", "/a/../b",    "/a/%2e%2E/b", "/./a",    "/a%",
        "/a%2",      "/a%zz", "/a%00b",  "/a%0d%0aX:1",  "/a b",       "/a\x01",      "/a\x80",  "/a#b",
        "/a\\..\\b", "/a%ff", "/a?x=%",  "/a?x=1&x=2",   "/a?X=1&x=2", "/a?=1",       "/a?x=%0a"}) {
    const auto target = parse_target(text);
    ASSERT_FALSE(target) << text;
    EXPECT_EQ(target.error().code, Code::invalid_argument) << text;
  }
}

TEST(Target, has_limits) {
  EXPECT_FALSE(parse_target("/" + std::string(9000, 'a')));
  std::string deep;
  for (int i = 0; i < 33; ++i) deep += "/a";
  EXPECT_FALSE(parse_target(deep));
  std::string wide = "/a?";
  for (int i = 0; i < 33; ++i) wide += "q" + std::to_string(i) + "=1&";
  EXPECT_FALSE(parse_target(wide));
}

}  // namespace
}  // namespace godwit::api
