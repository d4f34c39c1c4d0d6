#include <fmt/format.h>

#include <memory>
#include <utility>

#include "device/agent/testing/stories.hpp"

namespace godwit::agent {

using installer::Verb;
using A = twin::Action;
using Loss = DirectInstaller::Loss;

std::function<void(const EffectRequest&)> change_goal_at(Workbench& bench, Effect at, std::uint32_t step,
                                                         std::vector<twin::DesiredUpdate> goals) {
  return [&bench, at, step, goals = std::move(goals), done = false](const EffectRequest& request) mutable {
    if (done || request.effect != at || (at != Effect::verify && at != Effect::download && request.record.step != step))
      return;
    done = true;
    for (const auto& goal : goals) bench.want(goal);
  };
}

std::function<Loss(const installer::Request&)> lose_at(Verb verb, std::uint32_t step, Loss loss, int skip) {
  return [verb, step, loss, skip, done = false](const installer::Request& request) mutable {
    const auto* act = std::get_if<installer::ActRequest>(&request);
    if (done || act == nullptr || act->verb != verb || act->step != step || skip-- > 0) return Loss::none;
    done = true;
    return loss;
  };
}

namespace {

installer::ActOutcome code(std::int32_t number) { return {.result_code = number, .extended_codes = {}, .details = ""}; }

}  // namespace

/// Handlers that want the device or the agent restarted, at once or at the end, and what may go wrong with it.
std::vector<Story> stories_with_restarts() {
  const installer::ActOutcome broken{.result_code = 0, .extended_codes = {1}, .details = "broken"};
  const auto refused = ConsentAnswer{ConsentAnswer::Kind::no, {}, "not now"};
  std::vector<Story> stories;
  for (const std::int32_t wish : {605, 606, 607, 608, 705, 706, 707, 708})
    for (const std::uint32_t step : {0U, 1U}) {
      const Verb verb = wish < 700 ? Verb::install : Verb::apply;
      stories.push_back({fmt::format("code {} from step {}", wish, step + 1),
                         [=](Workbench& bench) { bench.device.fail(step, verb, code(wish)); }});
      stories.back().must_succeed = true;
      const bool is_device = restart_request(wish).wish == RestartWish::device;
      if (!is_device) continue;
      stories.push_back(
          {fmt::format("code {} from step {}, lost in the restart", wish, step + 1), [=](Workbench& bench) {
             bench.device.fail(step, verb, code(wish));
             bench.device.lose_at_reboot(step);
           }});
      stories.back().must_fail = verb == Verb::apply || wish == 606;
      stories.push_back(
          {fmt::format("code {} from step {}, and the restart has no effect", wish, step + 1), [=](Workbench& bench) {
             bench.device.fail(step, verb, code(wish));
             bench.restart_command_works = false;
           }});
      stories.back().must_fail = true;
      stories.push_back(
          {fmt::format("code {} from step {}, and no leave for a restart", wish, step + 1), [=](Workbench& bench) {
             bench.device.fail(step, verb, code(wish));
             bench.consent.reboot = refused;
           }});
      stories.back().must_fail = true;
    }
  stories.push_back({"the device at the end, the agent at once", [](Workbench& bench) {
                       bench.device.fail(0, Verb::apply, code(706));
                       bench.device.fail(1, Verb::apply, code(707));
                     }});
  stories.back().must_succeed = true;
  for (const std::int32_t wish : {706, 708})
    stories.push_back({fmt::format("code {} from step 1, and step 2 is in place", wish), [=](Workbench& bench) {
                         bench.device.set_in_place(1);
                         bench.device.fail(0, Verb::apply, code(wish));
                       }});
  stories.push_back({"the restore wants a restart of the device", [broken](Workbench& bench) {
                       bench.device.fail(0, Verb::install, broken);
                       bench.device.fail(0, Verb::restore, code(1105));
                     }});
  stories.push_back({"leave is asked for and given", [](Workbench& bench) { bench.consent.is_asked = true; }});
  stories.back().must_succeed = true;
  stories.push_back({"leave is refused", [refused](Workbench& bench) {
                       bench.consent.is_asked = true;
                       bench.consent.install = refused;
                     }});
  stories.back().must_fail = true;
  return stories;
}

/// An update that is to be restored as a whole.
std::vector<Story> stories_of_whole_updates() {
  const installer::ActOutcome broken{.result_code = 0, .extended_codes = {1}, .details = "broken"};
  const auto whole = [](Workbench& bench) { bench.device.restores_update(0); };
  std::vector<Story> stories;
  for (const Verb verb : {Verb::backup, Verb::install, Verb::apply})
    stories.push_back(
        {fmt::format("{} of step 2 fails, all is restored", installer::verb_name(verb)), [=](Workbench& bench) {
           whole(bench);
           bench.device.fail(1, verb, broken);
         }});
  stories.push_back({"the check of step 2 fails, all is restored", [=](Workbench& bench) {
                       whole(bench);
                       bench.before_effect = [&bench, broken](const EffectRequest& request) {
                         if (request.effect == Effect::check_step && request.record.step == 1)
                           bench.device.fail(1, Verb::is_installed, broken);
                       };
                     }});
  stories.push_back({"leave for step 2 is refused, all is restored", [=](Workbench& bench) {
                       whole(bench);
                       bench.consent.install = {ConsentAnswer::Kind::no, {}, "not now"};
                       bench.before_effect = [&bench](const EffectRequest& request) {
                         bench.consent.is_asked = request.record.step == 1;
                       };
                     }});
  for (Story& story : stories) {
    story.must_fail = true;
    story.leaves_nothing = true;
  }
  return stories;
}

/// The goal changes while a restart is waited for, or after it.
std::vector<Story> interrupted_restarts() {
  std::vector<Story> stories;
  for (const std::int32_t wish : {705, 706, 707})
    for (const Effect at : {Effect::ask_reboot, Effect::reboot, Effect::restart_agent, Effect::confirm})
      for (const int change : {0, 1, 2}) {
        if ((wish == 707) != (at == Effect::restart_agent) && at != Effect::confirm) continue;
        stories.push_back({fmt::format("code {}, change {} at {}", wish, change, effect_name(at)),
                           [=](Workbench& bench) {
                             bench.device.fail(1, Verb::apply, code(wish));
                             const auto goal = change == 0   ? bench.goal("w1", "", A::cancel)
                                               : change == 1 ? bench.goal("w1", "t2")
                                                             : bench.goal("w2");
                             bench.before_effect = change_goal_at(bench, at, 1, {goal});
                             bench.before_restart = [&bench, at, goal] {
                               if (at == Effect::restart_agent) bench.want(goal);
                             };
                           },
                           2, true});
      }
  for (const int change : {1, 2})
    stories.push_back({fmt::format("change {} while leave is asked for", change),
                       [=](Workbench& bench) {
                         bench.consent.is_asked = true;
                         bench.before_effect = change_goal_at(
                             bench, Effect::ask_consent, 0, {change == 1 ? bench.goal("w1", "t2") : bench.goal("w2")});
                       },
                       2, true});
  for (const Effect at : {Effect::check_step, Effect::back_up, Effect::install, Effect::apply, Effect::ask_consent})
    for (const std::uint32_t step : {0U, 1U})
      for (const bool whole : {false, true})
        for (const bool is_late : {false, true})
          for (const std::int32_t wish : {600, 706, 708}) {
            if (wish == 708 && !(at == Effect::check_step && step == 1)) continue;
            stories.push_back({fmt::format("cancel at {} of step {}, whole {} late {} code {}", effect_name(at),
                                           step + 1, whole, is_late, wish),
                               [=](Workbench& bench) {
                                 if (whole) bench.device.restores_update(1);
                                 bench.cancels_come_too_late = is_late;
                                 bench.consent.is_asked = true;
                                 if (wish != 600)
                                   bench.device.fail(0, wish < 700 ? Verb::install : Verb::apply, code(wish));
                                 if (at == Effect::check_step && step == 1) bench.device.set_in_place(1);
                                 bench.before_effect =
                                     change_goal_at(bench, at, step, {bench.goal("w1", "", A::cancel)});
                               },
                               1, true});
          }
  stories.push_back({"cancelled, and the restore wants a restart of the device",
                     [](Workbench& bench) {
                       bench.device.fail(0, Verb::restore, code(1105));
                       bench.before_effect =
                           change_goal_at(bench, Effect::install, 0, {bench.goal("w1", "", A::cancel)});
                     },
                     1, true});
  return stories;
}

/// The installer goes away around a restart.
std::vector<Story> lost_around_restarts() {
  std::vector<Story> stories;
  for (const std::int32_t wish : {705, 707})
    for (const Loss loss : {Loss::before, Loss::after})
      stories.push_back(
          {fmt::format("code {}, the installer goes away when it confirms, {}", wish, static_cast<int>(loss)),
           [=](Workbench& bench) {
             bench.device.fail(0, Verb::apply, code(wish));
             auto confirms = std::make_shared<bool>(false);
             bench.before_effect = [confirms](const EffectRequest& request) {
               *confirms = request.effect == Effect::confirm;
             };
             bench.on_request = [confirms, loss](const installer::Request&) {
               return std::exchange(*confirms, false) ? loss : Loss::none;
             };
           },
           1, true});  // is_racy: lost once in each life, so that it may be lost too often
  stories.push_back({"somebody else restarts the device while leave is asked for", [](Workbench& bench) {
                       bench.device.fail(0, Verb::apply, code(705));
                       bench.before_effect = [&bench](const EffectRequest& request) {
                         if (request.effect != Effect::ask_reboot) return;
                         ++bench.boot;
                         bench.device.reboot();
                         throw PowerCut{};
                       };
                     }});
  stories.back().must_succeed = true;
  stories.push_back({"the installer goes away in the restart request", [](Workbench& bench) {
                       bench.device.fail(0, Verb::apply, code(705));
                       bench.on_request = [done = false](const installer::Request& request) mutable {
                         return std::holds_alternative<installer::RestartDeviceRequest>(request) &&
                                        !std::exchange(done, true)
                                    ? Loss::before
                                    : Loss::none;
                       };
                     }});
  return stories;
}

}  // namespace godwit::agent
