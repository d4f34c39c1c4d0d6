// Goal: what the hub sees and what the device suffers, for whole stories of one agent. The agent is real but for
// network, installer and threads (testing/workbench.hpp).
#include "device/agent/executor.hpp"

#include <gtest/gtest.h>

#include "device/agent/testing/workbench.hpp"

namespace godwit::agent {
namespace {

using installer::Verb;
using A = twin::Action;

std::string text(const json::Object& object, std::string_view key) {
  return json::text_or_nothing(object, key).value_or("?");
}

json::Object result_of(const json::Object& agent) {
  const auto* result = json::object_or_null(agent, "lastInstallResult");
  return result != nullptr ? *result : json::Object{};
}

TEST(Executor, installs_an_update_and_says_so) {
  Workbench bench;
  bench.want(bench.goal("w1"));
  EXPECT_EQ(bench.live(), 1);
  EXPECT_EQ(bench.record().state, State::succeeded);
  EXPECT_EQ(bench.states_reported(), (std::vector<int>{6, 0}));
  const auto report = bench.last_report();
  EXPECT_EQ(text(report, "installedUpdateId"), R"({"provider":"Contoso","name":"Toaster","version":"1.2.0"})");
  EXPECT_EQ(json::integer_or_nothing(result_of(report), "resultCode"), 700);
  EXPECT_EQ(text(*json::object_or_null(report, "workflow"), "id"), "w1");
  EXPECT_EQ(bench.acks(), 1);
  for (std::uint32_t step : {0U, 1U})
    for (const Verb verb : {Verb::download, Verb::backup, Verb::install, Verb::apply})
      EXPECT_EQ(bench.device.count(step, verb), 1) << step << " " << installer::verb_name(verb);
  EXPECT_FALSE(std::filesystem::exists(bench.sandbox("w1")));
  EXPECT_FALSE(bench.device.is_open("w1"));
}

TEST(Executor, an_update_that_is_in_place_downloads_nothing) {
  Workbench bench;
  bench.device.set_in_place(0);
  bench.device.set_in_place(1);
  bench.want(bench.goal("w1"));
  bench.live();
  EXPECT_EQ(bench.record().state, State::succeeded);
  EXPECT_EQ(bench.downloader.tries, 1) << "the root key package only";
  const auto result = result_of(bench.last_report());
  const auto* steps = json::object_or_null(result, "stepResults");
  ASSERT_NE(steps, nullptr);
  EXPECT_EQ(json::integer_or_nothing(*json::object_or_null(*steps, "step_0"), "resultCode"), 603);
}

TEST(Executor, a_step_that_is_in_place_is_skipped) {
  Workbench bench;
  bench.device.set_in_place(0);
  bench.want(bench.goal("w1"));
  bench.live();
  EXPECT_EQ(bench.record().state, State::succeeded);
  EXPECT_EQ(bench.device.count(0, Verb::install), 0);
  EXPECT_EQ(bench.device.count(1, Verb::install), 1);
}

TEST(Executor, a_failed_install_is_restored_and_told_with_step_code_and_sentence) {
  Workbench bench;
  bench.device.fail(1, Verb::install,
                    {.result_code = 0, .extended_codes = {0x30501007}, .details = "script ended with exit code 7"});
  bench.want(bench.goal("w1"));
  bench.live();
  EXPECT_EQ(bench.record().state, State::failed);
  EXPECT_EQ(bench.device.count(1, Verb::restore), 1);
  EXPECT_EQ(bench.device.count(0, Verb::restore), 0);
  const auto report = bench.last_report();
  EXPECT_EQ(json::integer_or_nothing(report, "state"), 255);
  EXPECT_EQ(text(result_of(report), "resultDetails"),
            "step 2 (microsoft/script:1) install: script ended with exit code 7; the step was restored");
  EXPECT_EQ(text(result_of(report), "extendedResultCodes"), "30501007");
  EXPECT_TRUE(std::filesystem::exists(bench.sandbox("w1"))) << "kept for a retry";
}

TEST(Executor, a_failure_without_a_sentence_gets_one) {
  Workbench bench;
  bench.device.fail(0, Verb::apply, {.result_code = 0, .extended_codes = {erc::handler_crashed}, .details = ""});
  bench.want(bench.goal("w1"));
  bench.live();
  const std::string details = text(result_of(bench.last_report()), "resultDetails");
  EXPECT_NE(details.find(extended_code_text(erc::handler_crashed)), std::string::npos) << details;
}

TEST(Executor, a_refused_plan_is_a_failure_with_its_code) {
  Workbench bench;
  bench.device.refuse_to_open({.result_code = 0,
                               .extended_codes = {erc::handler_missing},
                               .details = "no handler for microsoft/script:1 is registered"});
  bench.want(bench.goal("w1"));
  bench.live();
  EXPECT_EQ(bench.record().state, State::failed);
  EXPECT_EQ(text(result_of(bench.last_report()), "extendedResultCodes"), "30000003");
}

// faults: 34. The links of a goal end, and a signing key is replaced: the service then sends the goal again.
TEST(Executor, a_goal_that_is_sent_again_brings_links_and_does_nothing) {
  Workbench bench;
  bench.want(bench.goal("w1"));
  bench.live();
  auto renewed = bench.goal("w1");
  renewed.file_urls["f0"] = "https://x/f0?se=2";
  bench.want(renewed);
  bench.live();
  EXPECT_EQ(bench.record().goal, renewed);
  EXPECT_EQ(bench.acks(), 2);
  EXPECT_EQ(bench.device.count(0, Verb::install), 1);
}

TEST(Executor, the_same_goal_again_is_only_acknowledged) {
  Workbench bench;
  bench.want(bench.goal("w1"));
  bench.live();
  const auto states = bench.states_reported();
  bench.want(bench.goal("w1"));
  bench.live();
  // The start of the process repeats the final report; no new work is told.
  EXPECT_EQ(bench.states_reported().size(), states.size() + 1);
  EXPECT_EQ(bench.states_reported().back(), 0);
  EXPECT_EQ(bench.acks(), 2);
  EXPECT_EQ(bench.device.count(0, Verb::install), 1);
}

TEST(Executor, a_retry_after_a_failure_uses_what_was_downloaded) {
  Workbench bench;
  bench.device.fail(0, Verb::install, {.result_code = 0, .extended_codes = {1}, .details = "not yet"});
  bench.want(bench.goal("w1"));
  bench.live();
  const int tries = bench.downloader.tries;
  bench.device.fail(0, Verb::install, {.result_code = result::install_ok});
  bench.want(bench.goal("w1", "2026-11-22T11:00:00Z"));
  bench.live();
  EXPECT_EQ(bench.record().state, State::succeeded);
  EXPECT_EQ(bench.record().attempt, 2U);
  EXPECT_EQ(bench.downloader.tries, tries + 1) << "only the root key package came again";
  EXPECT_EQ(text(*json::object_or_null(bench.last_report(), "workflow"), "retryTimestamp"), "2026-11-22T11:00:00Z");
}

struct Interruption {
  const char* name;
  Effect at;
  bool too_late;
  State end;
};

// faults: 36
TEST(Executor, a_cancel_at_any_phase_ends_in_a_true_report) {
  for (const auto& one : {Interruption{"verify", Effect::verify, false, State::cancelled},
                          {"download", Effect::download, false, State::cancelled},
                          {"check", Effect::check_step, false, State::cancelled},
                          {"backup", Effect::back_up, false, State::cancelled},
                          {"install", Effect::install, false, State::cancelled},
                          {"apply", Effect::apply, false, State::cancelled},
                          {"install, too late", Effect::install, true, State::cancelled},
                          {"apply of the last step, too late", Effect::apply, true, State::succeeded}}) {
    Workbench bench(1);
    bench.cancels_come_too_late = one.too_late;
    bench.before_effect = [&bench, &one, done = false](const EffectRequest& request) mutable {
      if (done || request.effect != one.at) return;
      done = true;
      bench.want(bench.goal("w1", "", A::cancel));
    };
    bench.want(bench.goal("w1"));
    bench.live();
    EXPECT_EQ(state_name(bench.record().state), state_name(one.end)) << one.name;
    const auto report = bench.last_report();
    EXPECT_EQ(json::integer_or_nothing(report, "state"), 0) << one.name;
    EXPECT_EQ(json::integer_or_nothing(result_of(report), "resultCode"), one.end == State::succeeded ? 700 : -1)
        << one.name;
    EXPECT_EQ(bench.device.is_in_place(0), one.end == State::succeeded) << one.name;
    const bool was_changed = one.end == State::cancelled && (one.at == Effect::install || one.at == Effect::apply);
    EXPECT_EQ(bench.device.count(0, Verb::restore), was_changed ? 1 : 0) << one.name;
    EXPECT_FALSE(std::filesystem::exists(bench.sandbox("w1"))) << one.name;
  }
}

TEST(Executor, a_cancel_of_something_unknown_is_answered) {
  Workbench bench;
  bench.want(bench.goal("w9", "", A::cancel));
  bench.live();
  const auto report = bench.last_report();
  EXPECT_EQ(json::integer_or_nothing(report, "state"), 0);
  EXPECT_EQ(json::integer_or_nothing(result_of(report), "resultCode"), -1);
  EXPECT_EQ(text(*json::object_or_null(report, "workflow"), "id"), "w9");
}

// faults: 40
TEST(Executor, another_goal_replaces_the_running_one_without_a_report_of_the_old) {
  for (const Effect at : {Effect::verify, Effect::download, Effect::check_step, Effect::back_up, Effect::install}) {
    Workbench bench(1);
    bench.before_effect = [&bench, at, done = false](const EffectRequest& request) mutable {
      if (done || request.effect != at) return;
      done = true;
      bench.want(bench.goal("w2"));
    };
    bench.want(bench.goal("w1"));
    bench.live();
    EXPECT_EQ(bench.record().goal->workflow_id, "w2") << effect_name(at);
    EXPECT_EQ(bench.record().state, State::succeeded) << effect_name(at);
    EXPECT_EQ(bench.states_reported(), (std::vector<int>{6, 6, 0})) << effect_name(at);
    EXPECT_FALSE(std::filesystem::exists(bench.sandbox("w1"))) << effect_name(at);
  }
}

TEST(Executor, of_many_goals_during_work_the_newest_is_taken) {
  Workbench bench(1);
  bench.before_effect = [&bench, done = false](const EffectRequest& request) mutable {
    if (done || request.effect != Effect::back_up) return;
    done = true;
    for (const char* id : {"w2", "w3", "w4"}) bench.want(bench.goal(id));
  };
  bench.want(bench.goal("w1"));
  bench.live();
  EXPECT_EQ(bench.record().goal->workflow_id, "w4");
  EXPECT_EQ(bench.device.count(0, Verb::install), 1);
}

TEST(Executor, a_goal_that_goes_and_comes_back_during_work_is_begun_again) {
  Workbench bench(1);
  bench.before_effect = [&bench, done = false](const EffectRequest& request) mutable {
    if (done || request.effect != Effect::back_up) return;
    done = true;
    bench.want(bench.goal("w2"));
    bench.want(bench.goal("w1"));
  };
  bench.want(bench.goal("w1"));
  bench.live();
  EXPECT_EQ(bench.record().goal->workflow_id, "w1");
  EXPECT_EQ(bench.record().state, State::succeeded);
  EXPECT_EQ(bench.states_reported(), (std::vector<int>{6, 6, 0}));
}

TEST(Executor, a_cancel_that_comes_while_the_journal_cannot_be_written_is_not_forgotten) {
  Workbench bench(1);
  bench.before_effect = [&bench, done = false](const EffectRequest& request) mutable {
    if (done || request.effect != Effect::download) return;
    done = true;
    bench.journal_failures = 2;
    bench.want(bench.goal("w2"));
    bench.want(bench.goal("w2", "", A::cancel));
  };
  bench.want(bench.goal("w1"));
  bench.live();
  EXPECT_EQ(bench.record().goal->workflow_id, "w2");
  EXPECT_EQ(bench.record().state, State::cancelled);
  EXPECT_EQ(bench.device.count(0, Verb::install), 0);
}

TEST(Executor, a_retry_during_work_starts_over_without_a_false_end) {
  Workbench bench(1);
  bench.before_effect = [&bench, done = false](const EffectRequest& request) mutable {
    if (done || request.effect != Effect::download) return;
    done = true;
    bench.want(bench.goal("w1", "t2"));
  };
  bench.want(bench.goal("w1"));
  bench.live();
  EXPECT_EQ(bench.record().attempt, 2U);
  EXPECT_EQ(bench.states_reported(), (std::vector<int>{6, 6, 0}))
      << "no idle report in between that would look like a cancel";
}

TEST(Executor, a_goal_that_cannot_be_read_is_acknowledged_with_the_reason) {
  Workbench bench;
  bench.want_raw(
      json::parse_object(R"({"deviceUpdate":{"__t":"c","service":{"workflow":{"action":7,"id":"w1"}}}})").value());
  bench.live();
  EXPECT_EQ(bench.record().state, State::idle);
  ASSERT_EQ(bench.acks(), 1);
  const std::string ack = json::print(bench.reported.back());
  EXPECT_NE(ack.find("\"ac\":400"), std::string::npos) << ack;
  EXPECT_NE(ack.find("action"), std::string::npos) << ack;
}

// faults: 56
TEST(Executor, a_journal_that_cannot_be_written_stops_everything_until_it_can) {
  Workbench bench(1);
  bench.journal_failures = 3;
  bench.want(bench.goal("w1"));
  bench.live();
  EXPECT_EQ(bench.record().state, State::succeeded);
  EXPECT_EQ(bench.device.count(0, Verb::install), 1);
  EXPECT_GE(bench.clock.monotonic(), std::chrono::seconds(15)) << "it waited between the tries";
}

TEST(Executor, an_installer_that_goes_away_again_and_again_is_a_failure) {
  Workbench bench(1);
  int asked = 0;
  bench.on_request = [&asked](const installer::Request& request) {
    const auto* act = std::get_if<installer::ActRequest>(&request);
    if (act == nullptr || act->verb != Verb::install) return DirectInstaller::Loss::none;
    ++asked;
    return DirectInstaller::Loss::before;
  };
  bench.want(bench.goal("w1"));
  bench.live();
  EXPECT_EQ(bench.record().state, State::failed);
  EXPECT_EQ(asked, static_cast<int>(kLossLimit) + 1);
  EXPECT_EQ(text(result_of(bench.last_report()), "extendedResultCodes"), extended_code_hex(erc::installer_unreachable));
}

// faults: 60, 64
TEST(Executor, an_agent_that_never_gets_further_gives_the_update_up) {
  Workbench bench(1);
  bench.before_effect = [](const EffectRequest& request) {
    if (request.effect == Effect::download) throw PowerCut{};
  };
  bench.want(bench.goal("w1"));
  EXPECT_EQ(bench.live(40), static_cast<int>(kWakeLimit) + 2);
  EXPECT_EQ(bench.record().state, State::failed);
  EXPECT_NE(text(result_of(bench.last_report()), "resultDetails").find("without any headway"), std::string::npos);
}

TEST(Executor, an_installer_that_forgot_the_workflow_is_told_again) {
  Workbench bench(1);
  bench.before_effect = [&bench](const EffectRequest& request) {
    if (request.effect == Effect::install) bench.device.forget_workflows();
  };
  bench.want(bench.goal("w1"));
  bench.live();
  EXPECT_EQ(bench.record().state, State::succeeded);
}

TEST(Executor, a_journal_that_was_lost_does_not_install_twice) {
  Workbench bench(1);
  bench.want(bench.goal("w1"));
  bench.live();
  bench.journal_text.clear();
  bench.live();
  EXPECT_EQ(bench.record().state, State::succeeded);
  EXPECT_EQ(bench.device.count(0, Verb::install), 1);
}

}  // namespace
}  // namespace godwit::agent
