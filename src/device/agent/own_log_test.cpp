#include "device/agent/own_log.hpp"

#include <gtest/gtest.h>

#include "device/extension/testing/test_extensions.hpp"

namespace godwit::agent {
namespace {

TEST(OwnLog, keeps_the_newest_lines_in_two_files_of_bounded_size) {
  const extension::testing::TemporaryFolder folder;
  NullLog main;
  OwnLog log(main, folder / "log", 4000, LogLevel::info, LogFormat::text);
  for (int i = 0; i < 1000; ++i) log.info("event", {{"number", i}});
  log.debug("too.quiet");
  const std::string newer = read_file(folder / "log" / "agent.log", 100'000).value();
  const std::string older = read_file(folder / "log" / "agent.log.1", 100'000).value();
  EXPECT_LE(newer.size() + older.size(), 8200U);
  EXPECT_GT(newer.size() + older.size(), 4000U);
  const std::string both = older + newer;
  EXPECT_TRUE(both.ends_with("event number=999\n")) << both.substr(both.size() - 100);
  EXPECT_EQ(both.find("too.quiet"), std::string::npos);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder / "log"), {}), 2);
}

TEST(OwnLog, goes_on_after_a_restart_where_it_was) {
  const extension::testing::TemporaryFolder folder;
  NullLog main;
  OwnLog(main, folder / "log", 4000, LogLevel::info, LogFormat::text).info("first");
  OwnLog(main, folder / "log", 4000, LogLevel::info, LogFormat::text).info("second");
  const std::string text = read_file(folder / "log" / "agent.log", 100'000).value();
  EXPECT_NE(text.find("first"), std::string::npos);
  EXPECT_NE(text.find("second"), std::string::npos);
}

TEST(OwnLog, a_folder_that_cannot_be_made_stops_nobody) {
  const extension::testing::TemporaryFolder folder;
  ASSERT_TRUE(write_file_durably(folder / "file", "x"));
  NullLog main;
  OwnLog log(main, folder / "file" / "log", 4000, LogLevel::info, LogFormat::text);
  log.info("event");
  OwnLog none(main, folder / "none", 0, LogLevel::info, LogFormat::text);
  none.info("event");
  EXPECT_FALSE(std::filesystem::exists(folder / "none"));
}

}  // namespace
}  // namespace godwit::agent
