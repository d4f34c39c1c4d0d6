// Goal: nothing on the device is touched without leave: a pause holds, a command that answers nonsense or hangs holds,
// and both say why.
#include "device/agent/consent.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "core/base/testing/temp_folder.hpp"
#include "device/agent/testing/fake_downloader.hpp"

namespace godwit::agent {
namespace {

using Kind = ConsentAnswer::Kind;

class ConsentTest : public ::testing::Test {
 protected:
  /// A command that gives these answers one after the other.
  void answers(const std::string& script) {
    const Path file = folder_.path() / "ask.sh";
    std::ofstream(file) << "#!/bin/sh\ncd " << folder_.path().string() << "\n" << script << "\n";
    std::filesystem::permissions(file, std::filesystem::perms::owner_all);
    settings_.command = {file.string(), "--word"};
  }
  ConsentAnswer wait(ConsentFor what = ConsentFor::install) {
    DeviceConsent consent(settings_, clock_, pauses_, log_);
    Record record;
    record.goal = twin::DesiredUpdate{};
    record.goal->workflow_id = "w1";
    record.attempt = 2;
    return consent.wait(what, record, stop_.get_token(),
                        [this](const std::string& reason) { told_.push_back(reason); });
  }

  TempFolder folder_;
  FakeClock clock_;
  FakePauses pauses_{clock_};
  NullLog log_;
  std::stop_source stop_;
  std::vector<std::string> told_;
  DeviceConsent::Settings settings_{.pause_file = folder_.path() / "pause.json"};
};

TEST_F(ConsentTest, nobody_is_asked_where_nobody_is_set_up) {
  EXPECT_FALSE(DeviceConsent(settings_, clock_, pauses_, log_).is_needed());
  EXPECT_EQ(wait().kind, Kind::now);
}

TEST_F(ConsentTest, a_command_reads_the_question_and_says_when) {
  answers(
      "cat > question.json; echo $1 >> words; [ -e later ] && echo now || { touch later; echo later 1800 night only; "
      "}");
  const Duration before = clock_.monotonic();
  EXPECT_EQ(wait(ConsentFor::reboot).kind, Kind::now);
  EXPECT_EQ(clock_.monotonic() - before, std::chrono::minutes(30));
  EXPECT_EQ(told_, (std::vector<std::string>{"night only"}));
  const auto question = json::parse_object(read_file(folder_.path() / "question.json", 4096).value());
  ASSERT_TRUE(question);
  EXPECT_EQ(json::text_or_nothing(*question, "question"), "reboot");
  EXPECT_EQ(json::text_or_nothing(*question, "workflowId"), "w1");
  EXPECT_EQ(json::integer_or_nothing(*question, "attempt"), 2);
}

TEST_F(ConsentTest, no_is_an_answer_with_a_reason) {
  answers("echo no the car drives");
  const auto answer = wait();
  EXPECT_EQ(answer.kind, Kind::no);
  EXPECT_EQ(answer.reason, "the car drives");
}

TEST_F(ConsentTest, a_broken_command_is_no_leave) {
  answers("[ -e again ] && echo now || { touch again; echo yes please; }");
  EXPECT_EQ(wait().kind, Kind::now);
  ASSERT_EQ(told_.size(), 1U);
  EXPECT_NE(told_[0].find("'yes please' is none of: now, later SECONDS"), std::string::npos) << told_[0];
  told_.clear();
  std::filesystem::remove(folder_.path() / "again");
  answers("[ -e again ] && echo now || { touch again; exit 3; }");
  EXPECT_EQ(wait().kind, Kind::now);
  ASSERT_EQ(told_.size(), 1U);
  EXPECT_NE(told_[0].find("ended with exit code 3"), std::string::npos) << told_[0];
}

TEST_F(ConsentTest, a_pause_holds_until_its_time) {
  ASSERT_TRUE(write_pause(settings_.pause_file, {clock_.now() + std::chrono::minutes(10), "inspection"}));
  EXPECT_TRUE(DeviceConsent(settings_, clock_, pauses_, log_).is_needed());
  const Duration before = clock_.monotonic();
  EXPECT_EQ(wait().kind, Kind::now);
  EXPECT_GE(clock_.monotonic() - before, std::chrono::minutes(10));
  EXPECT_EQ(told_, (std::vector<std::string>{"updates are paused on this device: inspection"}));
  EXPECT_FALSE(read_pause(settings_.pause_file, clock_.now()));
}

TEST_F(ConsentTest, a_pause_file_that_cannot_be_read_is_a_pause) {
  std::ofstream(settings_.pause_file) << "{";
  const auto pause = read_pause(settings_.pause_file, clock_.now());
  ASSERT_TRUE(pause);
  EXPECT_NE(pause->reason.find("godwit-agent resume"), std::string::npos);
  ASSERT_TRUE(remove_pause(settings_.pause_file));
  EXPECT_FALSE(read_pause(settings_.pause_file, clock_.now()));
  EXPECT_TRUE(remove_pause(settings_.pause_file)) << "twice is once";
}

TEST_F(ConsentTest, a_stop_ends_the_wait) {
  ASSERT_TRUE(write_pause(settings_.pause_file, {}));
  stop_.request_stop();
  EXPECT_EQ(wait().kind, Kind::no);
}

TEST(ParseConsent, takes_these_lines_only) {
  EXPECT_EQ(parse_consent("now\nmore\n")->kind, Kind::now);
  EXPECT_EQ(parse_consent("later 5")->wait, std::chrono::seconds(5));
  EXPECT_EQ(parse_consent(" no ")->kind, Kind::no);
  for (const char* line :
       {"", "NOW", "now please", "later", "later 0", "later 86401", "later -1", "later soon", "nope"})
    EXPECT_FALSE(parse_consent(line)) << line;
}

}  // namespace
}  // namespace godwit::agent
