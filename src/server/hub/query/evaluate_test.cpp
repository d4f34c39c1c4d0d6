// Goal: what a condition means over one document, undefined included. Method: one table of conditions over one twin,
// each with the truth it has.
#include "server/hub/query/evaluate.hpp"

#include <gtest/gtest.h>

#include "server/hub/query/parser.hpp"

namespace godwit::hub::query {
namespace {

json::Object twin() {
  return *json::parse_object(R"({
    "deviceId": "line-7", "status": "enabled", "connectionState": "Connected", "version": 12,
    "capabilities": {"iotEdge": false},
    "tags": {"site": "Z\u00fcrich", "floor": 3, "half": 0.5, "on": true, "off": false, "nothing": null, "list": [1],
             "place": {"hall": "B"}, "Site": "other", "a-b": 1, "empty": "", "big": 18446744073709551615},
    "properties": {"desired": {"$version": 4, "rate": 60, "$metadata": {"rate": {"$lastUpdated": "2026"}}},
                   "reported": {"$version": 7, "rate": 60, "agent": {"state": "idle"}}}})");
}

enum class Truth { no, yes, undefined };

Truth truth_of(const std::string& text) {
  const auto condition = parse_condition(text);
  EXPECT_TRUE(condition) << text << "\n" << condition.error().message;
  const json::Object document_text = twin();
  JsonDocument document(document_text);
  const Value value = evaluate(condition->where, document);
  const bool selected = is_true(condition->where, document);
  EXPECT_EQ(selected, value.type == Type::boolean && value.boolean) << text;
  if (value.type == Type::undefined) return Truth::undefined;
  EXPECT_EQ(value.type, Type::boolean) << text;
  return value.boolean ? Truth::yes : Truth::no;
}

struct Case {
  const char* condition;
  Truth truth;
};

TEST(Evaluate, compares_primitives_of_one_kind_only) {
  const Case cases[] = {
      {"deviceId = 'line-7'", Truth::yes},
      {"DEVICEID = 'line-7'", Truth::yes},
      {"devices.deviceId = 'line-7'", Truth::yes},
      {"deviceId = 'LINE-7'", Truth::no},
      {"tags.site = 'Z\u00fcrich'", Truth::yes},
      {"tags.Site = 'other'", Truth::yes},
      {"tags.SITE = 'other'", Truth::undefined},
      {"tags.floor = 3", Truth::yes},
      {"tags.floor = 3.0", Truth::yes},
      {"tags.floor != 3", Truth::no},
      {"tags.floor <> 4", Truth::yes},
      {"tags.floor < 4 AND tags.floor <= 3 AND tags.floor > 2 AND tags.floor >= 3", Truth::yes},
      {"tags.half = 0.5", Truth::yes},
      {"tags.big > 1e19", Truth::yes},
      {"tags.site > 'A'", Truth::yes},
      {"tags.empty = ''", Truth::yes},
      {"tags.floor = '3'", Truth::undefined},
      {"tags.floor != '3'", Truth::undefined},
      {"tags.floor < 'x'", Truth::undefined},
      {"tags.on = true", Truth::yes},
      {"tags.off < tags.on", Truth::yes},
      {"tags.on = 1", Truth::undefined},
      {"tags.nothing = null", Truth::yes},
      {"tags.nothing != null", Truth::no},
      {"tags.floor = null", Truth::undefined},
      {"tags.missing = null", Truth::undefined},
      {"tags.missing = undefined", Truth::undefined},
      {"tags.missing != 'x'", Truth::undefined},
      {"tags.missing < 1", Truth::undefined},
      {"tags.place = tags.place", Truth::undefined},
      {"tags.list = tags.list", Truth::undefined},
      {"tags.place.hall = 'B'", Truth::yes},
      {"tags.site.deeper = 'x'", Truth::undefined},
      {"tags.[[a-b]] = 1", Truth::yes},
      {"properties.desired.rate = properties.reported.rate", Truth::yes},
      {"properties.reported.$version = 7", Truth::yes},
      {"properties.desired.$metadata.rate.$lastUpdated = '2026'", Truth::yes},
      {"capabilities.iotEdge != true", Truth::yes},
  };
  for (const Case& one : cases) EXPECT_EQ(truth_of(one.condition), one.truth) << one.condition;
}

TEST(Evaluate, knows_three_truths) {
  const Case cases[] = {
      {"true", Truth::yes},
      {"tags.on", Truth::yes},
      {"NOT tags.on", Truth::no},
      {"NOT tags.floor", Truth::undefined},
      {"NOT tags.missing", Truth::undefined},
      {"NOT tags.missing = 'x'", Truth::undefined},
      {"NOT IS_DEFINED(tags.missing)", Truth::yes},
      {"tags.missing AND false", Truth::no},
      {"false AND tags.missing", Truth::no},
      {"tags.missing AND true", Truth::undefined},
      {"tags.missing OR true", Truth::yes},
      {"true OR tags.missing", Truth::yes},
      {"tags.missing OR false", Truth::undefined},
      {"NOT (tags.missing AND false)", Truth::yes},
      {"tags.floor AND true", Truth::undefined},
      {"true AND true AND false", Truth::no},
      {"false OR false OR true", Truth::yes},
      {"(tags.missing = 1) = true", Truth::undefined},
      {"(tags.floor = 3) = true", Truth::yes},
  };
  for (const Case& one : cases) EXPECT_EQ(truth_of(one.condition), one.truth) << one.condition;
}

TEST(Evaluate, looks_up_lists) {
  const Case cases[] = {
      {"tags.site IN ['Basel', 'Z\u00fcrich', 'Bern']", Truth::yes},
      {"tags.site IN ['Basel']", Truth::no},
      {"tags.site NIN ['Basel']", Truth::yes},
      {"tags.site IN []", Truth::no},
      {"tags.floor IN [1, 2, 3]", Truth::yes},
      {"tags.floor IN ['3']", Truth::no},
      {"tags.floor NIN ['3']", Truth::yes},
      {"tags.nothing IN [null]", Truth::yes},
      {"tags.on IN [false]", Truth::no},
      {"tags.off IN [false]", Truth::yes},
      {"tags.missing IN ['x']", Truth::undefined},
      {"tags.missing NIN ['x']", Truth::undefined},
      {"tags.missing IN [undefined]", Truth::undefined},
      {"tags.list IN [1]", Truth::undefined},
      {"'x' IN ['x']", Truth::yes},
  };
  for (const Case& one : cases) EXPECT_EQ(truth_of(one.condition), one.truth) << one.condition;
}

TEST(Evaluate, computes_with_numbers_and_nothing_else) {
  const Case cases[] = {
      {"tags.floor + 1 = 4", Truth::yes},
      {"tags.floor - 1 = 2", Truth::yes},
      {"tags.floor * 2 = 6", Truth::yes},
      {"tags.floor / 2 = 1.5", Truth::yes},
      {"tags.floor % 2 = 1", Truth::yes},
      {"-tags.floor = -3", Truth::yes},
      {"1 + 2 * 3 = 7", Truth::yes},
      {"10 - 2 - 3 = 5", Truth::yes},
      {"tags.floor / 0 = 1", Truth::undefined},
      {"tags.floor % 0 = 1", Truth::undefined},
      {"1e308 * 10 > 1", Truth::undefined},
      {"tags.site + 'x' = 'x'", Truth::undefined},
      {"tags.floor + '1' = 4", Truth::undefined},
      {"tags.missing + 1 = 1", Truth::undefined},
      {"-tags.site = 1", Truth::undefined},
  };
  for (const Case& one : cases) EXPECT_EQ(truth_of(one.condition), one.truth) << one.condition;
}

TEST(Evaluate, calls_functions) {
  const Case cases[] = {
      {"IS_DEFINED(tags.nothing)", Truth::yes},
      {"IS_DEFINED(tags.place)", Truth::yes},
      {"IS_DEFINED(tags.missing)", Truth::no},
      {"IS_DEFINED(tags.missing = 1)", Truth::no},
      {"IS_NULL(tags.nothing)", Truth::yes},
      {"IS_NULL(tags.missing)", Truth::no},
      {"IS_BOOL(tags.off)", Truth::yes},
      {"IS_NUMBER(tags.half)", Truth::yes},
      {"IS_NUMBER(tags.site)", Truth::no},
      {"IS_STRING(tags.site)", Truth::yes},
      {"IS_ARRAY(tags.list)", Truth::yes},
      {"IS_OBJECT(tags.place)", Truth::yes},
      {"IS_OBJECT(tags.list)", Truth::no},
      {"IS_PRIMITIVE(tags.nothing)", Truth::yes},
      {"IS_PRIMITIVE(tags.place)", Truth::no},
      {"IS_PRIMITIVE(tags.missing)", Truth::no},
      {"STARTSWITH(deviceId, 'line')", Truth::yes},
      {"STARTSWITH(deviceId, 'Line')", Truth::no},
      {"STARTSWITH(deviceId, '')", Truth::yes},
      {"ENDSWITH(deviceId, '-7')", Truth::yes},
      {"CONTAINS(deviceId, 'ne-')", Truth::yes},
      {"CONTAINS(deviceId, 'x')", Truth::no},
      {"CONTAINS(tags.floor, '3')", Truth::undefined},
      {"STARTSWITH(tags.missing, 'x')", Truth::undefined},
      {"STARTSWITH(deviceId, tags.missing)", Truth::undefined},
  };
  for (const Case& one : cases) EXPECT_EQ(truth_of(one.condition), one.truth) << one.condition;
}

TEST(Evaluate, jobs_are_read_with_and_without_their_prefix) {
  const json::Object job = *json::parse_object(R"({"jobId":"j","deviceId":"d","status":"completed"})");
  JsonDocument document(job);
  for (const char* text : {"devices.jobs.jobId = 'j'", "jobId = 'j' AND devices.jobs.status = 'completed'"})
    EXPECT_TRUE(is_true(parse_condition(text, Collection::jobs)->where, document)) << text;
}

TEST(Project, gives_the_named_members_and_leaves_undefined_ones_out) {
  const auto row_of = [](const char* text) {
    const json::Object document_text = twin();
    JsonDocument document(document_text);
    return json::print(project(*parse_query(text), document));
  };
  EXPECT_EQ(row_of("SELECT deviceId, tags.site AS s, tags.missing FROM devices"),
            "{\"deviceId\":\"line-7\",\"s\":\"Z\u00fcrich\"}");
  EXPECT_EQ(row_of("SELECT DEVICEID, tags.place, tags.nothing AS n FROM devices"),
            R"({"deviceId":"line-7","place":{"hall":"B"},"n":null})");
}

TEST(Evaluate, numbers_are_printed_without_a_needless_fraction) {
  EXPECT_EQ(json::print(number_json(3)), "3");
  EXPECT_EQ(json::print(number_json(-0.5)), "-0.5");
  EXPECT_EQ(json::parse(json::print(number_json(1e300)))->as_double(), 1e300);
}

}  // namespace
}  // namespace godwit::hub::query
