#include "core/twin/twin.hpp"

#include <gtest/gtest.h>

#include <string>

namespace godwit::twin {
namespace {

using namespace std::chrono_literals;

const WallTime kThen{std::chrono::sys_days{std::chrono::year{2026} / 3 / 1}};

json::Object parsed(std::string_view text) {
  auto object = json::parse_object(text);
  EXPECT_TRUE(object) << (object ? "" : object.error().message);
  return *object;
}

Section section_of(std::string_view text, WallTime when = kThen) {
  Section section;
  EXPECT_TRUE(replace(section, parsed(text), when, Limits{}));
  return section;
}

TEST(Twin, merge_agrees_with_every_example_of_rfc_7396_that_has_object_roots) {
  // RFC 7396 appendix A: original, patch, result.
  const struct {
    const char* original;
    const char* patch;
    const char* result;
  } cases[] = {
      {R"({"a":"b"})", R"({"a":"c"})", R"({"a":"c"})"},
      {R"({"a":"b"})", R"({"b":"c"})", R"({"a":"b","b":"c"})"},
      {R"({"a":"b"})", R"({"a":null})", R"({})"},
      {R"({"a":"b","b":"c"})", R"({"a":null})", R"({"b":"c"})"},
      {R"({"a":["b"]})", R"({"a":"c"})", R"({"a":"c"})"},
      {R"({"a":"c"})", R"({"a":["b"]})", R"({"a":["b"]})"},
      {R"({"a":{"b":"c"}})", R"({"a":{"b":"d","c":null}})", R"({"a":{"b":"d"}})"},
      {R"({"a":[{"b":"c"}]})", R"({"a":[1]})", R"({"a":[1]})"},
      {R"({"e":null})", R"({"a":1})", R"({"e":null,"a":1})"},
      {R"({})", R"({"a":{"bb":{"ccc":null}}})", R"({"a":{"bb":{}}})"},
  };
  for (const auto& c : cases) {
    json::Object target = parsed(c.original);
    merge_plain(target, parsed(c.patch));
    EXPECT_EQ(json::print(target), c.result) << c.patch;
  }
}

TEST(Twin, plain_merge_keeps_the_version_that_a_device_is_told) {
  json::Object target = parsed(R"({"$version":1})");
  merge_plain(target, parsed(R"({"a":1,"$version":2})"));
  EXPECT_EQ(json::print(target), R"({"$version":2,"a":1})");
}

TEST(Twin, each_change_of_a_section_raises_its_version_even_without_a_difference) {
  Section section;
  EXPECT_EQ(section.version, 1U);
  ASSERT_TRUE(merge(section, parsed(R"({"a":1})"), kThen, {}));
  ASSERT_TRUE(merge(section, parsed(R"({"a":1})"), kThen, {}));
  ASSERT_TRUE(replace(section, parsed(R"({"a":1})"), kThen, {}));
  EXPECT_EQ(section.version, 4U);
}

TEST(Twin, stamps_of_a_patch_are_ignored_at_the_root_only) {
  const json::Object patch = parsed(R"({"a":1,"$version":77,"$metadata":{"x y":1}})");
  ASSERT_TRUE(check_patch(patch, {}));
  Section section;
  ASSERT_TRUE(merge(section, patch, kThen, {}));
  EXPECT_EQ(json::print(section.values), R"({"a":1})");
  EXPECT_EQ(section.version, 2U);
  EXPECT_FALSE(check_patch(parsed(R"({"a":{"$version":77}})"), {}));
  EXPECT_FALSE(check_patch(parsed(R"({"$other":1})"), {}));
}

TEST(Twin, metadata_mirrors_the_values_and_keeps_old_stamps_of_untouched_members) {
  Section section = section_of(R"({"a":{"b":1,"c":2},"list":[1,{"x":1}]})");
  ASSERT_TRUE(merge(section, parsed(R"({"a":{"b":3}})"), kThen + 1h, {}));
  const std::string old = R"({"$lastUpdated":"2026-03-01T00:00:00.0000000Z"})";
  const std::string fresh = R"({"$lastUpdated":"2026-03-01T01:00:00.0000000Z"})";
  EXPECT_EQ(
      json::print(section.metadata),
      R"({"$lastUpdated":"2026-03-01T01:00:00.0000000Z","a":{"$lastUpdated":"2026-03-01T01:00:00.0000000Z","b":)" +
          fresh + R"(,"c":)" + old + R"(},"list":)" + old + "}");
}

TEST(Twin, removing_a_member_stamps_the_level_it_stood_in) {
  Section section = section_of(R"({"a":{"b":1,"c":2},"d":1})");
  ASSERT_TRUE(merge(section, parsed(R"({"a":{"b":null}})"), kThen + 1h, {}));
  EXPECT_EQ(json::print(section.values), R"({"a":{"c":2},"d":1})");
  const json::Object& a = section.metadata.at("a").as_object();
  EXPECT_FALSE(a.contains("b"));
  EXPECT_EQ(a.at("$lastUpdated"), "2026-03-01T01:00:00.0000000Z");
  EXPECT_EQ(section.metadata.at("d").as_object().at("$lastUpdated"), "2026-03-01T00:00:00.0000000Z");
}

TEST(Twin, a_scalar_that_becomes_an_object_gets_fresh_metadata) {
  Section section = section_of(R"({"a":5})");
  ASSERT_TRUE(merge(section, parsed(R"({"a":{"b":{"c":1}}})"), kThen, {}));
  ASSERT_TRUE(merge(section, parsed(R"({"a":6})"), kThen, {}));
  EXPECT_EQ(json::print(section.metadata.at("a")), R"({"$lastUpdated":"2026-03-01T00:00:00.0000000Z"})");
}

TEST(Twin, replace_drops_what_is_not_given_and_ignores_nulls) {
  Section section = section_of(R"({"a":1,"b":2})");
  ASSERT_TRUE(replace(section, parsed(R"({"c":3,"d":null})"), kThen, {}));
  EXPECT_EQ(json::print(section.values), R"({"c":3})");
  EXPECT_FALSE(section.metadata.contains("a"));
}

TEST(Twin, devices_see_the_version_and_the_service_sees_the_metadata_too) {
  const Section section = section_of(R"({"a":1})");
  EXPECT_EQ(json::print(section.with_version()), R"({"a":1,"$version":2})");
  EXPECT_EQ(
      json::print(section.with_metadata()),
      R"({"a":1,"$metadata":{"$lastUpdated":"2026-03-01T00:00:00.0000000Z","a":{"$lastUpdated":"2026-03-01T00:00:00.0000000Z"}},"$version":2})");
}

TEST(Twin, keys_that_would_break_queries_are_refused_with_their_place) {
  for (const char* text : {R"({"a":{"b.c":1}})", R"({"a":{"b c":1}})", R"({"a":{"b$c":1}})", R"({"a":{"":1}})",
                           R"({"a":{"b\u0007":1}})", "{\"a\":{\"b\xC2\x85\":1}}", R"({"a":[{"b.c":1}]})"}) {
    const auto checked = check_patch(parsed(text), {});
    ASSERT_FALSE(checked) << text;
    EXPECT_EQ(checked.error().code, Code::invalid_argument);
    EXPECT_NE(checked.error().message.find("'a"), std::string::npos) << checked.error().message;
  }
  EXPECT_TRUE(check_patch(parsed(R"({"a":{"b_c-d:e/f":1,"ü":2}})"), {}));
}

TEST(Twin, key_and_text_limits_are_exact) {
  const Limits limits;
  json::Object patch;
  patch[std::string(1024, 'k')] = std::string(4096, 'v');
  EXPECT_TRUE(check_patch(patch, limits));
  json::Object long_key;
  long_key[std::string(1025, 'k')] = 1;
  EXPECT_EQ(check_patch(long_key, limits).error().code, Code::too_large);
  json::Object long_text;
  long_text["k"] = std::string(4097, 'v');
  EXPECT_EQ(check_patch(long_text, limits).error().code, Code::too_large);
  EXPECT_LT(check_patch(long_key, limits).error().message.size(), 600U);
}

TEST(Twin, ten_nested_objects_fit_and_eleven_do_not) {
  std::string ten = R"({"l":1})";
  for (int level = 0; level < 10; ++level) ten = R"({"l":)" + ten + "}";
  EXPECT_TRUE(check_patch(parsed(ten), {}));
  const auto eleven = check_patch(parsed(R"({"l":)" + ten + "}"), {});
  ASSERT_FALSE(eleven);
  EXPECT_EQ(eleven.error().code, Code::too_large);
}

TEST(Twin, integers_are_held_to_what_every_client_can_represent) {
  EXPECT_TRUE(check_patch(parsed(R"({"a":4503599627370495,"b":-4503599627370496,"c":1.5})"), {}));
  EXPECT_FALSE(check_patch(parsed(R"({"a":4503599627370496})"), {}));
  EXPECT_FALSE(check_patch(parsed(R"({"a":-4503599627370497})"), {}));
  EXPECT_FALSE(check_patch(parsed(R"({"a":18446744073709551615})"), {}));
  json::Object small_unsigned;
  small_unsigned["a"] = std::uint64_t{5};
  EXPECT_TRUE(check_patch(small_unsigned, {}));
}

TEST(Twin, size_counts_keys_characters_numbers_and_booleans) {
  EXPECT_EQ(counted_size(parsed(R"({"ab":"xyz"})")), 5U);
  EXPECT_EQ(counted_size(parsed(R"({"ab":"x\ny\u0085"})")), 4U);  // controls do not count
  EXPECT_EQ(counted_size(parsed(R"({"ab":"ü"})")), 3U);           // one character
  EXPECT_EQ(counted_size(parsed(R"({"a":1,"b":2.5,"c":true,"d":{"e":[1,"x"]}})")),
            1 + 8 + 1 + 8 + 1 + 4 + 1 + 1 + 8 + 1U);
}

TEST(Twin, a_patch_that_would_grow_over_the_limit_changes_nothing) {
  const Limits limits{.section_bytes = 20};
  Section section;
  ASSERT_TRUE(merge(section, parsed(R"({"a":"123456789012345678"})"), kThen, limits));
  const std::string before = json::print(section.with_metadata());
  const auto refused = merge(section, parsed(R"({"b":"xx"})"), kThen + 1h, limits);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::too_large);
  EXPECT_EQ(json::print(section.with_metadata()), before);
  EXPECT_FALSE(replace(section, parsed(R"({"a":"1234567890123456789012"})"), kThen, limits));
}

TEST(Twin, a_section_above_the_limit_may_still_shrink) {
  Section section = section_of(R"({"a":"1234567890","b":"1234567890"})");
  EXPECT_TRUE(merge(section, parsed(R"({"b":"1"})"), kThen, Limits{.section_bytes = 5}));
}

TEST(Twin, tags_merge_within_their_own_limit) {
  json::Object tags = parsed(R"({"ADUGroup":"test","site":{"floor":1}})");
  ASSERT_TRUE(merge_tags(tags, parsed(R"({"site":{"floor":null,"room":7},"$version":3})"), {}));
  EXPECT_EQ(json::print(tags), R"({"ADUGroup":"test","site":{"room":7}})");
  EXPECT_EQ(merge_tags(tags, parsed(R"({"x":"12345"})"), Limits{.tags_bytes = 10}).error().code, Code::too_large);
  EXPECT_FALSE(tags.contains("x"));
}

}  // namespace
}  // namespace godwit::twin
