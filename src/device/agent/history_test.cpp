// Goal: each run of an update stands in the history once, however often its end is reported; the file stays bounded,
// and a broken one costs the history, not the update. faults: 59
#include "device/agent/history.hpp"

#include <gtest/gtest.h>

#include "core/base/testing/temp_folder.hpp"

namespace godwit::agent {
namespace {

Record ended(const std::string& workflow, std::uint32_t attempt, State state = State::failed) {
  Record record;
  record.state = state;
  record.goal = twin::DesiredUpdate{};
  record.goal->workflow_id = workflow;
  record.attempt = attempt;
  record.target = UpdateId::parse("Contoso", "Toaster", "1.2.0").value();
  record.outcome = InstallResult{0, {0x30501007}, "script ended with exit code 7", {}};
  return record;
}

class HistoryTest : public ::testing::Test {
 protected:
  TempFolder folder_;
  FakeClock clock_;
  NullLog log_;
  Path file_ = folder_.path() / "history.json";
  FileHistory history_{file_, clock_, log_};
};

TEST_F(HistoryTest, a_run_stands_there_once) {
  EXPECT_TRUE(read_history(file_)->empty());
  history_.add(ended("w1", 1));
  history_.add(ended("w1", 1));
  history_.add(ended("w1", 2));
  history_.add(ended("w2", 1, State::succeeded));
  const auto entries = read_history(file_);
  ASSERT_TRUE(entries);
  ASSERT_EQ(entries->size(), 3U);
  const std::string text = history_text(*entries);
  EXPECT_NE(text.find("Contoso/Toaster/1.2.0"), std::string::npos) << text;
  EXPECT_NE(text.find("30501007"), std::string::npos) << text;
  EXPECT_NE(text.find("script ended with exit code 7"), std::string::npos) << text;
}

TEST_F(HistoryTest, the_oldest_go_first) {
  for (std::uint32_t i = 1; i <= kHistoryLimit + 5; ++i) history_.add(ended("w", i));
  const auto entries = read_history(file_);
  ASSERT_EQ(entries->size(), kHistoryLimit);
  EXPECT_EQ(json::integer_or_nothing(entries->front().as_object(), "attempt"), 6);
}

TEST_F(HistoryTest, a_broken_file_begins_anew) {
  ASSERT_TRUE(write_file_durably(file_, "{\"entries\":"));
  EXPECT_FALSE(read_history(file_));
  history_.add(ended("w1", 1));
  EXPECT_EQ(read_history(file_)->size(), 1U);
  EXPECT_EQ(history_text({}), "No update has ended on this device yet.\n");
}

}  // namespace
}  // namespace godwit::agent
