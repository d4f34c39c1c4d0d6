#include "core/base/json.hpp"

#include <gtest/gtest.h>

using namespace godwit;

namespace {

Error refusal(std::string_view text, json::Limits limits = {}) {
  auto parsed = json::parse(text, limits);
  if (parsed) return {Code::ok, "accepted: " + json::print(*parsed)};
  return parsed.error();
}

std::string reprint(std::string_view text) {
  auto parsed = json::parse(text);
  return parsed ? json::print(*parsed) : "refused: " + parsed.error().message;
}

}  // namespace

TEST(Json, reads_and_prints_members_in_their_order) {
  EXPECT_EQ(reprint(R"( {"b": [1, -2, true, null, "x"], "a": {"": {}}, "c": []} )"),
            R"({"b":[1,-2,true,null,"x"],"a":{"":{}},"c":[]})");
}

TEST(Json, keeps_numbers_what_they_were) {
  for (const char* text : {"0", "-1", "9223372036854775807", "-9223372036854775808", "18446744073709551615", "0.1",
                           "1.5", "-2.25", "3.0", "1e+300", "0.30000000000000004", "5e-324", "1.7976931348623157e+308"})
    EXPECT_EQ(reprint(text), text);
  EXPECT_EQ(reprint("1E2"), "100.0");
  EXPECT_EQ(reprint("1e-400"), "0.0");
}

TEST(Json, refuses_numbers_that_do_not_fit) {
  EXPECT_NE(refusal("1e400").message.find("too large for a double"), std::string::npos);
  EXPECT_NE(refusal("-1e400").message.find("too large for a double"), std::string::npos);
  EXPECT_NE(refusal("18446744073709551616").message.find("64 bits"), std::string::npos);
  EXPECT_NE(refusal("-9223372036854775809").message.find("64 bits"), std::string::npos);
  for (const char* text : {"NaN", "Infinity", "01", "+1", "1.", ".5", "0x10"})
    EXPECT_EQ(refusal(text).code, Code::bad_json) << text;
}

TEST(Json, refuses_a_key_that_stands_twice_in_one_object_only) {
  const auto twice = refusal(R"({"a":1,"b":{"a":2},"a":3})");
  EXPECT_EQ(twice.code, Code::bad_json);
  EXPECT_EQ(twice.message, R"(JSON text, byte 21: the key "a" stands twice in one object)");
  EXPECT_EQ(refusal(R"({"a\u0062":1,"ab":2})").code, Code::bad_json);  // written differently, the same key
  EXPECT_EQ(refusal(R"({"a":{"a":1},"b":{"a":2},"c":[{"a":1},{"a":1}]})").code, Code::ok);
}

TEST(Json, refuses_nul_and_invalid_utf8) {
  EXPECT_NE(refusal(R"({"a":"x\u0000y"})").message.find("NUL"), std::string::npos);
  EXPECT_NE(refusal(R"({"a\u0000":1})").message.find("NUL"), std::string::npos);
  for (const char* text :
       {"\"\xff\"", "\"\xc0\x80\"", "\"\xed\xa0\x80\"", R"("\ud800")", R"("\ud800\u0041")", "\"a\nb\"", "{\"\xff\":1}"})
    EXPECT_EQ(refusal(text).code, Code::bad_json) << text;
  EXPECT_EQ(reprint(R"("\ud83d\udc26")"), "\"\xf0\x9f\x90\xa6\"");
}

TEST(Json, refuses_what_is_not_exactly_one_value) {
  for (const char* text :
       {"", " ", "{", "[1", "[1,]", "{\"a\":1,}", "{'a':1}", "{\"a\"}", "// c\n1", "tru", "\"open", "1 2", "{} x", "]"})
    EXPECT_EQ(refusal(text).code, Code::bad_json) << text;
  EXPECT_NE(refusal("{} x").message.find("byte 3"), std::string::npos) << refusal("{} x").message;
  EXPECT_NE(refusal("[1,2,x]").message.find("byte 5"), std::string::npos) << refusal("[1,2,x]").message;
}

TEST(Json, holds_its_limits_of_depth_and_size) {
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_TRUE(json::parse(nested(5), {.bytes = 100, .depth = 5}));
  EXPECT_NE(refusal(nested(6), {.bytes = 100, .depth = 5}).message.find("deeper than 5"), std::string::npos);
  EXPECT_EQ(refusal(std::string(100'000, '[')).code, Code::bad_json);
  EXPECT_TRUE(json::parse(nested(50), {.bytes = 100, .depth = 64}));
  EXPECT_EQ(refusal(nested(51), {.bytes = 100, .depth = 64}).code, Code::too_large);
}

TEST(Json, escapes_what_it_prints) {
  const json::Object object{{"q\"", "a\\b\n\x01\x7f\xc3\xa9"}};
  EXPECT_EQ(json::print(object), "{\"q\\\"\":\"a\\\\b\\n\\u0001\x7f\xc3\xa9\"}");
  EXPECT_EQ(json::parse(json::print(object)).value(), json::Value(object));
}

TEST(Json, reads_members_and_says_which_is_wrong) {
  const auto root =
      json::parse_object(R"({"name":"fjord","count":3,"in":{},"list":[1],"big":18446744073709551615})").value();
  EXPECT_EQ(json::text(root, "name", "").value(), "fjord");
  EXPECT_EQ(json::integer(root, "count", "").value(), 3);
  EXPECT_TRUE(json::object(root, "in", "").value()->empty());
  EXPECT_EQ(json::array(root, "list", "").value()->size(), 1U);
  EXPECT_EQ(json::text(root, "nome", "updateId").error().message, "updateId.nome is missing");
  EXPECT_EQ(json::text(root, "count", "updateId").error().message, "updateId.count must be a string");
  EXPECT_EQ(json::integer(root, "name", "").error().message, "name must be an integer");
  EXPECT_EQ(json::integer(root, "big", "").error().message, "big must be an integer below 2^63");
  EXPECT_EQ(json::object(root, "list", "").error().message, "list must be an object");
  EXPECT_EQ(json::array(root, "in", "").error().message, "in must be an array");
  EXPECT_FALSE(json::text_or_nothing(root, "count"));
  EXPECT_FALSE(json::integer_or_nothing(root, "name"));
  EXPECT_EQ(json::object_or_null(root, "name"), nullptr);
  EXPECT_EQ(json::parse_object("[]").error().message, "JSON text must be an object");
}
