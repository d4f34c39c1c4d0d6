// Goal: sums over documents, their groups and their bounds. Method: small lists of documents, the answer as text.
#include "server/hub/query/aggregation.hpp"

#include <gtest/gtest.h>

#include "server/hub/query/parser.hpp"

namespace godwit::hub::query {
namespace {

Result<std::string> answer(const char* text, std::initializer_list<const char*> documents, const Limits& limits = {}) {
  const Query query = parse_query(text).value();
  Aggregation aggregation(query, limits);
  for (const char* one : documents) {
    const json::Object object = json::parse_object(one).value();
    JsonDocument document(object);
    GODWIT_TRY_VOID(aggregation.add(document));
  }
  std::string lines;
  for (const auto& row : aggregation.rows("", 1000)) lines += json::print(row.members) + "\n";
  return lines;
}

constexpr std::initializer_list<const char*> kFleet{
    R"({"tags":{"s":"a","n":1,"t":"x"}})",
    R"({"tags":{"s":"b","n":2.5,"t":"y"}})",
    R"({"tags":{"s":"a","n":3,"t":5}})",
    R"({"tags":{"s":"a","n":"no number"}})",
    R"({"tags":{"n":4}})",
    R"({"tags":{"s":null}})",
};

TEST(Aggregation, without_groups_there_is_one_row_even_over_nothing) {
  EXPECT_EQ(*answer("SELECT COUNT() FROM devices", kFleet), "{\"$1\":6}\n");
  EXPECT_EQ(
      *answer(
          "SELECT COUNT() AS c, SUM(tags.n) AS s, AVG(tags.n) AS a, MIN(tags.n) AS l, MAX(tags.n) AS h FROM devices",
          kFleet),
      "{\"c\":6,\"s\":10.5,\"a\":2.625,\"l\":1,\"h\":\"no number\"}\n");
  EXPECT_EQ(*answer("SELECT COUNT() AS c, SUM(tags.n) AS s, MIN(tags.n) AS m FROM devices", {}), "{\"c\":0}\n");
  EXPECT_EQ(*answer("SELECT COUNT(tags.s) AS c, COUNT(*) AS all FROM devices", kFleet), "{\"c\":5,\"all\":6}\n");
}

TEST(Aggregation, groups_by_values_a_missing_one_and_null_being_groups_of_their_own) {
  EXPECT_EQ(
      *answer("SELECT tags.s AS s, COUNT() AS n, SUM(tags.n) AS t FROM devices GROUP BY tags.s", kFleet),
      "{\"s\":\"a\",\"n\":3,\"t\":4}\n{\"s\":\"b\",\"n\":1,\"t\":2.5}\n{\"n\":1,\"t\":4}\n{\"s\":null,\"n\":1}\n");
  EXPECT_EQ(*answer("SELECT tags.b, tags.a FROM devices GROUP BY tags.a, tags.b",
                    {R"({"tags":{"a":1,"b":true}})", R"({"tags":{"a":1.0,"b":true}})", R"({"tags":{"a":2,"b":true}})"}),
            "{\"b\":true,\"a\":1}\n{\"b\":true,\"a\":2}\n");
}

TEST(Aggregation, smallest_and_largest_take_numbers_before_texts) {
  EXPECT_EQ(*answer("SELECT MIN(tags.t) AS l, MAX(tags.t) AS h FROM devices", kFleet), "{\"l\":5,\"h\":\"y\"}\n");
  EXPECT_EQ(*answer("SELECT MIN(tags.t) AS l, MAX(tags.t) AS h FROM devices",
                    {R"({"tags":{"t":-1}})", R"({"tags":{"t":-3}})", R"({"tags":{"t":-2}})", R"({"tags":{"t":true}})"}),
            "{\"l\":-3,\"h\":-1}\n");
}

TEST(Aggregation, a_sum_that_no_number_holds_is_left_out) {
  EXPECT_EQ(*answer("SELECT SUM(tags.n) AS s, COUNT() AS c FROM devices",
                    {R"({"tags":{"n":1e308}})", R"({"tags":{"n":1e308}})"}),
            "{\"c\":2}\n");
}

TEST(Aggregation, rows_go_on_after_a_key) {
  const Query query = parse_query("SELECT tags.s, COUNT() FROM devices GROUP BY tags.s").value();
  Aggregation aggregation(query);
  for (const char* one : kFleet) {
    const json::Object object = json::parse_object(one).value();
    JsonDocument document(object);
    ASSERT_TRUE(aggregation.add(document));
  }
  const auto first = aggregation.rows("", 3);
  ASSERT_EQ(first.size(), 3U);
  const auto second = aggregation.rows(first.back().key, 3);
  ASSERT_EQ(second.size(), 1U);
  EXPECT_TRUE(second[0].members.at("s").is_null());
  EXPECT_TRUE(aggregation.rows(second.back().key, 3).empty());
}

TEST(Aggregation, what_it_remembers_is_bounded) {
  const auto refusal = [](const char* text, std::initializer_list<const char*> documents, const Limits& limits) {
    const auto refused = answer(text, documents, limits);
    EXPECT_FALSE(refused);
    if (refused) return std::string{};
    EXPECT_EQ(refused.error().code, Code::too_large);
    return refused.error().message;
  };
  const char* const by = "SELECT COUNT() FROM devices GROUP BY tags.s";
  EXPECT_NE(refusal(by, kFleet, {.groups = 3}).find("more than 3 groups"), std::string::npos);
  EXPECT_TRUE(answer(by, kFleet, {.groups = 4}));
  EXPECT_NE(refusal(by, {R"({"tags":{"s":"long enough"}})"}, {.group_key_bytes = 8}).find("at most 8"),
            std::string::npos);
  EXPECT_NE(refusal(by, {R"({"tags":{"s":{}}})"}, {}).find("'tags.s' is an object or a list"), std::string::npos);
  EXPECT_NE(refusal(by, kFleet, {.aggregation_bytes = 200}).find("more than 200 bytes"), std::string::npos);
  EXPECT_NE(refusal("SELECT MAX(tags.s) FROM devices", {R"({"tags":{"s":"a long text, longer than twenty"}})"},
                    {.aggregation_bytes = 20})
                .find("more than 20 bytes"),
            std::string::npos);
}

}  // namespace
}  // namespace godwit::hub::query
