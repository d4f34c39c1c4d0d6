#include "tools/cli/connection.hpp"

#include <gtest/gtest.h>

#include <map>

namespace godwit::cli {
namespace {

Environment environment_of(std::map<std::string, std::string> values) {
  return [values](const char* name) -> std::optional<std::string> {
    const auto found = values.find(name);
    if (found == values.end()) return std::nullopt;
    return found->second;
  };
}

TEST(Connection, a_flag_outranks_the_environment) {
  const auto found = find_connection({.url = "https://flag:1/"},
                                     environment_of({{"GODWIT_URL", "https://env:2"}, {"GODWIT_TOKEN", "t\n"}}));
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(found->url, "https://flag:1");
  EXPECT_EQ(found->token.reveal(), "t");
  EXPECT_EQ(found->instance, "default");
}

TEST(Connection, a_missing_address_says_the_three_ways_to_give_it) {
  const auto found = find_connection({}, environment_of({{"HOME", "/nonexistent"}}));
  ASSERT_FALSE(found);
  EXPECT_NE(found.error().message.find("--url"), std::string::npos);
  EXPECT_NE(found.error().message.find("GODWIT_URL"), std::string::npos);
  EXPECT_NE(found.error().message.find("config.toml"), std::string::npos);
}

TEST(Connection, plain_http_is_refused) {
  const auto found = find_connection({.url = "http://host"}, environment_of({{"GODWIT_TOKEN", "t"}}));
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Code::invalid_argument);
}

TEST(Connection, an_unreadable_token_file_is_named) {
  const auto found = find_connection({.url = "https://host", .token_file = "/nonexistent/token"}, environment_of({}));
  ASSERT_FALSE(found);
  EXPECT_NE(found.error().message.find("/nonexistent/token"), std::string::npos);
}

}  // namespace
}  // namespace godwit::cli
