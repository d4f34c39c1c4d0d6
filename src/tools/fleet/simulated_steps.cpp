#include "tools/fleet/simulated_steps.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/manifest/update_manifest.hpp"

namespace godwit::fleet {
namespace {

using agent::Effect;
using agent::EffectResult;
using agent::Event;

constexpr std::int32_t kCancelOk = 800;

/// The phase of the scenario that an effect belongs to; nothing for effects without work.
std::optional<Phase> phase_of(Effect effect) {
  switch (effect) {
    case Effect::verify: return Phase::verify;
    case Effect::download: return Phase::download;
    case Effect::check_step:
    case Effect::confirm: return Phase::check;
    case Effect::back_up: return Phase::backup;
    case Effect::install: return Phase::install;
    case Effect::apply: return Phase::apply;
    case Effect::restore: return Phase::restore;
    case Effect::reboot: return Phase::reboot;
    default: return std::nullopt;
  }
}

std::uint32_t steps_in(const Moment& moment) {
  return moment.plan == nullptr ? 1 : static_cast<std::uint32_t>(moment.plan->steps.size());
}

EffectResult failed(const ActResult& outcome, const std::string& where) {
  std::string details = outcome.details;
  if (details.empty() && outcome.extended_code != 0) details = std::string(extended_code_text(outcome.extended_code));
  if (details.empty()) details = fmt::format("ended with result code {} and no explanation", outcome.result_code);
  return {.event = Event::failed,
          .result_code = outcome.result_code,
          .extended_codes = {outcome.extended_code},
          .details = cut_details(where + ": " + details)};
}

std::string where_of(const Moment& moment, std::uint32_t step, std::string_view phase) {
  const std::string handler = step < moment.record.steps.size() ? moment.record.steps[step].handler : "";
  return fmt::format("step {} ({}) {}", step + 1, handler, phase);
}

const Rule* failure_in(const Moment& moment, Phase phase, std::uint32_t step) {
  return rule_for(moment.scenario, moment.draw.place.kind->failures, moment.draw, phase, step, steps_in(moment));
}

/// The scenario's own word, or the simulator's, or that all went well.
ActResult act(const Moment& moment, Phase phase, std::uint32_t step, std::int32_t otherwise) {
  if (const Rule* rule = failure_in(moment, phase, step)) return rule->result;
  const auto& restarts = moment.draw.place.kind->restarts;
  if (const Rule* rule = rule_for(moment.scenario, restarts, moment.draw, phase, step, steps_in(moment)))
    return rule->result;
  if (moment.scenario.simulator) {
    const SimulatorData& data = *moment.scenario.simulator;
    const auto& found = phase == Phase::backup    ? data.backup
                        : phase == Phase::install ? data.install
                        : phase == Phase::apply   ? data.apply
                                                  : data.restore;
    if (found) return *found;
  }
  return {.result_code = otherwise};
}

EffectResult step_ended(const Moment& moment, const ActResult& outcome) {
  EffectResult ended{.event = agent::event_of_step_end(moment.record, outcome.result_code),
                     .result_code = outcome.result_code,
                     .extended_codes = {},
                     .details = outcome.details};
  if (outcome.extended_code != 0) ended.extended_codes.push_back(outcome.extended_code);
  return ended;
}

EffectResult download(const Moment& moment) {
  auto steps = moment.record.steps;
  const bool is_whole = moment.record.installed == moment.plan->update;
  std::vector<std::uint32_t> missing;
  for (std::uint32_t i = 0; i < steps.size(); ++i) {
    bool is_in_place = is_whole;
    if (moment.scenario.simulator) {
      const ActResult answer = moment.scenario.simulator->is_installed_of(moment.plan->criteria[i]);
      if (answer.result_code <= 0) return failed(answer, where_of(moment, i, "is it installed?"));
      is_in_place = answer.result_code == result::is_installed;
    }
    steps[i].result = is_in_place ? std::optional(StepResult{result::install_skipped, 0, ""}) : std::nullopt;
    if (!is_in_place) missing.push_back(i);
  }
  if (missing.empty())
    return {.event = Event::in_place,
            .result_code = result::is_installed,
            .extended_codes = {},
            .details = "",
            .target = std::nullopt,
            .steps = std::move(steps)};
  for (const std::uint32_t i : missing) {
    if (const Rule* rule = failure_in(moment, Phase::download, i))
      return failed(rule->result, where_of(moment, i, "download"));
    if (!moment.scenario.simulator) continue;
    for (const std::string& name : moment.plan->files[i])
      if (const ActResult answer = moment.scenario.simulator->download_of(name); answer.result_code <= 0)
        return failed(answer, where_of(moment, i, "download"));
  }
  return {.event = Event::passed,
          .result_code = result::download_ok,
          .extended_codes = {},
          .details = "",
          .target = std::nullopt,
          .steps = std::move(steps)};
}

EffectResult check(const Moment& moment) {
  const std::uint32_t step = moment.record.step;
  if (const Rule* rule = failure_in(moment, Phase::check, step))
    return failed(rule->result, where_of(moment, step, "is it installed?"));
  if (step < moment.record.steps.size() && moment.record.steps[step].result &&
      moment.record.steps[step].result->result_code == result::install_skipped)
    return step_ended(moment, {.result_code = result::install_skipped});
  return {.event = Event::not_in_place, .result_code = result::not_installed, .extended_codes = {}, .details = ""};
}

EffectResult plain(const Moment& moment, Phase phase, std::int32_t otherwise) {
  const ActResult outcome = act(moment, phase, moment.record.step, otherwise);
  if (outcome.result_code <= 0)
    return failed(outcome, where_of(moment, moment.record.step, kPhaseNames[static_cast<std::size_t>(phase)]));
  EffectResult ended{
      .event = Event::passed, .result_code = outcome.result_code, .extended_codes = {}, .details = outcome.details};
  if (outcome.extended_code != 0) ended.extended_codes.push_back(outcome.extended_code);
  return ended;
}

EffectResult install(const Moment& moment) {
  EffectResult ended = plain(moment, Phase::install, result::install_ok);
  const auto [wish, is_immediate] = restart_request(ended.result_code);
  if (ended.event == Event::passed && is_immediate)
    ended.event = wish == RestartWish::device ? Event::reboot_due : Event::restart_due;
  return ended;
}

EffectResult apply(const Moment& moment) {
  const ActResult outcome = act(moment, Phase::apply, moment.record.step, result::apply_ok);
  if (outcome.result_code <= 0) return failed(outcome, where_of(moment, moment.record.step, "apply"));
  return step_ended(moment, outcome);
}

EffectResult restore(const Moment& moment) {
  EffectResult ended = plain(moment, Phase::restore, result::restore_ok);
  if (ended.event != Event::passed) return ended;
  const bool wants_reboot = restart_request(ended.result_code).wish == RestartWish::device;
  if (wants_reboot && !moment.record.was_rebooted)
    ended.event = Event::reboot_due;
  else if (agent::step_to_restore(moment.record))
    ended.event = Event::step_restored;
  return ended;
}

EffectResult confirm(const Moment& moment) {
  if (moment.record.is_before_apply)
    return {.event = Event::not_in_place, .result_code = result::not_installed, .extended_codes = {}, .details = ""};
  return step_ended(moment, {.result_code = result::apply_ok});
}

/// A device that restarts does not tell; one that cannot does.
EffectResult reboot(const Moment& moment) {
  if (const Rule* rule = failure_in(moment, Phase::reboot, moment.record.step))
    return failed(rule->result, "restart the device");
  return {.event = Event::passed};
}

SimulatedPlan make_plan(const manifest::UpdateManifest& manifest) {
  SimulatedPlan plan{.update = manifest.update_id};
  for (std::size_t i = 0; i < manifest.steps.size(); ++i) {
    const auto& step = manifest.steps[i];
    const auto scope = json::text_or_nothing(step.handler_properties, "restoreScope");
    plan.steps.push_back({.path = fmt::format("step_{}", i),
                          .handler = step.handler.empty() ? "reference" : step.handler,
                          .restores_update = scope == "update"});
    std::vector<std::string> names;
    for (const auto& id : step.files)
      if (const auto file = manifest.files.find(id); file != manifest.files.end())
        names.push_back(file->second.file_name);
    plan.files.push_back(std::move(names));
    plan.criteria.push_back(json::text_or_nothing(step.handler_properties, "installedCriteria").value_or(""));
  }
  if (plan.steps.empty()) {  // a manifest in a file of its own, which is not fetched: as one step
    plan.steps.push_back({.path = "step_0", .handler = "detached"});
    plan.files.emplace_back();
    plan.criteria.emplace_back();
  }
  return plan;
}

}  // namespace

Result<std::shared_ptr<const SimulatedPlan>> PlanShelf::plan_of(const std::string& manifest) {
  if (const auto found = plans_.find(manifest); found != plans_.end()) return found->second;
  GODWIT_TRY(const auto parsed, manifest::parse_update_manifest(manifest));
  auto plan = std::make_shared<const SimulatedPlan>(make_plan(parsed));
  if (plans_.size() >= kLimit) plans_.clear();  // devices at work keep theirs
  plans_[manifest] = plan;
  return plan;
}

EffectResult verify_simulated(const Moment& moment, const Result<std::shared_ptr<const SimulatedPlan>>& plan) {
  if (!plan)
    return failed({.result_code = result::failure, .extended_code = erc::bad_manifest, .details = plan.error().message},
                  "verify");
  if (const Rule* rule = failure_in(moment, Phase::verify, 0)) return failed(rule->result, "verify");
  return {.event = Event::passed,
          .result_code = result::success,
          .extended_codes = {},
          .details = "",
          .target = (*plan)->update,
          .steps = (*plan)->steps};
}

EffectResult simulate(Effect effect, const Moment& moment) {
  switch (effect) {
    case Effect::download: return download(moment);
    case Effect::check_step: return check(moment);
    case Effect::back_up: return plain(moment, Phase::backup, result::backup_ok);
    case Effect::install: return install(moment);
    case Effect::apply: return apply(moment);
    case Effect::restore: return restore(moment);
    case Effect::confirm: return confirm(moment);
    case Effect::reboot: return reboot(moment);
    default: return {.event = Event::passed, .result_code = result::success};
  }
}

Duration time_of(Effect effect, const Moment& moment) {
  const auto phase = phase_of(effect);
  return phase ? delay_of(moment.scenario, moment.draw, *phase, moment.record.step) : Duration{0};
}

bool refuses_cancel(const Scenario& scenario) {
  return scenario.simulator && scenario.simulator->cancel && scenario.simulator->cancel->result_code != kCancelOk;
}

}  // namespace godwit::fleet
