// Goal: whatever a foreign program does (fail, hang, shout, leave children), the caller gets its bounded answer and
// nothing of it stays.
#include "core/base/command.hpp"

#include <gtest/gtest.h>
#include <signal.h>

#include <thread>

namespace godwit {
namespace {

using How = CommandEnd::How;

Result<CommandEnd> shell(const std::string& script, std::string_view input = "", CommandLimits limits = {}) {
  return run_command({"/bin/sh", "-c", script}, input, limits);
}

TEST(Command, gives_output_and_exit_code) {
  const auto end = shell("read line; echo got $line; echo and errors >&2; exit 3", "a line\n");
  ASSERT_TRUE(end);
  EXPECT_EQ(end->how, How::exited);
  EXPECT_EQ(end->code, 3);
  EXPECT_EQ(end->output, "got a line\nand errors\n");
  EXPECT_EQ(end->in_words(), "ended with exit code 3");
  EXPECT_TRUE(shell("true")->ok());
  EXPECT_EQ(shell("kill -9 $$")->how, How::killed);
}

TEST(Command, does_not_pass_its_arguments_through_a_shell) {
  const auto end = run_command({"/bin/echo", "$(id); `id` && id"}, "", {});
  ASSERT_TRUE(end);
  EXPECT_EQ(end->output, "$(id); `id` && id\n");
}

TEST(Command, ends_what_takes_too_long_and_what_it_started) {
  const auto end = shell("sleep 60 & echo $!; wait", "", {.time = std::chrono::milliseconds(300)});
  ASSERT_TRUE(end);
  EXPECT_EQ(end->how, How::time_over);
  const pid_t grandchild = std::stoi(end->output);
  for (int i = 0; i < 100 && ::kill(grandchild, 0) == 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_NE(::kill(grandchild, 0), 0);
}

TEST(Command, ends_what_prints_for_ever_and_what_left_a_child_with_the_pipe) {
  const auto loud = shell("yes", "", {.output = 1000});
  ASSERT_TRUE(loud);
  EXPECT_EQ(loud->how, How::output_full);
  EXPECT_EQ(loud->output.size(), 1000U);
  const auto left = shell("sleep 60 & echo done");
  ASSERT_TRUE(left);
  EXPECT_TRUE(left->ok());
  EXPECT_EQ(left->output, "done\n");
}

TEST(Command, stops_when_asked) {
  std::stop_source stop;
  std::jthread later([&stop] {
    std::this_thread::sleep_for(std::chrono::milliseconds(150));
    stop.request_stop();
  });
  const auto end = run_command({"/bin/sleep", "60"}, "", {}, stop.get_token());
  ASSERT_TRUE(end);
  EXPECT_EQ(end->how, How::stopped);
}

TEST(Command, refuses_what_is_no_program) {
  EXPECT_EQ(run_command({}, "", {}).error().code, Code::invalid_argument);
  EXPECT_EQ(run_command({"sh"}, "", {}).error().code, Code::invalid_argument);
  EXPECT_EQ(run_command({"/nowhere"}, "", {}).error().code, Code::not_found);
  EXPECT_EQ(run_command({"/bin/cat"}, std::string(70'000, 'x'), {}).error().code, Code::invalid_argument);
}

TEST(Command, is_not_disturbed_by_a_program_that_does_not_read) {
  const auto end = run_command({"/bin/true"}, std::string(60'000, 'x'), {});
  ASSERT_TRUE(end);
  EXPECT_TRUE(end->ok());
}

}  // namespace
}  // namespace godwit
