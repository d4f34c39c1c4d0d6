// Goal: each form of the language is read as it is meant, and every refusal names the place and what was expected.
// Method: tables; a parsed query is printed in a form where precedence shows.
#include "server/hub/query/parser.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "server/hub/query/binding.hpp"

namespace godwit::hub::query {
namespace {

std::string shown(const Constant& constant) {
  switch (constant.type) {
    case Type::null: return "null";
    case Type::boolean: return constant.boolean ? "true" : "false";
    case Type::number: return fmt::format("{}", constant.number);
    case Type::text: return "'" + constant.text + "'";
    default: return "undefined";
  }
}

std::string shown(const ConstantSet& set) {
  std::string text;
  for (const std::string& one : set.texts) text += " '" + one + "'";
  for (const double one : set.numbers) text += fmt::format(" {}", one);
  if (set.has_null) text += " null";
  if (set.has_true) text += " true";
  if (set.has_false) text += " false";
  return "[" + text + " ]";
}

constexpr std::string_view kOperations[] = {"=", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "%"};
constexpr std::string_view kFunctions[] = {"is_defined", "is_null",  "is_bool",   "is_number",
                                           "is_string",  "is_array", "is_object", "is_primitive",
                                           "startswith", "endswith", "contains"};

std::string shown(const Expression& node) {
  std::string operands;
  for (const Expression& operand : node.operands) operands += " " + shown(operand);
  switch (node.kind) {
    case Kind::constant: return shown(node.constant);
    case Kind::path: return path_text(node.path);
    case Kind::all: return "(and" + operands + ")";
    case Kind::any: return "(or" + operands + ")";
    case Kind::negation: return "(not" + operands + ")";
    case Kind::comparison:
    case Kind::arithmetic: return fmt::format("({}{})", kOperations[static_cast<int>(node.operation)], operands);
    case Kind::minus: return "(neg" + operands + ")";
    case Kind::membership: return fmt::format("({}{} {})", node.is_negated ? "nin" : "in", operands, shown(node.set));
    case Kind::call: return fmt::format("({}{})", kFunctions[static_cast<int>(node.function)], operands);
  }
  return "?";
}

std::string shown(const Query& query) {
  constexpr std::string_view kCollections[] = {"devices", "modules", "jobs"};
  constexpr std::string_view kAggregates[] = {"", "count ", "avg ", "sum ", "min ", "max "};
  std::string text;
  if (query.top) text += fmt::format("top {} ", *query.top);
  text += query.is_everything ? "*" : "";
  for (const Projection& one : query.projections)
    text += fmt::format("<{}{} as {}>", kAggregates[static_cast<int>(one.aggregate)],
                        one.path ? path_text(*one.path) : "", one.name);
  text += fmt::format(" from {}", kCollections[static_cast<int>(query.collection)]);
  if (query.where) text += " where " + shown(*query.where);
  for (const Path& path : query.group_by) text += " by " + path_text(path);
  return text;
}

struct Case {
  std::string_view text;
  std::string_view meaning;
};

TEST(ParseQuery, reads_every_clause) {
  const Case cases[] = {
      {"SELECT * FROM devices", "* from devices"},
      {"select  *\n\tfrom\r\nDEVICES ;", "* from devices"},
      {"SELECT * FROM devices.modules", "* from modules"},
      {"SELECT * FROM Devices.Jobs WHERE devices.jobs.jobId = 'j'", "* from jobs where (= jobId 'j')"},
      {"SELECT TOP 5 * FROM devices", "top 5 * from devices"},
      {"SELECT deviceId, tags.ADUGroup AS g FROM devices", "<deviceId as deviceId><tags.ADUGroup as g> from devices"},
      {"SELECT DeviceId, LastActivityTime FROM devices",
       "<deviceId as deviceId><lastActivityTime as lastActivityTime> from devices"},
      {"select properties.reported.[[$iotin:deviceinfo]].manufacturer.value as m from devices",
       "<properties.reported.[[$iotin:deviceinfo]].manufacturer.value as m> from devices"},
      {"SELECT COUNT() FROM devices", "<count  as $1> from devices"},
      {"SELECT COUNT() AS c FROM devices", "<count  as c> from devices"},
      {"SELECT count(*), COUNT(tags.a) FROM devices", "<count  as $1><count tags.a as $2> from devices"},
      {"SELECT properties.reported.s AS s, COUNT() AS n, AVG(properties.reported.t) AS t FROM devices GROUP BY "
       "properties.reported.s",
       "<properties.reported.s as s><count  as n><avg properties.reported.t as t> from devices by "
       "properties.reported.s"},
      {"SELECT SUM(version) AS a, MIN(version) AS b, MAX(version) AS c FROM devices",
       "<sum version as a><min version as b><max version as c> from devices"},
      {"SELECT status FROM devices GROUP BY status, connectionState",
       "<status as status> from devices by status by connectionState"},
      {"SELECT tags.x AS group FROM devices", "<tags.x as group> from devices"},
      {"SELECT moduleId FROM devices.modules WHERE devices.modules.moduleId = 'm' AND devices.deviceId = 'd'",
       "<moduleId as moduleId> from modules where (and (= moduleId 'm') (= deviceId 'd'))"},
      {"SELECT * FROM devices WHERE tags.group.name = 'x' OR tags.[[group]].select = 'y'",
       "* from devices where (or (= tags.group.name 'x') (= tags.group.select 'y'))"},
  };
  for (const Case& one : cases) {
    const auto query = parse_query(one.text);
    ASSERT_TRUE(query) << one.text << "\n" << query.error().message;
    EXPECT_EQ(shown(*query), one.meaning) << one.text;
  }
}

TEST(ParseCondition, reads_operators_by_their_precedence) {
  const Case cases[] = {
      {"", "true"},
      {"*", "true"},
      {"tags.x='y'", "(= tags.x 'y')"},
      {"tags.a = 1 OR tags.b = 2 AND NOT tags.c = 3", "(or (= tags.a 1) (and (= tags.b 2) (not (= tags.c 3))))"},
      {"(tags.a = 1 or tags.b = 2) and tags.c = 3", "(and (or (= tags.a 1) (= tags.b 2)) (= tags.c 3))"},
      {"tags.a AND tags.b AND tags.c", "(and tags.a tags.b tags.c)"},
      {"not not tags.a", "(not (not tags.a))"},
      {"tags.a + 1 * 2 - 3 / 4 % 5 >= -tags.b", "(>= (- (+ tags.a (* 1 2)) (% (/ 3 4) 5)) (neg tags.b))"},
      {"(tags.a + 1) * 2 != 4", "(!= (* (+ tags.a 1) 2) 4)"},
      {"tags.a <> 1", "(!= tags.a 1)"},
      {"tags.a < 1", "(< tags.a 1)"},
      {"tags.a <= 1", "(<= tags.a 1)"},
      {"tags.a > +1", "(> tags.a 1)"},
      {"1 = tags.a", "(= 1 tags.a)"},
      {"tags.a IN ['b', \"a\", 3, -1, 0x10, null, true]", "(in tags.a [ 'a' 'b' -1 3 16 null true ])"},
      {"tags.a NIN []", "(nin tags.a [ ])"},
      {"NOT tags.a IN [false, undefined]", "(not (in tags.a [ false ]))"},
      {"tags.a = true AND tags.b = FALSE AND tags.c = Null AND tags.d = undefined",
       "(and (= tags.a true) (= tags.b false) (= tags.c null) (= tags.d undefined))"},
      {"tags.a = 1.5e3", "(= tags.a 1500)"},
      {"tags.a = .5", "(= tags.a 0.5)"},
      {"tags.a = 0XfF", "(= tags.a 255)"},
      {R"(tags.a = 'it\'s \"so\" \\ \u00e9 \ud83d\ude00')", "(= tags.a 'it's \"so\" \\ \u00e9 \U0001F600')"},
      {R"(tags.a = "it's")", "(= tags.a 'it's')"},
      {"is_defined(tags.a) and Is_Object(tags.b) and IS_NULL(tags.c)",
       "(and (is_defined tags.a) (is_object tags.b) (is_null tags.c))"},
      {"IS_BOOL(tags.a) OR IS_NUMBER(tags.a) OR IS_STRING(tags.a) OR IS_ARRAY(tags.a) OR IS_PRIMITIVE(tags.a)",
       "(or (is_bool tags.a) (is_number tags.a) (is_string tags.a) (is_array tags.a) (is_primitive tags.a))"},
      {"STARTSWITH(deviceId, 'a') OR starts_with(deviceId, 'a') OR ENDSWITH(deviceId, tags.x)",
       "(or (startswith deviceId 'a') (startswith deviceId 'a') (endswith deviceId tags.x))"},
      {"CONTAINS(tags.a, 'b') = false", "(= (contains tags.a 'b') false)"},
      {"devices.deviceid IN ['x']", "(in deviceId [ 'x' ])"},
      {"CAPABILITIES.iotEdge != true", "(!= capabilities.iotEdge true)"},
      {"tags.\u00fcmlaut = 1", "(= tags.[[\u00fcmlaut]] 1)"},
      {"[[tags]].a = 1", "(= tags.a 1)"},
  };
  for (const Case& one : cases) {
    const auto condition = parse_condition(one.text);
    ASSERT_TRUE(condition) << one.text << "\n" << condition.error().message;
    EXPECT_EQ(shown(condition->where), one.meaning) << one.text;
  }
}

TEST(ParseQuery, refuses_with_the_place_and_what_was_expected) {
  const Case cases[] = {
      {"", "at position 1: expected SELECT, found the end of the query"},
      {"DELETE FROM devices", "at position 1: expected SELECT, found 'DELETE'"},
      {"SELECT FROM devices", "at position 8: expected '*', a path or an aggregate like COUNT(), found 'FROM'"},
      {"SELECT *", "at position 9: expected FROM, found the end of the query"},
      {"SELECT * FROM twins",
       "at position 15: expected devices, devices.modules or devices.jobs after FROM, found 'twins'"},
      {"SELECT * FROM [[devices]]", "at position 15: expected devices"},
      {"SELECT * FROM devices d", "at position 23: expected WHERE, GROUP BY or the end of the query, found 'd'"},
      {"SELECT *, deviceId FROM devices", "at position 9: expected FROM, found ','"},
      {"SELECT deviceId, FROM devices", "at position 18: expected '*', a path or an aggregate"},
      {"SELECT deviceId AS FROM devices", "at position 25: expected FROM, found 'devices'"},
      {"SELECT deviceId AS a.b FROM devices", "at position 20: expected a name after AS, found 'a.b'"},
      {"SELECT TOP 0 * FROM devices", "at position 12: expected a whole number from 1 to 1000000000 after TOP"},
      {"SELECT TOP 1.5 * FROM devices", "after TOP, found the number 1.5"},
      {"SELECT TOP x * FROM devices", "after TOP, found 'x'"},
      {"SELECT DISTINCT tags.a FROM devices", "at position 17: expected FROM, found 'tags.a'"},
      {"SELECT * FROM devices ORDER BY deviceId", "there is no ORDER BY"},
      {"SELECT * FROM devices LIMIT 5", "write SELECT TOP n"},
      {"SELECT * FROM devices JOIN x", "there is no JOIN"},
      {"SELECT * FROM devices WHERE", "at position 28: expected a path, a constant or a function, found the end"},
      {"SELECT * FROM devices WHERE tags.a", ""},
      {"SELECT * FROM devices WHERE tags.a == 1",
       "at position 36: expected an operator, GROUP BY or the end of the query, "
       "found '==' (equality is written =)"},
      {"SELECT * FROM devices WHERE tags.a NOT IN ['x']", "NOT IN is written NIN"},
      {"SELECT * FROM devices WHERE tags.a LIKE 'x%'", "there are STARTSWITH(x, y)"},
      {"SELECT * FROM devices WHERE tags.a IS NULL", "write IS_NULL(x)"},
      {"SELECT * FROM devices WHERE tags.a BETWEEN 1 AND 2", "write x >= a AND x <= b"},
      {"SELECT * FROM devices WHERE tags.a = 1 = 2", "at position 40: expected an operator, GROUP BY"},
      {"SELECT * FROM devices WHERE tags.a = ['x']", "a list in [ ] stands only after IN or NIN"},
      {"SELECT * FROM devices WHERE tags.a IN 'x'", "at position 39: expected '[', found the text 'x'"},
      {"SELECT * FROM devices WHERE tags.a IN ['x'", "expected ']', found the end"},
      {"SELECT * FROM devices WHERE tags.a IN ['x',]", "expected a constant in the list of IN, found ']'"},
      {"SELECT * FROM devices WHERE tags.a IN [tags.b]", "expected a constant in the list of IN, found 'tags.b'"},
      {"SELECT * FROM devices WHERE tags.a IN [-'x']", "expected a constant in the list of IN"},
      {"SELECT * FROM devices WHERE (tags.a = 1", "expected ')', found the end of the query"},
      {"SELECT * FROM devices WHERE tags.a = 1)", "found ')'"},
      {"SELECT * FROM devices WHERE LOWER(tags.a) = 'x'", "at position 29: there is no function 'LOWER'"},
      {"SELECT * FROM devices WHERE IS_DEFINED()", "expected a path, a constant or a function, found ')'"},
      {"SELECT * FROM devices WHERE IS_DEFINED(tags.a, tags.b)", "expected ')', found ','"},
      {"SELECT * FROM devices WHERE STARTSWITH(tags.a)", "expected ',' and a second argument, found ')'"},
      {"SELECT * FROM devices WHERE colour = 'red'", "at position 29: twins have no member 'colour'"},
      {"SELECT colour FROM devices", "at position 8: twins have no member 'colour'"},
      {"SELECT * FROM devices WHERE properties.reportd.a = 1", "properties has only the members desired and reported"},
      {"SELECT * FROM devices WHERE devices = 1", "twins have no member 'devices'"},
      {"SELECT * FROM devices WHERE tags. a = 1", "at position 34: expected a name after '.'"},
      {"SELECT * FROM devices WHERE tags.a = 'x", "at position 38: a text is not closed by '"},
      {"SELECT * FROM devices WHERE tags.a = 'x\n'", "a control character inside of a text"},
      {R"(SELECT * FROM devices WHERE tags.a = '\n')", R"(the escapes of a text are \' \" \\ and \uXXXX)"},
      {R"(SELECT * FROM devices WHERE tags.a = '\u12')", "expected four hexadecimal digits"},
      {R"(SELECT * FROM devices WHERE tags.a = '\ud800')", "half of a surrogate pair"},
      {R"(SELECT * FROM devices WHERE tags.a = '\ud800\u0041')", "half of a surrogate pair"},
      {R"(SELECT * FROM devices WHERE tags.a = '\u0000')", "cannot stand in a text"},
      {"SELECT * FROM devices WHERE tags.a = 0x", "expected hexadecimal digits"},
      {"SELECT * FROM devices WHERE tags.a = 0x10000000000000000", "more than 64 bits"},
      {"SELECT * FROM devices WHERE tags.a = 1e999", "outside of what a double holds"},
      {"SELECT * FROM devices WHERE tags.a = 12abc", "'12a' is no number"},
      {"SELECT * FROM devices WHERE tags.a = 1.2.3", "is no number"},
      {"SELECT * FROM devices WHERE tags.[[a = 1", "at position 34: [[ is not closed by ]]"},
      {"SELECT * FROM devices WHERE tags.[[]] = 1", "[[ ]] holds no name"},
      {"SELECT * FROM devices WHERE tags.\u00fc = #", "at position 38: '#' means nothing here"},
      {"SELECT * FROM devices \x01", "at position 23: a control character"},
      {"SELECT COUNT FROM devices", "twins have no member 'COUNT'"},
      {"SELECT MEDIAN(version) FROM devices", "at position 8: 'MEDIAN' is no aggregate"},
      {"SELECT AVG() FROM devices", "expected a path inside of AVG()"},
      {"SELECT AVG(*) FROM devices", "expected a path inside of AVG()"},
      {"SELECT deviceId, COUNT() FROM devices", "at position 8: 'deviceId' stands beside an aggregate"},
      {"SELECT tags.a, COUNT() FROM devices GROUP BY tags.b", "'tags.a' stands beside an aggregate"},
      {"SELECT * FROM devices GROUP BY tags.a", "GROUP BY does not go with SELECT *"},
      {"SELECT COUNT() FROM devices GROUP tags.a", "expected BY, found 'tags.a'"},
      {"SELECT COUNT() FROM devices GROUP BY 'a'", "expected a path after GROUP BY"},
      {"SELECT tags.a, properties.reported.a FROM devices", "two members of the answer are called 'a'"},
      {"SELECT deviceId FROM devices.jobs", "from devices.jobs only SELECT * is served"},
      {"SELECT COUNT() FROM devices.jobs", "from devices.jobs only SELECT * is served"},
      {"SELECT * FROM devices WHERE tags.a = '\xff'", "not valid UTF-8"},
  };
  for (const Case& one : cases) {
    const auto query = parse_query(one.text);
    if (one.meaning.empty()) {
      EXPECT_TRUE(query) << one.text;
      continue;
    }
    ASSERT_FALSE(query) << one.text << "\n" << shown(*query);
    EXPECT_EQ(query.error().code, Code::invalid_argument) << one.text;
    EXPECT_NE(query.error().message.find(one.meaning), std::string::npos) << one.text << "\n" << query.error().message;
  }
}

TEST(ParseCondition, refuses_what_is_more_than_a_condition) {
  for (const std::string_view text :
       {"SELECT * FROM devices", "WHERE tags.a = 1", "tags.a = 1 GROUP BY tags.a", "* tags.a", "* *"})
    EXPECT_EQ(parse_condition(text).error().code, Code::invalid_argument) << text;
}

std::string repeated(std::string_view part, std::size_t times, std::string_view between = "") {
  std::string text;
  for (std::size_t i = 0; i < times; ++i) text.append(i == 0 ? "" : between).append(part);
  return text;
}

TEST(ParseQuery, holds_its_limits_of_size_and_depth) {
  struct Limit {
    std::string within;
    std::string beyond;
    Code code;
    std::string_view sentence;
  };
  const std::string select = "SELECT * FROM devices WHERE ";
  const Limit limits[] = {
      {select + "tags.a = '" + std::string(16'000, 'x') + "'", select + "tags.a = '" + std::string(17'000, 'x') + "'",
       Code::too_large, "at most 16384 are taken"},
      {select + repeated("(", 30) + "true" + repeated(")", 30), select + repeated("(", 65) + "true" + repeated(")", 65),
       Code::too_large, "nested deeper than 64 levels"},
      {select + repeated("NOT ", 60) + "true", select + repeated("NOT ", 64) + "true", Code::too_large,
       "nested deeper"},
      {select + repeated("-", 60) + "1", select + repeated("-", 8'000) + "1", Code::too_large, "nested deeper"},
      {select + repeated("+", 60) + "1", select + repeated("+", 8'000) + "1", Code::too_large, "nested deeper"},
      {select + repeated("1", 60, "+"), select + repeated("1", 70, "+"), Code::too_large, "nested deeper"},
      {select + repeated("true", 1'000, " OR "), select + "tags.a IN [" + repeated("1", 5'000, ",") + "]",
       Code::too_large, "more than 4096 operators, paths and constants"},
      {select + "tags" + repeated(".a", 15), select + "tags" + repeated(".a", 16), Code::invalid_argument,
       "more than 16 names"},
      {"SELECT COUNT() FROM devices GROUP BY " + repeated("tags.a", 8, ","),
       "SELECT COUNT() FROM devices GROUP BY " + repeated("tags.a", 9, ","), Code::invalid_argument,
       "GROUP BY names more than 8 paths"},
      {"SELECT " + repeated("COUNT()", 32, ",") + " FROM devices",
       "SELECT " + repeated("COUNT()", 33, ",") + " FROM devices", Code::invalid_argument,
       "SELECT names more than 32 members"},
  };
  for (const Limit& limit : limits) {
    const auto within = parse_query(limit.within);
    EXPECT_TRUE(within) << limit.sentence << ": " << within.error().message;
    const auto beyond = parse_query(limit.beyond);
    ASSERT_FALSE(beyond) << limit.sentence;
    EXPECT_EQ(beyond.error().code, limit.code) << limit.sentence;
    EXPECT_NE(beyond.error().message.find(limit.sentence), std::string::npos) << beyond.error().message;
  }
}

}  // namespace
}  // namespace godwit::hub::query
