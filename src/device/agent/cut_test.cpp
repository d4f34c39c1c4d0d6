// Goal: the power may go at any moment of any story, and each story still ends as it would have, with nothing installed
// twice. Method: every story is run once to count its moments (after each journal write, after each effect before its
// result was taken), then once for each moment with a cut there, then with a second cut soon after. The stories
// together take every row of the table. faults: 52, 55, 64
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>
#include <iostream>
#include <memory>
#include <set>

#include "device/agent/testing/stories.hpp"

namespace godwit::agent {
namespace {

using installer::Verb;
using A = twin::Action;
using Loss = DirectInstaller::Loss;

struct Ending {
  State state = State::idle;
  std::string workflow;
  std::uint32_t attempt = 0;
  std::vector<bool> in_place;
  friend bool operator==(const Ending&, const Ending&) = default;
  friend void PrintTo(const Ending& ending, std::ostream* out) {
    *out << state_name(ending.state) << " " << ending.workflow << " attempt " << ending.attempt << " in place:";
    for (const bool one : ending.in_place) *out << ' ' << one;
  }
};

/// On a tmpfs, where a synced file costs nothing.
Path fast_folder() {
  return std::filesystem::is_directory("/dev/shm") ? Path("/dev/shm") : std::filesystem::temp_directory_path();
}

std::vector<Story> plain_stories() {
  const installer::ActOutcome broken{.result_code = 0, .extended_codes = {0x30501007}, .details = "broken"};
  std::vector<Story> stories{
      {"all goes well", [](Workbench&) {}},
      {"step 1 is in place", [](Workbench& bench) { bench.device.set_in_place(0); }},
      {"step 2 is in place", [](Workbench& bench) { bench.device.set_in_place(1); }},
      {"all is in place",
       [](Workbench& bench) {
         for (const std::uint32_t step : {0U, 1U}) bench.device.set_in_place(step);
       }},
      {"bad signature", [](Workbench& bench) { bench.signature = "a.b.c"; }},
      {"no payload", [](Workbench& bench) { bench.downloader.files.erase("https://x/f1"); }},
      {"the installer goes away in open",
       [](Workbench& bench) {
         bench.on_request = [done = false](const installer::Request& request) mutable {
           return std::holds_alternative<installer::OpenRequest>(request) && !std::exchange(done, true) ? Loss::after
                                                                                                        : Loss::none;
         };
       }},
      {"the check fails after the download",
       [broken](Workbench& bench) {
         bench.before_effect = [&bench, broken](const EffectRequest& request) {
           if (request.effect == Effect::check_step) bench.device.fail(1, Verb::is_installed, broken);
         };
       }},
  };
  for (const Verb verb : {Verb::download, Verb::backup, Verb::install, Verb::apply})
    for (const std::uint32_t step : {0U, 1U})
      stories.push_back({fmt::format("{} of step {} fails", installer::verb_name(verb), step + 1),
                         [=](Workbench& bench) { bench.device.fail(step, verb, broken); }});
  stories.push_back({"install and restore fail", [broken](Workbench& bench) {
                       for (const Verb verb : {Verb::install, Verb::restore}) bench.device.fail(0, verb, broken);
                     }});
  stories.back().may_stay_half = true;
  for (const Verb verb : {Verb::is_installed, Verb::download, Verb::backup, Verb::install, Verb::apply})
    for (const Loss loss : {Loss::before, Loss::after})
      for (const int skip : {0, verb == Verb::is_installed ? 1 : 0})
        stories.push_back({fmt::format("the installer goes away in {} {} {}", installer::verb_name(verb),
                                       static_cast<int>(loss), skip),
                           [=](Workbench& bench) { bench.on_request = lose_at(verb, 0, loss, skip); }});
  stories.push_back({"the installer goes away in a restore", [broken](Workbench& bench) {
                       bench.device.fail(0, Verb::install, broken);
                       bench.on_request = lose_at(Verb::restore, 0, Loss::before);
                     }});
  return stories;
}

std::vector<Story> interrupted_stories() {
  std::vector<Story> stories;
  const auto goals_of = [](Workbench& bench) {
    return std::vector<std::pair<std::string, std::vector<twin::DesiredUpdate>>>{
        {"cancel", {bench.goal("w1", "", A::cancel)}},
        {"retry", {bench.goal("w1", "t2")}},
        {"replace", {bench.goal("w2")}},
        {"replace, then retry, then cancel",
         {bench.goal("w2"), bench.goal("w1", "t2"), bench.goal("w1", "t2", A::cancel)}},
    };
  };
  for (std::size_t which = 0; which < 4; ++which)
    for (const bool is_late : {false, true})
      for (const Effect at : {Effect::verify, Effect::download, Effect::check_step, Effect::back_up, Effect::install,
                              Effect::apply, Effect::restore})
        for (const std::uint32_t step : {0U, 1U}) {
          if ((at == Effect::verify || at == Effect::download) && step == 1) continue;
          if (which == 3 && is_late) continue;
          stories.push_back(
              {fmt::format("change {} late {} at {} of step {}", which, is_late, effect_name(at), step + 1),
               [=](Workbench& bench) {
                 bench.cancels_come_too_late = is_late;
                 if (at == Effect::restore)
                   bench.device.fail(step, Verb::install,
                                     {.result_code = 0, .extended_codes = {1}, .details = "broken"});
                 bench.before_effect = change_goal_at(bench, at, step, goals_of(bench)[which].second);
               },
               2, true});
          stories.back().must_succeed = (which == 1 || which == 2) && at != Effect::restore;
        }
  for (const bool all : {false, true})
    stories.push_back({fmt::format("cancel late while {} in place", all ? "all is" : "step 1 is"),
                       [all](Workbench& bench) {
                         bench.cancels_come_too_late = true;
                         bench.device.set_in_place(0);
                         if (all) bench.device.set_in_place(1);
                         bench.before_effect = change_goal_at(bench, all ? Effect::download : Effect::check_step, 0,
                                                              {bench.goal("w1", "", A::cancel)});
                       },
                       1, true});
  stories.push_back({"cancel late while step 2 is in place",
                     [](Workbench& bench) {
                       bench.cancels_come_too_late = true;
                       bench.device.set_in_place(1);
                       bench.before_effect =
                           change_goal_at(bench, Effect::check_step, 1, {bench.goal("w1", "", A::cancel)});
                     },
                     1, true});
  return stories;
}

/// The goal changes, and again while the old run is ending, and the installer goes away on top.
std::vector<Story> entangled_stories() {
  std::vector<Story> stories;
  for (const Effect at : {Effect::check_step, Effect::install})
    for (const Verb lost : {Verb::is_installed, Verb::install, Verb::restore, Verb::cancel_note})
      for (const Loss loss : {Loss::before, Loss::after})
        stories.push_back({fmt::format("cancel at {}, the installer goes away in {} {}", effect_name(at),
                                       installer::verb_name(lost), static_cast<int>(loss)),
                           [=](Workbench& bench) {
                             bench.cancels_come_too_late = true;
                             bench.before_effect = change_goal_at(bench, at, 0, {bench.goal("w1", "", A::cancel)});
                             bench.on_request = lose_at(lost, 0, loss, lost == Verb::is_installed ? 1 : 0);
                           },
                           1, true});
  stories.push_back({"cancel at install, and the restore fails",
                     [](Workbench& bench) {
                       bench.device.fail(0, Verb::restore, {.result_code = 0, .extended_codes = {1}, .details = "no"});
                       bench.before_effect =
                           change_goal_at(bench, Effect::install, 0, {bench.goal("w1", "", A::cancel)});
                     },
                     1, true});
  stories.back().may_stay_half = true;
  for (const Effect ending : {Effect::stop, Effect::restore})
    stories.push_back({fmt::format("replaced, replaced again and retried during {}", effect_name(ending)),
                       [=](Workbench& bench) {
                         bench.before_effect = [&bench, ending, count = 0](const EffectRequest& request) mutable {
                           const Effect first = ending == Effect::stop ? Effect::check_step : Effect::install;
                           if (count == 0 && request.effect == first) {
                             ++count;
                             bench.want(bench.goal("w2"));
                           } else if (count == 1 && request.effect == ending) {
                             ++count;
                             bench.want(bench.goal("w3"));
                             bench.want(bench.goal("w1", "t3"));
                             bench.want(bench.goal("w1", "t3", A::cancel));
                             bench.want(bench.goal("w4"));
                           }
                         };
                         if (ending == Effect::stop) bench.on_request = lose_at(Verb::is_installed, 0, Loss::before, 1);
                       },
                       3, true});
  return stories;
}

/// The installer goes away in the middle of a step, and before the step goes on something ends it.
std::vector<Story> stories_of_begun_steps() {
  std::vector<Story> stories;
  const auto story = [&](std::string_view what, Verb lost, std::uint32_t step, int attempts) -> Story& {
    stories.push_back(
        {fmt::format("{} after the installer went away in {} of step {}", what, installer::verb_name(lost), step + 1),
         {},
         attempts,
         true});
    return stories.back();
  };
  for (const Verb lost : {Verb::install, Verb::apply})
    for (const std::uint32_t step : {0U, 1U}) {
      const Loss loss = lost == Verb::install ? Loss::after : Loss::before;
      for (const int which : {0, 1, 2})
        story(which == 0   ? "a cancel"
              : which == 1 ? "a retry"
                           : "another goal",
              lost, step, 2)
            .begin = [=](Workbench& bench) {
          bench.on_request = lose_at(lost, step, loss);
          bench.before_effect = [&bench, which, step, done = false](const EffectRequest& request) mutable {
            if (done || request.effect != Effect::check_step || !bench.device.is_half(step)) return;
            done = true;
            bench.want(which == 0   ? bench.goal("w1", "", A::cancel)
                       : which == 1 ? bench.goal("w1", "t2")
                                    : bench.goal("w2"));
          };
        };
      Story& worn = story("no headway", lost, step, 1);
      worn.must_fail = true;
      worn.begin = [=](Workbench& bench) {
        bench.on_request = [&bench, step, lose = lose_at(lost, step, loss)](const installer::Request& request) mutable {
          const auto* act = std::get_if<installer::ActRequest>(&request);
          const bool is_check = act != nullptr && act->verb == Verb::is_installed;
          return is_check && bench.device.is_half(step) ? Loss::before : lose(request);
        };
      };
    }
  return stories;
}

/// More goals after the end.
std::vector<Story> stories_with_a_sequel() {
  const installer::ActOutcome broken{.result_code = 0, .extended_codes = {1}, .details = "broken"};
  std::vector<Story> stories;
  for (const State end : {State::succeeded, State::failed, State::cancelled})
    for (const int next : {0, 1, 2}) {
      Story story{fmt::format("{}, then {}", state_name(end), next),
                  [=](Workbench& bench) {
                    if (end == State::failed) bench.device.fail(0, Verb::install, broken);
                    if (end == State::cancelled)
                      bench.before_effect =
                          change_goal_at(bench, Effect::back_up, 0, {bench.goal("w1", "", A::cancel)});
                  },
                  2, end == State::cancelled};
      story.goals = [next](Workbench& bench) {
        return std::vector{bench.goal("w1"), next == 0   ? bench.goal("w2")
                                             : next == 1 ? bench.goal("w1", "t2")
                                                         : bench.goal("w2", "", A::cancel)};
      };
      stories.push_back(std::move(story));
    }
  Story unknown{"cancelled before it was known", [](Workbench&) {}};
  unknown.goals = [](Workbench& bench) { return std::vector{bench.goal("w1", "", A::cancel)}; };
  stories.push_back(std::move(unknown));
  return stories;
}

Ending ending_of(Workbench& bench) {
  const Record record = bench.record();
  return {record.state,
          record.goal ? record.goal->workflow_id : "",
          record.attempt,
          {bench.device.is_in_place(0), bench.device.is_in_place(1)}};
}

/// What must be true however the story went.
void expect_truth(Workbench& bench, const Story& story, const std::string& where) {
  const Record record = bench.record();
  ASSERT_TRUE(is_final(record.state)) << where << ": " << state_name(record.state);
  EXPECT_EQ(record.goal->workflow_id, bench.wanted.workflow_id) << where << ": not the newest goal";
  if (story.must_succeed) {
    EXPECT_EQ(state_name(record.state), state_name(State::succeeded)) << where;
  }
  if (story.must_fail) {
    EXPECT_EQ(state_name(record.state), state_name(State::failed)) << where;
  }
  if (story.leaves_nothing) {
    EXPECT_FALSE(bench.device.is_in_place(0) || bench.device.is_in_place(1)) << where;
  }
  for (const std::uint32_t step : {0U, 1U}) {
    EXPECT_EQ(bench.device.is_half(step) && !story.may_stay_half, false)
        << where << ": step " << step + 1 << " is half";
    EXPECT_LE(bench.device.count(step, Verb::install), story.attempts) << where;
    EXPECT_LE(bench.device.count(step, Verb::apply), story.attempts) << where;
  }
  const auto report = bench.last_report();
  EXPECT_EQ(json::integer_or_nothing(report, "state"), record.state == State::failed ? 255 : 0) << where;
  const auto* workflow = json::object_or_null(report, "workflow");
  ASSERT_NE(workflow, nullptr) << where;
  EXPECT_EQ(json::text_or_nothing(*workflow, "id"), record.goal->workflow_id) << where;
  EXPECT_EQ(report.contains("installedUpdateId"), record.state == State::succeeded) << where;
  if (record.state == State::succeeded) {
    EXPECT_TRUE(bench.device.is_in_place(0) && bench.device.is_in_place(1)) << where;
  }
  if (record.state != State::failed) {
    EXPECT_FALSE(std::filesystem::exists(bench.sandbox(record.goal->workflow_id)))
        << where << ": the sandbox is still there";
  }
  EXPECT_TRUE(std::filesystem::is_empty(bench.folder.path() / "outbox")) << where << ": reports are still waiting";
}

class CutTest : public ::testing::Test {
 protected:
  /// Runs the story with these cuts and gives the number of its moments.
  int run(const Story& story, std::set<int> cuts, std::optional<Ending>& ending, const std::string& where) {
    Workbench bench(2, fast_folder());
    story.begin(bench);
    bench.cuts = std::move(cuts);
    for (const auto& goal : story.goals(bench)) {
      bench.want(goal);
      bench.live();
      expect_truth(bench, story, where);
    }
    const Ending here = ending_of(bench);
    if (!ending) ending = here;
    if (!story.is_racy) {
      EXPECT_EQ(here, *ending) << where;
    }
    rows_.insert(bench.rows_taken.begin(), bench.rows_taken.end());
    return bench.moments;
  }

