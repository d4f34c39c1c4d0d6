#include "core/base/config.hpp"

#include <gtest/gtest.h>

using namespace godwit;
using namespace std::chrono_literals;

namespace {

struct Settings {
  std::string name = "fjord";
  std::int64_t port = 8883;
  bool tls = true;
  std::chrono::milliseconds keep_alive = 30s;
  config::ByteSize limit{64 * 1024};
  std::vector<std::string> names{"a"};
  Path folder = "/var/lib/godwit";
  std::string level = "info";

  config::Schema schema() {
    config::Schema schema;
    schema.add({.name = "name", .target = &name, .help = "What it is called."});
    schema.add({.name = "hub.port", .target = &port, .help = "Where devices connect.", .minimum = 1, .maximum = 65535});
    schema.add({.name = "hub.tls", .target = &tls, .help = "Speak TLS."});
    schema.add({.name = "hub.keep_alive",
                .target = &keep_alive,
                .help = "Longest silence.",
                .minimum = 1000,
                .maximum = 3'600'000});
    schema.add({.name = "hub.limit", .target = &limit, .help = "Largest packet.", .minimum = 1024, .maximum = 1 << 20});
    schema.add({.name = "hub.names", .target = &names, .help = "Names of the certificate."});
    schema.add({.name = "data.folder", .target = &folder, .help = "Where all data lies."});
    schema.add({.name = "log.level",
                .target = &level,
                .help = "Least level written.",
                .choices = {"debug", "info", "warning", "error"}});
    return schema;
  }
};

std::string refusal(std::string_view toml) {
  Settings settings;
  const auto loaded = settings.schema().load_text(toml, "godwitd.toml");
  if (loaded) return "accepted";
  EXPECT_EQ(loaded.error().code, Code::invalid_argument);
  return loaded.error().message;
}

}  // namespace

