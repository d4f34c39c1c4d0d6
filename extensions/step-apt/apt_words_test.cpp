#include "apt_words.hpp"

#include <gtest/gtest.h>

namespace godwit::step_apt {
namespace {

constexpr std::string_view kQuery =
    "tree\tamd64\t2.1.0-1\tinstalled\nfoo\tall\t1.0\tunpacked\ngone\tamd64\t1.0\tconfig-files\nbad line\n";

TEST(AptWords, dpkg_says_what_is_installed) {
  const auto packages = parse_dpkg_query(kQuery);
  EXPECT_EQ(packages.at("tree").version, "2.1.0-1");
  EXPECT_TRUE(packages.at("tree:amd64").is_whole);
  EXPECT_FALSE(packages.at("foo").is_whole);
  EXPECT_EQ(packages.count("gone"), 0U);
}

TEST(AptWords, packages_whose_unpacking_was_cut_are_found) {
  const auto packages =
      packages_in_a_mess("ok\ttree\tamd64\t2.1.0-1\nreinstreq\tfoo\tall\t1.0\nreinstreq\tbar\tamd64\t\nbad line\n");
  ASSERT_EQ(packages.size(), 2U);
  EXPECT_EQ(apt_word(packages[0]), "foo=1.0");
  EXPECT_EQ(packages[1].name, "bar:amd64");
  EXPECT_TRUE(packages[1].is_removal);
}

TEST(AptWords, the_first_wish_that_does_not_hold_is_told) {
  const auto packages = parse_dpkg_query(kQuery);
  EXPECT_EQ(what_is_missing({{"tree", "2.1.0-1", false}, {"gone", "", true}, {"tree:amd64", "", false}}, packages),
            std::nullopt);
  EXPECT_EQ(what_is_missing({{"tree", "2.0", false}}, packages), "tree is 2.1.0-1, not 2.0");
  EXPECT_EQ(what_is_missing({{"tree", "", true}}, packages), "tree 2.1.0-1 is still installed");
  EXPECT_EQ(what_is_missing({{"foo", "", false}}, packages), "foo is unpacked but not configured");
  EXPECT_EQ(what_is_missing({{"gone", "", false}}, packages), "gone is not installed");
}

TEST(AptWords, a_simulation_names_what_it_would_touch_once) {
  EXPECT_EQ(parse_simulation("NOTE: This is only a simulation!\nRemv bar [1.0]\nInst tree [1.0] (2.0 x [amd64])\n"
                             "Inst libx:arm64 (1 y [arm64])\nConf tree (2.0 x [amd64])\nInst tree [1]\n"),
            (std::vector<std::string>{"bar", "tree", "libx:arm64"}));
}

TEST(AptWords, errors_are_picked_from_the_output) {
  ErrorLines errors;
  errors.take("Reading package lists...");
  errors.take("E: Unable to locate package foo");
  errors.take("dpkg: error processing package bar (--configure):");
  EXPECT_EQ(errors.text(), "E: Unable to locate package foo | dpkg: error processing package bar (--configure):");
  EXPECT_TRUE(errors.mention("Unable to locate"));
}

TEST(AptWords, progress_is_read_from_status_lines_only) {
  EXPECT_EQ(status_percent("pmstatus:tree:40.5000:Unpacking tree"), 40U);
  EXPECT_EQ(status_percent("pmstatus:libc6:arm64:99.0:x"), 99U);
  EXPECT_EQ(status_percent("dlstatus:1:20.0:Retrieving"), 20U);
  EXPECT_EQ(status_percent("Setting up tree"), std::nullopt);
  EXPECT_TRUE(is_status_line("pmerror:tree:77.0:script returned error"));
  EXPECT_FALSE(is_status_line("Setting up tree"));
  EXPECT_EQ(status_percent("pmstatus::"), std::nullopt);
}

TEST(AptWords, records_and_backups_are_read_as_they_were_written) {
  std::vector<Record> records;
  for (int i = 0; i < 250; ++i)
    put_record(
        records,
        {.criteria = std::to_string(i % 220), .timestamp = i, .packages = {{"tree", "1", false}, {"bar", "", true}}});
  EXPECT_EQ(records.size(), kRecordsLimit);
  const auto again = parse_records(print_records(records));
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->size(), kRecordsLimit);
  EXPECT_EQ(again->back().packages, records.back().packages);
  EXPECT_TRUE(parse_records(R"([{"installedCriteria":"x","state":"installed","timestamp":5}])"))
      << "the original's form";
  EXPECT_FALSE(parse_records("{}"));
  EXPECT_FALSE(parse_records(R"([{"installedCriteria":"x","packages":[{"name":"--purge"}]}])"));

  const auto backup = parse_backup(print_backup({{"tree", "1.0", true}, {"new", "", false}}));
  ASSERT_TRUE(backup) << backup.error().message;
  EXPECT_EQ(backup->at(0).version, "1.0");
  EXPECT_TRUE(backup->at(0).is_automatic);
  EXPECT_EQ(backup->at(1).version, "");
  EXPECT_FALSE(parse_backup(R"({"packages":[{"name":"-y","version":"1"}]})"));
}

}  // namespace
}  // namespace godwit::step_apt