  void cut_everywhere(const std::vector<Story>& stories, bool twice) {
    for (const auto& story : stories) {
      std::optional<Ending> ending;
      const int moments = run(story, {}, ending, story.name);
      for (int cut = 0; cut < moments; ++cut) {
        run(story, {cut}, ending, fmt::format("{}, cut at moment {}", story.name, cut));
        if (twice)
          run(story, {cut, cut + 1}, ending, fmt::format("{}, cut at moment {} and the next", story.name, cut));
        if (HasFatalFailure()) return;
      }
    }
  }
  std::set<std::pair<State, Event>> rows_;
};

TEST_F(CutTest, every_story_ends_truly_wherever_the_power_goes) {
  cut_everywhere(plain_stories(), true);
  cut_everywhere(stories_with_a_sequel(), false);
  cut_everywhere(interrupted_stories(), false);
  cut_everywhere(entangled_stories(), false);
  cut_everywhere(stories_of_begun_steps(), false);
  cut_everywhere(stories_with_restarts(), false);
  cut_everywhere(stories_of_whole_updates(), false);
  cut_everywhere(interrupted_restarts(), false);
  cut_everywhere(lost_around_restarts(), false);
  for (const Row& row : kRows)
    EXPECT_TRUE(rows_.contains({row.from, row.on}))
        << "no story takes the row " << state_name(row.from) << " on " << event_name(row.on);
}

/// A side of an image on trial has its attempts counted, so that a restart too many may end an update that was good.
TEST(RestartsOfTheDevice, one_power_cut_at_any_moment_costs_no_restart_but_its_own) {
  int points = 0;
  for (const Story& story : stories_with_restarts()) {
    if (!story.must_succeed) continue;
    const auto lives = [&](std::set<int> cuts) {
      auto bench = std::make_unique<Workbench>(2, fast_folder());
      story.begin(*bench);
      bench->cuts_are_of_power = true;
      bench->cuts = std::move(cuts);
      bench->want(bench->goal("w1"));
      bench->live();
      return bench;
    };
    const auto whole = lives({});
    for (int cut = 0; cut < whole->moments; ++cut, ++points) {
      const auto bench = lives({cut});
      EXPECT_EQ(state_name(bench->record().state), state_name(State::succeeded)) << story.name << ", cut " << cut;
      EXPECT_LE(bench->restarts_asked_for, whole->restarts_asked_for) << story.name << ", cut at moment " << cut;
    }
  }
  std::cout << "agent: " << points << " power cuts around restarts\n";
  EXPECT_GT(points, 300);
}

}  // namespace
}  // namespace godwit::agent
