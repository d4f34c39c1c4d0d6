// The reducer as a table: for each state of a row and each kind of report, what must come of it.
#include "server/service/rollout/report_reducer.hpp"

#include <gtest/gtest.h>

#include "server/service/inventory/result_json.hpp"

namespace godwit::service {
namespace {

const WallTime kNow = from_unix_ms(5'000);

UpdateId target() { return UpdateId::parse("Contoso", "Toaster", "1.1").value(); }
UpdateId other() { return UpdateId::parse("Contoso", "Toaster", "1.0").value(); }

store::DeploymentDevice row(DeviceState state, std::optional<AgentState> heard = std::nullopt) {
  return {.deployment = 1,
          .device = DeviceId::parse("d").value(),
          .group = GroupId::parse("$default").value(),
          .class_id = DeviceClassId::parse(std::string(40, 'a')).value(),
          .workflow_id = "w",
          .state = state,
          .heard = heard};
}

twin::AgentReport report(AgentState state, std::optional<std::int32_t> code,
                         std::optional<UpdateId> installed = std::nullopt) {
  twin::AgentReport made;
  made.state = state;
  made.workflow_id = "w";
  made.installed_update = std::move(installed);
  if (code) {
    made.result = InstallResult{};
    made.result->result_code = *code;
  }
  return made;
}

const twin::AgentReport kWorking = report(AgentState::in_progress, 1);
const twin::AgentReport kWorkingOnOldInstall = report(AgentState::in_progress, 1, target());
const twin::AgentReport kSuccess = report(AgentState::idle, 700, target());
const twin::AgentReport kFailure = report(AgentState::failed, 0, other());
const twin::AgentReport kRestored = report(AgentState::idle, 0, other());
const twin::AgentReport kRestoredSame = report(AgentState::idle, 0, target());
const twin::AgentReport kGaveUp = report(AgentState::idle, -1, other());
const twin::AgentReport kGaveUpSame = report(AgentState::idle, -1, target());
const twin::AgentReport kIdleSaysNothing = report(AgentState::idle, std::nullopt);

constexpr auto kInProgress = DeviceState::in_progress;
constexpr auto kSucceeded = DeviceState::succeeded;
constexpr auto kFailed = DeviceState::failed;
constexpr auto kCanceled = DeviceState::canceled;
using V = ReportVerdict;

struct Case {
  const char* name;
  DeviceState from;
  std::optional<AgentState> heard;
  const twin::AgentReport* report;
  V verdict;
  DeviceState to;
  std::int32_t rounds;
};

const Case kCases[] = {
    {"the first sign of work", kInProgress, {}, &kWorking, V::applied, kInProgress, 1},
    {"the same sign again", kInProgress, AgentState::in_progress, &kWorking, V::repeated, kInProgress, 0},
    {"work, while the target was installed before", kInProgress, {}, &kWorkingOnOldInstall, V::applied, kInProgress, 1},
    {"success", kInProgress, AgentState::in_progress, &kSuccess, V::applied, kSucceeded, 0},
    {"success without a sign of work", kInProgress, {}, &kSuccess, V::applied, kSucceeded, 0},
    {"failure", kInProgress, AgentState::in_progress, &kFailure, V::applied, kFailed, 0},
    {"failure that was restored", kInProgress, AgentState::in_progress, &kRestored, V::applied, kFailed, 0},
    {"failure restored to the same update", kInProgress, AgentState::in_progress, &kRestoredSame, V::applied, kFailed,
     0},
    {"cancelled by the agent", kInProgress, AgentState::in_progress, &kGaveUp, V::applied, kCanceled, 0},
    {"cancelled while the target was installed before", kInProgress, AgentState::in_progress, &kGaveUpSame, V::applied,
     kCanceled, 0},
    {"idle without a word", kInProgress, AgentState::in_progress, &kIdleSaysNothing, V::repeated, kInProgress, 0},

    {"work after success never flips back", kSucceeded, AgentState::idle, &kWorking, V::applied, kSucceeded, 1},
    {"failure after success is late", kSucceeded, AgentState::idle, &kFailure, V::late, kSucceeded, 0},
    {"success again", kSucceeded, AgentState::idle, &kSuccess, V::applied, kSucceeded, 0},

    {"a second round begins", kFailed, AgentState::failed, &kWorking, V::applied, kFailed, 1},
    {"a second round fails", kFailed, AgentState::in_progress, &kFailure, V::applied, kFailed, 0},
    {"a second round succeeds after all", kFailed, AgentState::in_progress, &kSuccess, V::applied, kSucceeded, 0},
    {"a failed device gives up", kFailed, AgentState::failed, &kGaveUp, V::late, kFailed, 0},

    {"the agent acknowledges a cancel", kCanceled, AgentState::in_progress, &kGaveUp, V::applied, kCanceled, 0},
    {"success after a cancel is late", kCanceled, {}, &kSuccess, V::late, kCanceled, 0},
    {"failure after a cancel is late", kCanceled, {}, &kFailure, V::late, kCanceled, 0},
    {"work after a cancel", kCanceled, {}, &kWorking, V::applied, kCanceled, 1},
};

}  // namespace

TEST(ReportReducer, every_row_of_the_table_holds) {
  for (const Case& one : kCases) {
    const auto before = row(one.from, one.heard);
    const Reduction reduction = reduce(before, target(), *one.report, kNow);
    EXPECT_EQ(reduction.verdict, one.verdict) << one.name;
    const auto& after = reduction.row ? *reduction.row : before;
    EXPECT_EQ(after.state, one.to) << one.name;
    EXPECT_EQ(after.rounds, one.rounds) << one.name;
    EXPECT_EQ(reduction.has_ended, one.from != one.to) << one.name;
    EXPECT_EQ(reduction.row.has_value(), one.verdict == V::applied) << one.name;
  }
}

TEST(ReportReducer, the_same_report_twice_changes_nothing_the_second_time) {
  for (const Case& one : kCases) {
    const auto before = row(one.from, one.heard);
    const Reduction first = reduce(before, target(), *one.report, kNow);
    const auto after = first.row ? *first.row : before;
    EXPECT_FALSE(reduce(after, target(), *one.report, kNow + Duration(1)).row) << one.name;
  }
}

TEST(ReportReducer, an_unknown_workflow_is_foreign) {
  EXPECT_EQ(reduce(std::nullopt, std::nullopt, kSuccess, kNow).verdict, V::foreign);
  EXPECT_FALSE(reduce(std::nullopt, target(), kSuccess, kNow).row);
}

TEST(ReportReducer, a_device_that_moved_on_is_late) {
  auto old = row(kInProgress);
  old.moved_on = true;
  EXPECT_EQ(reduce(old, target(), kSuccess, kNow).verdict, V::late);
}

TEST(ReportReducer, after_a_retry_only_reports_with_its_stamp_count) {
  auto retried = row(kInProgress);
  retried.retry_timestamp = "t2";
  EXPECT_EQ(reduce(retried, target(), kFailure, kNow).verdict, V::late)
      << "the failure of the first try, reported once more";
  auto echoed = kFailure;
  echoed.retry_timestamp = "t2";
  EXPECT_EQ(reduce(retried, target(), echoed, kNow).row->state, kFailed);
  auto stale = kSuccess;
  stale.retry_timestamp = "of an earlier deployment";
  EXPECT_EQ(reduce(row(kInProgress), target(), stale, kNow).row->state, kSucceeded)
      << "a merged document keeps old stamps";
}

TEST(ReportReducer, the_result_of_the_end_is_kept_and_a_start_does_not_replace_it) {
  auto failure = kFailure;
  failure.result->details = "no space left";
  const auto failed = *reduce(row(kInProgress), target(), failure, kNow).row;
  EXPECT_EQ(read_result(failed.result_json).value()->details, "no space left");
  const auto again = *reduce(failed, target(), kWorking, kNow).row;
  EXPECT_EQ(again.result_json, failed.result_json);
}

}  // namespace godwit::service
