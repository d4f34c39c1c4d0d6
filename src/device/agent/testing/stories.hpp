// Stories for the cut test (cut_test.cpp): what happens to an agent on its workbench, and what must be true however it
// went. One thread.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "device/agent/testing/workbench.hpp"

namespace godwit::agent {

struct Story {
  std::string name;
  std::function<void(Workbench&)> begin;
  int attempts = 1;      // how often an install may begin at most
  bool is_racy = false;  // a cut may decide a race the other way: both ends are true ones
  bool must_succeed = false;
  bool must_fail = false;
  bool leaves_nothing = false;  // no step stays in place
  bool may_stay_half = false;   // what is to restore a step fails
  std::function<std::vector<twin::DesiredUpdate>(Workbench&)> goals = [](Workbench& bench) {
    return std::vector{bench.goal("w1")};
  };  // one after the other
};

/// When `at` begins for the first time, the goal of the hub changes.
[[nodiscard]] std::function<void(const EffectRequest&)> change_goal_at(Workbench& bench, Effect at, std::uint32_t step,
                                                                       std::vector<twin::DesiredUpdate> goals);
/// The installer goes away once when it is asked for `verb` of `step`.
[[nodiscard]] std::function<DirectInstaller::Loss(const installer::Request&)> lose_at(installer::Verb verb,
                                                                                      std::uint32_t step,
                                                                                      DirectInstaller::Loss loss,
                                                                                      int skip = 0);

// restart_stories.cpp
[[nodiscard]] std::vector<Story> stories_with_restarts();
[[nodiscard]] std::vector<Story> stories_of_whole_updates();
[[nodiscard]] std::vector<Story> interrupted_restarts();
[[nodiscard]] std::vector<Story> lost_around_restarts();

}  // namespace godwit::agent
