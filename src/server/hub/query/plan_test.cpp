// Goal: a plan leaves out as much as it can and nothing that the condition selects. Method: tables of conditions and
// the plan read off them, as text; the differential test over a store is in api/iothub/query_test.cpp.
#include "server/hub/query/plan.hpp"

#include <gtest/gtest.h>

#include "server/hub/query/parser.hpp"

namespace godwit::hub::query {
namespace {

std::string shown(const Plan& plan) {
  std::string text;
  if (plan.ids) {
    text += "ids";
    for (const std::string& id : *plan.ids) text += " " + id;
    text += "; ";
  }
  if (!plan.least.empty()) text += "from " + plan.least + "; ";
  if (!plan.greatest.empty()) text += "to " + plan.greatest + "; ";
  if (plan.tag) text += "tag " + plan.tag->name + "=" + plan.tag->value + "; ";
  if (plan.is_connected) text += *plan.is_connected ? "connected; " : "disconnected; ";
  if (plan.is_enabled) text += *plan.is_enabled ? "enabled; " : "disabled; ";
  return text;
}

std::string shown(const Parts& parts) {
  std::string text;
  if (parts.head) text += "head ";
  if (parts.tags) text += "tags ";
  if (parts.desired) text += "desired ";
  if (parts.desired_metadata) text += "desired-metadata ";
  if (parts.reported) text += "reported ";
  if (parts.reported_metadata) text += "reported-metadata ";
  if (parts.section_versions) text += "versions ";
  return text;
}

struct Case {
  std::string condition;
  std::string plan;
};

TEST(Plan, narrows_by_ids_tags_and_columns) {
  const std::string long_text(257, 'x');
  const Case cases[] = {
      {"true", ""},
      {"deviceId = 'b'", "ids b; "},
      {"'b' = deviceId", "ids b; "},
      {"deviceId IN ['b', 'a', 'b']", "ids a b; "},
      {"deviceId = 'b' OR deviceId IN ['a']", "ids a b; "},
      {"deviceId = 'b' OR tags.x = 'y'", ""},
      {"deviceId IN ['a', 'b'] AND deviceId IN ['b', 'c']", "ids b; "},
      {"deviceId = 'a' AND deviceId = 'b'", "ids; "},
      {"deviceId NIN ['a']", ""},
      {"deviceId != 'a'", ""},
      {"NOT deviceId = 'a'", ""},
      {"deviceId > 'a' AND deviceId <= 'c' AND 'b' < deviceId", "from b; to c; "},
      {"deviceId >= 'b' AND deviceId < 'c' AND deviceId < 'd'", "from b; to c; "},
      {"STARTSWITH(deviceId, 'ab')", "from ab; to ab\x7F; "},
      {"STARTSWITH(deviceId, 'ab') OR true", ""},
      {"STARTSWITH(tags.x, 'ab')", ""},
      {"tags.ADUGroup = 'g'", "tag ADUGroup=g; "},
      {"'g' = tags.a.b.c AND tags.d = 'e'", "tag a.b.c=g; "},
      {"tags.a.b.c.d = 'x'", ""},
      {"tags.a = 1", ""},
      {"tags.a > 'x'", ""},
      {"tags.a = '" + long_text + "'", ""},
      {"tags.a = '" + long_text.substr(1) + "'", "tag a=" + long_text.substr(1) + "; "},
      {R"(tags.[[a"b]] = 'x')", ""},
      {R"(tags.[[a\b]] = 'x')", ""},
      {"connectionState = 'Connected' AND status = 'disabled'", "connected; disabled; "},
      {"connectionState = 'Disconnected' AND status = 'enabled'", "disconnected; enabled; "},
      {"connectionState = 'connected'", ""},
      {"connectionState != 'Connected'", ""},
      {"connectionState = 'Connected' OR tags.a = 'b'", ""},
      {"deviceId > 'a' AND (tags.a = 'b' AND (status = 'enabled' AND true))", "from a; tag a=b; enabled; "},
  };
  for (const Case& one : cases)
    EXPECT_EQ(shown(plan_of(parse_condition(one.condition).value())), one.plan) << one.condition;
}

TEST(Plan, modules_lie_in_the_range_of_their_device) {
  const auto plan = [](const char* text) { return shown(plan_of(parse_condition(text, Collection::modules).value())); };
  EXPECT_EQ(plan("deviceId = 'd' AND moduleId = 'm'"), "from d/; to d/\x7F; ");
  EXPECT_EQ(plan("deviceId IN ['d', 'e']"), "");
  EXPECT_EQ(plan("deviceId <= 'd'"), "");
  EXPECT_EQ(plan("STARTSWITH(deviceId, 'd')"), "from d; to d\x7F; ");
  EXPECT_EQ(plan("tags.a = 'b'"), "tag a=b; ");
}

TEST(Plan, reads_only_the_parts_that_somebody_asks_for) {
  const Case conditions[] = {
      {"deviceId = 'a'", ""},
      {"tags.a = 1 OR status = 'x'", "head tags "},
      {"properties.reported.a.b = 1", "reported "},
      {"properties.desired.a = 1", "desired "},
      {"properties.reported.$version > 1", "versions "},
      {"properties.desired.$metadata.a.$lastUpdated > '2026'", "desired-metadata "},
      {"IS_DEFINED(properties.reported)", "reported reported-metadata versions "},
      {"IS_DEFINED(properties)", "desired desired-metadata reported reported-metadata versions "},
  };
  for (const Case& one : conditions)
    EXPECT_EQ(shown(plan_of(parse_condition(one.condition).value()).condition_parts), one.plan) << one.condition;

  const auto answer = [](const char* text) { return shown(plan_of(parse_query(text).value()).answer_parts); };
  EXPECT_EQ(answer("SELECT * FROM devices WHERE tags.a = 1"), "");
  EXPECT_EQ(answer("SELECT deviceId FROM devices"), "");
  EXPECT_EQ(answer("SELECT COUNT() FROM devices"), "");
  EXPECT_EQ(answer("SELECT tags, AVG(properties.reported.t) FROM devices GROUP BY tags"), "tags reported ");
  EXPECT_EQ(answer("SELECT COUNT() FROM devices GROUP BY modelId"), "head ");
}

}  // namespace
}  // namespace godwit::hub::query