TEST(Config, reads_every_kind_of_value) {
  Settings s;
  const auto loaded = s.schema().load_text(
      "name = 'ness'\n[hub]\nport = 1\ntls = false\nkeep_alive = \"15m\"\nlimit = \"512KiB\"\nnames = [\"x\", \"y\"]\n"
      "[data]\nfolder = \"/srv\"\n[log]\nlevel = \"debug\"\n",
      "t");
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(s.name, "ness");
  EXPECT_EQ(s.port, 1);
  EXPECT_FALSE(s.tls);
  EXPECT_EQ(s.keep_alive, 15min);
  EXPECT_EQ(s.limit.value, 512U * 1024);
  EXPECT_EQ(s.names, (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(s.folder, "/srv");
  EXPECT_EQ(s.level, "debug");
}

TEST(Config, what_a_file_does_not_say_keeps_its_default) {
  Settings s;
  ASSERT_TRUE(s.schema().load_text("", "t"));
  EXPECT_EQ(s.port, 8883);
  EXPECT_EQ(s.keep_alive, 30s);
}

TEST(Config, refusals_name_file_line_key_and_what_was_expected) {
  EXPECT_EQ(refusal("\n[hub]\nport = 70000\n"), "godwitd.toml:3: hub.port: must be at most 65535");
  EXPECT_EQ(refusal("[hub]\nport = 0\n"), "godwitd.toml:2: hub.port: must be at least 1");
  EXPECT_EQ(refusal("[hub]\nport = \"1\"\n"), "godwitd.toml:2: hub.port: expected a whole number");
  EXPECT_EQ(refusal("name = 1\n"), "godwitd.toml:1: name: expected a string in quotes");
  EXPECT_EQ(refusal("[hub]\ntls = 1\n"), "godwitd.toml:2: hub.tls: expected true or false");
  EXPECT_EQ(refusal("[hub]\nkeep_alive = \"2h\"\n"), "godwitd.toml:2: hub.keep_alive: must be at most 1h");
  EXPECT_EQ(refusal("[hub]\nkeep_alive = \"soon\"\n"),
            "godwitd.toml:2: hub.keep_alive: \"soon\" is not a duration such as 250ms, 30s, 15m, 8h or 7d");
  EXPECT_EQ(refusal("[hub]\nlimit = -1\n"), "godwitd.toml:2: hub.limit: a size cannot be negative");
  EXPECT_EQ(refusal("[hub]\nlimit = \"2MiB\"\n"), "godwitd.toml:2: hub.limit: must be at most 1MiB");
  EXPECT_EQ(refusal("[hub]\nnames = [1]\n"), "godwitd.toml:2: hub.names: expected a list of strings");
  EXPECT_EQ(refusal("[log]\nlevel = \"infos\"\n"),
            "godwitd.toml:2: log.level: \"infos\" is not one of [\"debug\", \"info\", \"warning\", \"error\"]; did you "
            "mean \"info\"?");
}

TEST(Config, unknown_keys_are_refused_with_the_nearest_known_one) {
  EXPECT_EQ(refusal("[hub]\nprot = 1\n"),
            "godwitd.toml:2: \"hub.prot\" is not a known key; did you mean \"hub.port\"?");
  EXPECT_EQ(refusal("[hubb]\nport = 1\n"), "godwitd.toml:1: \"hubb\" is not a known key; did you mean \"hub\"?");
  EXPECT_EQ(refusal("zzzzzzzzzzzz = 1\n"),
            "godwitd.toml:1: \"zzzzzzzzzzzz\" is not a known key; --print-config lists all");
  EXPECT_EQ(refusal("hub = 3\n"), "godwitd.toml:1: \"hub\" is not a known key; did you mean \"hub\"?");
}

TEST(Config, broken_toml_is_refused_with_its_line) {
  EXPECT_EQ(refusal("name = \"a\"\nname = \"b\"\n").rfind("godwitd.toml:2: ", 0), 0U)
      << refusal("name = \"a\"\nname = \"b\"\n");
  EXPECT_EQ(refusal("ok =\n").rfind("godwitd.toml:1: ", 0), 0U);
  EXPECT_EQ(refusal("[=\n"), "godwitd.toml: this is not TOML");  // an assertion inside toml++ 3.3; found by fuzzing
  for (const char* text : {"# \xc3\xa9\n\xef\xaf\xbb = 1\n", "\nname = \"\"\"a\nb\"\"\"\n", "\nname = '''a'''\n"}) {
    EXPECT_EQ(
        refusal(text),
        "godwitd.toml:2: only ASCII may stand outside of \"strings\" and comments, and a string ends on its line");
  }
  EXPECT_EQ(refusal("# \xc3\xa9\nname = \"\xc3\xa9 \\\" #\"\n"), "accepted");
}

TEST(Config, strings_hold_any_character) {
  Settings s;
  const auto loaded =
      s.schema().load_text("name = \"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\xa6 \\\" #\" # \xc3\xa9\n", "t");
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(s.name, "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\xa6 \" #");
  EXPECT_EQ(refusal("name = \"\xff\"\n"), "godwitd.toml: this is not UTF-8");
}

TEST(Config, missing_file_is_named) {
  Settings s;
  const auto loaded = s.schema().load_file("/nonexistent/godwitd.toml");
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, Code::not_found);
  EXPECT_NE(loaded.error().message.find("/nonexistent/godwitd.toml"), std::string::npos);
}

TEST(Config, what_it_prints_reads_back_to_the_same_values) {
  Settings first;
  first.name = "quote\" back\\ line\n";
  first.keep_alive = 90'500ms;
  first.limit.value = 5000;
  first.names = {};
  const auto text = first.schema().print();
  Settings second;
  const auto loaded = second.schema().load_text(text, "printed");
  ASSERT_TRUE(loaded) << loaded.error().message << "\n" << text;
  EXPECT_EQ(second.name, first.name);
  EXPECT_EQ(second.keep_alive, first.keep_alive);
  EXPECT_EQ(second.limit.value, 5000U);
  EXPECT_TRUE(second.names.empty());
  EXPECT_NE(text.find("# Where devices connect.\nport = 8883\n"), std::string::npos) << text;
}

TEST(Config, blocks_are_read_in_their_order_print_and_read_back) {
  config::Blocks parts{.columns = {{"name", "What it is called."}, {"place", "Where it lies."}}};
  std::string folder;
  config::Schema schema;
  schema.add({.name = "parts", .target = &parts, .help = "Parts of it.", .maximum = 2});
  schema.add({.name = "data.folder", .target = &folder, .help = "Where data lies."});
  const auto wrong = [&](std::string_view toml) {
    const auto loaded = schema.load_text(toml, "t");
    return loaded ? "accepted" : loaded.error().message;
  };
  const std::string empty = schema.print();
  EXPECT_NE(empty.find("# [[parts]]\n# # What it is called.\n# name = \"\"\n"), std::string::npos) << empty;
  EXPECT_EQ(wrong(empty), "accepted");
  EXPECT_TRUE(parts.rows.empty());
  const std::string two = "[[parts]]\nname = \"x\"\nplace = \"\\\"1\"\n[[parts]]\nplace = \"2\"\nname = \"y\"\n";
  ASSERT_EQ(wrong(two), "accepted");
  const std::vector<std::vector<std::string>> rows{{"x", "\"1"}, {"y", "2"}};
  EXPECT_EQ(parts.rows, rows);
  const std::string printed = schema.print();
  parts.rows.clear();
  ASSERT_EQ(wrong(printed), "accepted") << printed;
  EXPECT_EQ(parts.rows, rows);
  EXPECT_EQ(wrong("[[parts]]\nname = \"x\"\n"), "t:1: parts: block 1: \"place\" is missing");
  EXPECT_EQ(wrong(two + "more = 1\n"), "t:1: parts: block 2: \"more\" is not a known key");
  EXPECT_EQ(wrong("[[parts]]\nname = \"x\"\nplace = 1\n"),
            "t:1: parts: block 1: \"place\": expected a string in quotes");
  EXPECT_EQ(wrong(two + two), "t:1: parts: there may be 2 of them at most");
  EXPECT_EQ(wrong("parts = 7\n"), "t:1: parts: expected blocks that begin with [[parts]]");
  EXPECT_EQ(wrong("parts = [7]\n"), "t:1: parts: block 1: expected a block that begins with [[parts]]");
  EXPECT_EQ(parts.rows, rows) << "what was refused changes nothing";
  EXPECT_EQ(schema.set("parts", "[]", "PARTS").error().message, "PARTS: blocks stand in the file only");
}

TEST(Config, durations_and_sizes_print_in_the_largest_whole_unit) {
  EXPECT_EQ(config::print_duration(0ms), "0ms");
  EXPECT_EQ(config::print_duration(7 * 24h), "7d");
  EXPECT_EQ(config::print_duration(90s), "90s");
  EXPECT_EQ(config::parse_duration("7d").value(), 168h);
  EXPECT_EQ(config::parse_byte_size("2GiB").value(), 2ULL << 30);
  for (const char* bad : {"", "s", "-1s", "1", "1 s", "1.5h", "99999999999999999999s", "999999999999999999d"})
    EXPECT_FALSE(config::parse_duration(bad)) << bad;
  for (const char* bad : {"", "KiB", "-1B", "1kb", "9999999999TiB"}) EXPECT_FALSE(config::parse_byte_size(bad)) << bad;
}

TEST(Nearest, finds_a_close_word_and_no_far_one) {
  EXPECT_EQ(config::nearest("lst", {"list", "show"}), "list");
  EXPECT_EQ(config::nearest("compliance", {"list", "show"}), "");
  EXPECT_EQ(config::nearest("x", {}), "");
}
