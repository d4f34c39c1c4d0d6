#include "core/model/update_id.hpp"

#include <gtest/gtest.h>

namespace godwit {
namespace {

Version version(std::string_view text) { return Version::parse(text).value(); }

TEST(Version, compares_part_by_part_as_numbers) {
  const std::vector<std::string> ascending = {"0.0",     "0.9",  "0.10",  "1.2",         "1.2.0",
                                              "1.2.0.1", "1.10", "2.0.0", "2147483647.0"};
  for (std::size_t a = 0; a < ascending.size(); ++a)
    for (std::size_t b = 0; b < ascending.size(); ++b)
      EXPECT_EQ(version(ascending[a]) < version(ascending[b]), a < b) << ascending[a] << " " << ascending[b];
}

TEST(Version, drops_leading_zeros) {
  EXPECT_EQ(version("1.02").str(), "1.2");
  EXPECT_EQ(version("1.02"), version("01.2"));
  EXPECT_NE(version("1.2"), version("1.2.0"));
}

TEST(Version, refuses_what_is_not_two_to_four_numbers) {
  for (const char* text : {"", "1", "1.", ".1", "1..2", "1.2.3.4.5", "1.2a", "-1.2", "1.2147483648", "1. 2", "v1.2",
                           "1.99999999999999999999"}) {
    const auto parsed = Version::parse(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code, Code::invalid_argument);
  }
  EXPECT_FALSE(Version::parse("1." + std::string(200, '0')));
}

TEST(UpdateId, prints_in_the_order_of_the_wire_and_reads_back) {
  const UpdateId id = UpdateId::parse("Contoso", "Toaster-2.x", "1.02.0").value();
  EXPECT_EQ(json::print(id.to_json()), R"({"provider":"Contoso","name":"Toaster-2.x","version":"1.2.0"})");
  EXPECT_EQ(id.str(), "Contoso/Toaster-2.x/1.2.0");
  EXPECT_EQ(UpdateId::from_json(id.to_json(), true).value(), id);
}

TEST(UpdateId, refuses_bad_names_and_when_strict_unknown_members) {
  EXPECT_FALSE(UpdateId::parse("", "n", "1.0"));
  EXPECT_FALSE(UpdateId::parse("p", std::string(65, 'n'), "1.0"));
  EXPECT_FALSE(UpdateId::parse("p/..", "n", "1.0"));
  json::Object object = UpdateId::parse("p", "n", "1.0")->to_json();
  object["extra"] = 1;
  EXPECT_TRUE(UpdateId::from_json(object, false));
  const auto strict = UpdateId::from_json(object, true);
  ASSERT_FALSE(strict);
  EXPECT_EQ(strict.error().message, "updateId: unknown member 'extra'");
  object.erase("version");
  EXPECT_FALSE(UpdateId::from_json(object, false));
}

}  // namespace
}  // namespace godwit
