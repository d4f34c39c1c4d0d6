#include "health.hpp"

#include <gtest/gtest.h>

namespace godwit::step_container {
namespace {

using std::chrono::seconds;

class HealthJudgeTest : public ::testing::Test {
 protected:
  HealthJudge judge(std::string restart = "always") {
    ServiceDescription service;
    service.restart = std::move(restart);
    service.health = {.time = seconds(10), .one_try = seconds(4), .steady = seconds(3)};
    return {service, seconds(100)};
  }
  static Container running(std::int64_t restarts = 0) { return {.is_running = true, .restart_count = restarts}; }
  static Container ended(std::int64_t exit_code) { return {.has_ended = true, .exit_code = exit_code}; }
};

TEST_F(HealthJudgeTest, wants_the_container_to_stay_well_for_the_steady_time) {
  auto j = judge();
  EXPECT_EQ(j.look(running(), "", seconds(101)), Verdict::waiting);
  EXPECT_EQ(j.look(running(), "", seconds(103)), Verdict::waiting);
  EXPECT_EQ(j.look(running(), "", seconds(104)), Verdict::healthy);
}

TEST_F(HealthJudgeTest, begins_to_count_anew_after_trouble_and_after_a_restart) {
  auto j = judge();
  EXPECT_EQ(j.look(running(), "", seconds(100)), Verdict::waiting);
  EXPECT_EQ(j.look(running(), "no answer", seconds(102)), Verdict::waiting);
  EXPECT_EQ(j.look(running(), "", seconds(103)), Verdict::waiting);
  EXPECT_EQ(j.look(running(1), "", seconds(105)), Verdict::waiting);
  EXPECT_NE(j.trouble().find("restarted"), std::string::npos);
  EXPECT_EQ(j.look(running(1), "", seconds(106)), Verdict::waiting);
  EXPECT_EQ(j.look(running(1), "", seconds(109)), Verdict::healthy);
}

TEST_F(HealthJudgeTest, gives_up_when_the_time_is_over) {
  auto j = judge();
  EXPECT_EQ(j.look(running(), "no answer", seconds(109)), Verdict::waiting);
  EXPECT_EQ(j.look(running(), "no answer", seconds(110)), Verdict::unhealthy);
  EXPECT_EQ(j.trouble(), "no answer");
}

TEST_F(HealthJudgeTest, a_container_that_crashes_over_and_over_is_never_healthy) {
  auto j = judge();
  for (int i = 0; i < 10; ++i)
    EXPECT_EQ(j.look(i % 2 == 0 ? running(i) : ended(1), "", seconds(100 + i)), Verdict::waiting) << i;
  EXPECT_EQ(j.look(ended(1), "", seconds(110)), Verdict::unhealthy);
  EXPECT_NE(j.trouble().find("exit code 1"), std::string::npos);
}

TEST_F(HealthJudgeTest, a_job_is_judged_by_its_exit_code) {
  EXPECT_EQ(judge("no").look(ended(0), "", seconds(100)), Verdict::healthy);
  EXPECT_EQ(judge("no").look(ended(2), "", seconds(100)), Verdict::unhealthy);
  EXPECT_EQ(judge("on-failure").look(ended(0), "", seconds(100)), Verdict::healthy);
  EXPECT_EQ(judge("on-failure").look(ended(2), "", seconds(100)), Verdict::waiting);
  EXPECT_EQ(judge("always").look(ended(0), "", seconds(100)), Verdict::waiting);
}

TEST_F(HealthJudgeTest, one_try_has_no_more_time_than_is_left) {
  const auto j = judge();
  EXPECT_EQ(j.time_for_a_try(seconds(100)), seconds(4));
  EXPECT_EQ(j.time_for_a_try(seconds(108)), seconds(2));
  EXPECT_EQ(j.time_for_a_try(seconds(120)), seconds(1));
}

}  // namespace
}  // namespace godwit::step_container
