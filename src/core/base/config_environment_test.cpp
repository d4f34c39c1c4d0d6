#include <gtest/gtest.h>

#include "core/base/config.hpp"

namespace godwit::config {
namespace {

using namespace std::chrono_literals;

/// One key of every kind.
struct Settings {
  std::string name = "hub";
  std::string level = "info";
  std::int64_t port = 8883;
  bool open = false;
  std::chrono::milliseconds keep_alive = 60s;
  ByteSize limit{1024};
  std::vector<std::string> command{};
  Path folder{};

  Schema schema() {
    Schema made;
    made.add({.name = "hub.name", .target = &name, .help = "Name."});
    made.add({.name = "log.level", .target = &level, .help = "Level.", .choices = {"info", "debug"}});
    made.add({.name = "hub.port", .target = &port, .help = "Port.", .minimum = 0, .maximum = 65535});
    made.add({.name = "hub.open_door", .target = &open, .help = "Open."});
    made.add({.name = "hub.keep_alive", .target = &keep_alive, .help = "Pause.", .minimum = 1000});
    made.add({.name = "limit", .target = &limit, .help = "Bytes."});
    made.add({.name = "scan.command", .target = &command, .help = "Program."});
    made.add({.name = "folder", .target = &folder, .help = "Where."});
    return made;
  }
};

TEST(Environment, a_variable_sets_the_key_that_its_name_comes_from) {
  Settings s;
  const auto applied = s.schema().load_environment(
      "X_", {"PATH=/bin", "X_HUB_NAME=a \"b\" \xc3\xa4=c", "X_LOG_LEVEL=debug", "X_HUB_PORT=0", "X_HUB_OPEN_DOOR=true",
             "X_HUB_KEEP_ALIVE=15m", "X_LIMIT=64KiB", "X_SCAN_COMMAND=[\"/bin/scan\", \"a b\"]", "X_FOLDER=/srv"});
  ASSERT_TRUE(applied) << applied.error().message;
  EXPECT_EQ(applied->size(), 8U);
  EXPECT_EQ(s.name, "a \"b\" \xc3\xa4=c");
  EXPECT_EQ(s.level, "debug");
  EXPECT_EQ(s.port, 0);
  EXPECT_TRUE(s.open);
  EXPECT_EQ(s.keep_alive, 15min);
  EXPECT_EQ(s.limit.value, 65536U);
  EXPECT_EQ(s.command, (std::vector<std::string>{"/bin/scan", "a b"}));
  EXPECT_EQ(s.folder, "/srv");
  ASSERT_TRUE(s.schema().load_environment("X_", {"X_LIMIT=12", "X_SCAN_COMMAND=[]", "X_HUB_NAME="}));
  EXPECT_EQ(s.limit.value, 12U);
  EXPECT_TRUE(s.command.empty());
  EXPECT_EQ(s.name, "");
}

TEST(Environment, it_is_stronger_than_the_file_and_weaker_than_what_is_set_after_it) {
  Settings s;
  auto schema = s.schema();
  ASSERT_TRUE(schema.load_text("[hub]\nport = 1\nname = \"file\"\n", "file"));
  ASSERT_TRUE(schema.load_environment("X_", {"X_HUB_PORT=2"}));
  EXPECT_EQ(s.port, 2);
  EXPECT_EQ(s.name, "file");
  ASSERT_TRUE(schema.set("hub.port", "3", "--set"));
  EXPECT_EQ(s.port, 3);
}

TEST(Environment, a_value_that_cannot_be_is_refused_with_the_name_of_its_variable) {
  for (const char* entry : {"X_HUB_PORT=70000", "X_HUB_PORT=", "X_HUB_PORT= 1", "X_HUB_PORT=1x", "X_HUB_PORT",
                            "X_HUB_OPEN_DOOR=yes", "X_HUB_OPEN_DOOR=", "X_HUB_KEEP_ALIVE=5", "X_HUB_KEEP_ALIVE=1ms",
                            "X_LIMIT=-1", "X_LIMIT=1kb", "X_LOG_LEVEL=loud", "X_SCAN_COMMAND=/bin/scan",
                            "X_SCAN_COMMAND=[1]", "X_SCAN_COMMAND=[]\nmore = 1", "X_HUB_NAME=\xff"}) {
    Settings s;
    const auto applied = s.schema().load_environment("X_", {entry});
    ASSERT_FALSE(applied) << entry;
    EXPECT_EQ(applied.error().code, Code::invalid_argument) << entry;
    const std::string name(std::string_view(entry).substr(0, std::string_view(entry).find('=')));
    EXPECT_TRUE(applied.error().message.starts_with(name + ": ")) << applied.error().message;
  }
  Settings s;
  EXPECT_FALSE(s.schema().load_environment("X_", {"X_HUB_NAME=" + std::string(20'000, 'a')}));
}

TEST(Environment, a_variable_that_belongs_to_no_key_is_refused_with_the_nearest) {
  Settings s;
  const auto applied = s.schema().load_environment("X_", {"X_HUB_PROT=1"});
  ASSERT_FALSE(applied);
  EXPECT_EQ(applied.error().message, "the environment variable X_HUB_PROT belongs to no key; did you mean X_HUB_PORT?");
  EXPECT_FALSE(s.schema().load_environment("X_", {"X_=1"}));
  EXPECT_TRUE(s.schema().load_environment("X_", {"Y_HUB_PROT=1", "X", "", "=x"}));
}

TEST(Setting, an_unknown_key_is_refused_with_the_nearest) {
  Settings s;
  const auto set = s.schema().set("hub.prot", "1", "--set");
  ASSERT_FALSE(set);
  EXPECT_EQ(set.error().message, "--set: \"hub.prot\" is not a known key; did you mean \"hub.port\"?");
}

}  // namespace
}  // namespace godwit::config
