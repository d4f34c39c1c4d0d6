#include "device/agent/record.hpp"

#include <gtest/gtest.h>

#include <functional>

#include "device/agent/journal.hpp"

namespace godwit::agent {
namespace {

twin::DesiredUpdate goal(std::string id, std::string stamp = "",
                         twin::Action action = twin::Action::process_deployment) {
  twin::DesiredUpdate value;
  value.action = action;
  value.workflow_id = std::move(id);
  value.retry_timestamp = std::move(stamp);
  return value;
}

Record in_state(State state, std::string id = "w1", std::string stamp = "") {
  Record record;
  record.state = state;
  record.goal = goal(std::move(id), std::move(stamp));
  record.attempt = 1;
  record.target = UpdateId::parse("Contoso", "Toaster", "1.1").value();
  record.steps = {PlannedStep{.path = "step_0", .handler = "microsoft/script:1"},
                  PlannedStep{.path = "step_1", .handler = "microsoft/apt:1"}};
  return record;
}

PlannedStep leaf(std::string path, std::optional<StepResult> result) {
  return {.path = std::move(path), .handler = "microsoft/script:1", .files = {}, .result = std::move(result)};
}

Record after(const Record& record, const Incident& incident) {
  const auto row = next(record.state, incident.event);
  EXPECT_TRUE(row);
  return advance(record, *row, incident);
}

EffectResult ended(Event event, std::int32_t code, std::string details = "") {
  return {.event = event, .result_code = code, .extended_codes = {}, .details = std::move(details)};
}

struct Judgement {
  const char* name;
  State state;
  twin::DesiredUpdate goal;
  std::optional<Event> expected;
};

TEST(Record, judges_goals) {
  using A = twin::Action;
  const std::vector<Judgement> cases{
      {"first goal", State::idle, goal("w1"), Event::offered},
      {"the same again while running", State::installing, goal("w1"), std::nullopt},
      {"the same again after the end", State::succeeded, goal("w1"), std::nullopt},
      {"retry after the end", State::failed, goal("w1", "t2"), Event::retry_asked},
      {"retry while running", State::installing, goal("w1", "t2"), Event::retry_asked},
      {"another one while running", State::downloading, goal("w2"), Event::replaced},
      {"another one after the end", State::failed, goal("w2"), Event::offered},
      {"cancel while running", State::downloading, goal("w1", "", A::cancel), Event::cancel_asked},
      {"cancel twice", State::cancelling, goal("w1", "", A::cancel), std::nullopt},
      {"cancel after the end", State::succeeded, goal("w1", "", A::cancel), std::nullopt},
      {"cancel of a stranger while running", State::downloading, goal("w2", "", A::cancel), Event::replaced},
      {"cancel of a stranger after the end", State::failed, goal("w2", "", A::cancel), Event::cancel_asked},
  };
  for (const auto& one : cases) {
    Record record = one.state == State::idle ? Record{} : in_state(one.state);
    EXPECT_EQ(judge(record, one.goal), one.expected) << one.name;
  }
}

// faults: 34
TEST(Record, the_same_goal_again_brings_new_links_and_nothing_else) {
  const Record record = in_state(State::downloading, "w1", "t1");
  auto renewed = *record.goal;
  EXPECT_FALSE(with_new_means(record, renewed)) << "nothing is new";
  renewed.file_urls["f1"] = "https://x/f1?se=2";
  renewed.manifest_signature = "by another key";
  renewed.root_key_package_url = "https://x/2";
  auto expected = record;
  expected.goal = renewed;
  EXPECT_EQ(with_new_means(record, renewed), expected);
  for (auto change : std::vector<std::function<void(twin::DesiredUpdate&)>>{
           [](auto& goal) { goal.manifest = "{}"; }, [](auto& goal) { goal.workflow_id = "w2"; },
           [](auto& goal) { goal.retry_timestamp = "t2"; }, [](auto& goal) { goal.action = twin::Action::cancel; }}) {
    auto other = renewed;
    change(other);
    EXPECT_FALSE(with_new_means(record, other)) << "another goal";
  }
  EXPECT_FALSE(with_new_means(Record{}, renewed));
}

TEST(Record, a_cancel_after_a_retry_was_asked_counts) {
  Record record = after(in_state(State::installing), {.event = Event::retry_asked, .goal = goal("w1", "t2")});
  EXPECT_TRUE(record.is_superseded);
  const auto event = judge(record, goal("w1", "t2", twin::Action::cancel));
  ASSERT_EQ(event, Event::cancel_asked);
  record = after(record, {.event = *event, .goal = goal("w1", "t2", twin::Action::cancel)});
  EXPECT_FALSE(record.is_superseded);
  EXPECT_EQ(record.state, State::stopping);
}

TEST(Record, a_new_goal_forgets_everything_but_what_is_installed) {
  Record old = in_state(State::failed);
  old.installed = UpdateId::parse("Contoso", "Toaster", "1.0").value();
  old.outcome = InstallResult{};
  old.wakes = 3;
  const Record fresh = after(old, {.event = Event::offered, .goal = goal("w2")});
  EXPECT_EQ(fresh.state, State::verifying);
  EXPECT_EQ(fresh.goal->workflow_id, "w2");
  EXPECT_EQ(fresh.attempt, 1U);
  EXPECT_TRUE(fresh.steps.empty());
  EXPECT_FALSE(fresh.outcome);
  EXPECT_EQ(fresh.wakes, 0U);
  EXPECT_EQ(fresh.installed, old.installed);
}

TEST(Record, a_retry_counts_the_attempt) {
  const Record again = after(in_state(State::failed), {.event = Event::retry_asked, .goal = goal("w1", "t2")});
  EXPECT_EQ(again.attempt, 2U);
  EXPECT_EQ(again.goal->retry_timestamp, "t2");
}

TEST(Record, a_workflow_that_comes_back_goes_on_counting) {
  Record record = after(in_state(State::failed, "w1"), {.event = Event::offered, .goal = goal("w2")});
  record.state = State::succeeded;
  record = after(record, {.event = Event::offered, .goal = goal("w1")});
  EXPECT_EQ(record.attempt, 2U);
  EXPECT_EQ(record.past, (std::vector<PastWorkflow>{{"w2", 1}}));
  for (int i = 0; i < 40; ++i) {
    record.state = State::failed;
    record = after(record, {.event = Event::offered, .goal = goal("x" + std::to_string(i))});
  }
  EXPECT_EQ(record.past.size(), kPastLimit);
}

TEST(Record, steps_collect_results_and_success_names_the_update) {
  Record record = in_state(State::checking);
  record = after(record, {.event = Event::step_done, .result = ended(Event::step_done, result::install_skipped)});
  EXPECT_EQ(record.step, 1U);
  record.state = State::applying;
  record = after(
      record, {.event = Event::all_done,
               .result = ended(Event::all_done, result::apply_reboot, "the handler asks for a reboot of the device")});
  EXPECT_EQ(record.state, State::succeeded);
  EXPECT_EQ(record.installed, record.target);
  const auto report = report_of_end(record);
  EXPECT_EQ(report.state, AgentState::idle);
  EXPECT_EQ(report.installed_update, record.target);
  ASSERT_EQ(report.result->steps.size(), 2U);
  EXPECT_EQ(report.result->steps[0].result_code, result::install_skipped);
  EXPECT_EQ(report.result->steps[1].result_code, result::apply_reboot);
  EXPECT_EQ(report.result->details, "the handler asks for a reboot of the device");
}

TEST(Record, a_failure_keeps_its_cause_through_the_restore) {
  Record record = in_state(State::installing);
  auto failure = ended(Event::failed, 0, "step 1 (microsoft/script:1) install: exit code 7");
  failure.extended_codes = {0x30501007};
  record = after(record, {.event = Event::failed, .result = failure});
  EXPECT_EQ(record.state, State::restoring);
  record = after(record, {.event = Event::failed, .result = ended(Event::failed, 0, "restore: no backup")});
  EXPECT_EQ(record.state, State::failed);
  const auto report = report_of_end(record);
  EXPECT_EQ(report.state, AgentState::failed);
  EXPECT_FALSE(report.installed_update);
  EXPECT_EQ(report.result->details, "step 1 (microsoft/script:1) install: exit code 7; restore: no backup");
  EXPECT_EQ(report.result->extended_codes.front(), 0x30501007U);
  EXPECT_EQ(report.result->steps[0].extended_code, 0x30501007U);
  EXPECT_EQ(report.result->steps[1].details, "not begun");
}

TEST(Record, a_cancel_ends_idle_with_minus_one) {
  Record record =
      after(in_state(State::installing), {.event = Event::cancel_asked, .goal = goal("w1", "", twin::Action::cancel)});
  record = after(record, {.event = Event::failed, .result = ended(Event::failed, result::cancelled, "stopped")});
  EXPECT_EQ(record.state, State::undoing);
  record = after(record, {.event = Event::passed, .result = ended(Event::passed, result::restore_ok)});
  EXPECT_EQ(record.state, State::cancelled);
  const auto report = report_of_end(record);
  EXPECT_EQ(report.state, AgentState::idle);
  EXPECT_FALSE(report.installed_update);
  EXPECT_EQ(report.result->result_code, result::cancelled);
  EXPECT_EQ(report.result->details, "cancelled in step 1 (microsoft/script:1); the step was restored");
}

TEST(Record, children_of_one_step_are_reported_as_one) {
  Record record = in_state(State::failed);
  record.steps = {leaf("step_0/step_0", StepResult{700, 0, ""}), leaf("step_0/step_1", StepResult{0, 5, "no"}),
                  leaf("step_0/step_2", StepResult{700, 0, ""}), leaf("step_1", StepResult{603, 0, ""})};
  const auto results = top_level_results(record);
  ASSERT_EQ(results.size(), 2U);
  EXPECT_EQ(results[0].details, "no");
  EXPECT_EQ(results[1].result_code, 603);
}

TEST(Record, components_of_one_step_are_told_one_by_one) {
  Record record = in_state(State::failed);
  record.steps = {leaf("step_0", StepResult{700, 0, ""}), leaf("step_1/component_0/step_0", StepResult{700, 0, ""}),
                  leaf("step_1/component_1/step_0", StepResult{0, 5, "no answer"}),
                  leaf("step_1/component_2/step_0", std::nullopt)};
  record.steps[1].subject = "left (m-1)";
  record.steps[2].subject = "right (m-2)";
  record.steps[3].subject = "m-3";
  record.step = 2;
  const auto results = top_level_results(record);
  ASSERT_EQ(results.size(), 2U);
  EXPECT_EQ(results[1].result_code, 0);
  EXPECT_EQ(results[1].extended_code, 5U);
  EXPECT_EQ(results[1].details, "left (m-1): done; right (m-2): no answer; m-3: not begun");
  EXPECT_EQ(name_of_step(record), "step 2.1 (microsoft/script:1) for right (m-2)");
}

TEST(Record, a_step_without_a_matching_component_is_a_success) {
  Record record = in_state(State::succeeded);
  record.steps = {leaf("step_0", StepResult{604, 0, "no component matches group=motors"})};
  const auto results = top_level_results(record);
  ASSERT_EQ(results.size(), 1U);
  EXPECT_EQ(results[0].result_code, 604);
  record.steps[0].restores_update = true;
  record.step = 1;
  EXPECT_FALSE(step_to_restore(record)) << "nothing was changed";
}

TEST(Record, headway_resets_the_counters_and_waking_up_counts) {
  Record record = in_state(State::downloading);
  record = after(record, {.event = Event::woke_up});
  record = after(record, {.event = Event::installer_lost, .result = ended(Event::installer_lost, 0)});
  EXPECT_EQ(record.wakes, 1U);
  EXPECT_EQ(record.losses, 1U);
  record = after(record, {.event = Event::passed, .result = ended(Event::passed, 500)});
  EXPECT_EQ(record.wakes, 0U);
  EXPECT_EQ(record.losses, 0U);
}

TEST(Record, a_long_work_that_gets_further_in_each_life_is_headway_and_one_that_stops_at_the_same_place_is_not) {
  Record record = in_state(State::downloading);
  EXPECT_FALSE(after_headway(record, 900, 1000)) << "undisturbed work writes nothing";
  ByteCount here = 0;
  for (int life = 0; life < 50; ++life) {  // a little more each time
    record = after(record, {.event = Event::woke_up});
    here += 20;
    if (auto further = after_headway(record, here, 1000)) record = *further;
    ASSERT_LT(record.wakes, 5U) << "life " << life;
  }
  EXPECT_EQ(parse_record(print_record(record))->reached_bytes, record.reached_bytes);
  for (int life = 0; life < 30; ++life) {
    record = after(record, {.event = Event::woke_up});
    if (auto further = after_headway(record, here, 1000)) record = *further;
  }
  EXPECT_GE(record.wakes, kWakeLimit);
  record = after(record, {.event = Event::passed, .result = ended(Event::passed, 500)});
  EXPECT_EQ(record.reached_bytes, 0U) << "the next work counts from its own beginning";
}

TEST(WakeEvent, tells_a_restart_of_the_device_from_one_of_the_agent) {
  Record record;
  record.state = State::rebooting;
  record.boot = "boot-1";
  EXPECT_EQ(wake_event(record, "boot-1"), Event::woke_up);
  EXPECT_EQ(wake_event(record, "boot-2"), Event::rebooted);
  EXPECT_EQ(wake_event(record, ""), Event::rebooted) << "a device must not be restarted for ever";
  record.state = State::installing;
  EXPECT_EQ(wake_event(record, "boot-2"), Event::woke_up) << "nobody waited for it";
  record.state = State::stopping;
  EXPECT_EQ(wake_event(record, "boot-2"), Event::rebooted);
}

}  // namespace
}  // namespace godwit::agent
