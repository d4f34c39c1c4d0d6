#include "device/agent/effects.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "device/agent/planned_steps.hpp"

namespace godwit::agent {
namespace {

using installer::ActOutcome;
using installer::Verb;

constexpr Duration kTidyPatience = std::chrono::seconds(5);
constexpr Duration kProgressPause = std::chrono::milliseconds(250);
constexpr std::size_t kSoftCodesLimit = 8;

std::string step_name(const Record& record, std::size_t index, std::string_view act) {
  const std::string label =
      index < record.steps.size() ? step_label(record.steps[index]) : fmt::format("step {}", index + 1);
  return act.empty() ? label : fmt::format("{} {}", label, act);
}

EffectResult failed(Trouble trouble) {
  return {.event = Event::failed,
          .result_code = trouble.result_code,
          .extended_codes = {trouble.extended_code},
          .details = cut_details(std::move(trouble.details))};
}
EffectResult failed(ExtendedCode code, std::string details) {
  return failed(Trouble{result::failure, code, std::move(details)});
}

Trouble sandbox_trouble(const Error& error) {
  return {result::failure, error.code == Code::disk_full ? erc::disk_full : erc::download_failed,
          "make the sandbox: " + error.message};
}

/// A failure that a handler reports; an empty sentence gets one from the code.
EffectResult refused(const std::string& where, const ActOutcome& outcome) {
  std::string details = outcome.details;
  if (details.empty() && !outcome.extended_codes.empty())
    details = std::string(extended_code_text(outcome.extended_codes.front()));
  if (details.empty()) details = fmt::format("ended with result code {} and no explanation", outcome.result_code);
  return {.event = Event::failed,
          .result_code = outcome.result_code,
          .extended_codes = outcome.extended_codes,
          .details = cut_details(where + ": " + details)};
}

std::string note_of(const ActOutcome& outcome) {
  if (!outcome.details.empty()) return outcome.details;
  switch (restart_request(outcome.result_code).wish) {
    case RestartWish::device: return "the handler asked for a restart of the device";
    case RestartWish::agent: return "the handler asked for a restart of the agent";
    case RestartWish::none: break;
  }
  return "";
}

}  // namespace

EffectResult DeviceEffects::run(const EffectRequest& request, std::stop_token stop_token, const Progress& progress) {
  const Turn turn{request.record, std::move(stop_token), progress};
  if (!request.record.goal) return failed(erc::unexpected_state, "there is no goal");
  switch (request.effect) {
    case Effect::nothing: break;
    case Effect::verify: return verify(turn);
    case Effect::download: return download(turn);
    case Effect::check_step: return check_step(turn);
    case Effect::back_up: return back_up(turn);
    case Effect::ask_consent: return ask_consent(turn, ConsentFor::install);
    case Effect::install: return install(turn);
    case Effect::apply: return apply(turn);
    case Effect::ask_reboot: return ask_consent(turn, ConsentFor::reboot);
    case Effect::reboot: return reboot(turn);
    case Effect::restart_agent: break;  // the executor ends the process
    case Effect::confirm: return confirm(turn);
    case Effect::restore: return restore(turn);
    case Effect::stop: return stop(turn);
    case Effect::report: return tidy(turn);
  }
  return {.event = Event::passed};
}

Path DeviceEffects::sandbox(const Record& record) const { return settings_.downloads / record.goal->workflow_id; }

DeviceEffects::Reply DeviceEffects::ask(const Turn& turn, const installer::Request& request) {
  InstallerCall call{.workflow_id = turn.record.goal->workflow_id,
                     .stop = turn.stop,
                     .on_progress = {},
                     .patience = settings_.installer_patience};
  Duration next = ports_.clock.monotonic();
  call.on_progress = [this, &turn, &next](std::uint64_t done, std::uint64_t total) {
    if (ports_.clock.monotonic() < next) return;
    next = ports_.clock.monotonic() + kProgressPause;
    turn.progress({.phase = std::string(state_name(turn.record.state)),
                   .step = turn.record.step,
                   .steps = std::ssize(turn.record.steps),
                   .done_bytes = static_cast<std::int64_t>(done),
                   .total_bytes = static_cast<std::int64_t>(total)});
  };
  return ports_.installer.ask(request, call);
}

DeviceEffects::Reply DeviceEffects::open(const Turn& turn, VerifiedGoal verified) {
  json::Object components;
  if (!verified.children.empty()) {
    auto found = ports_.components.ask(verified.selectors, turn.stop);
    if (!found)
      return ActOutcome{.result_code = found.error().result_code,
                        .extended_codes = {found.error().extended_code},
                        .details = found.error().details};
    components = *std::move(found);
  }
  const auto& goal = *turn.record.goal;
  installer::OpenRequest request;
  request.workflow_id = goal.workflow_id;
  request.attempt = turn.record.attempt;
  request.manifest = goal.manifest;
  request.signature = goal.manifest_signature;
  request.root_key_package = std::move(verified.root_key_package);
  request.detached_manifest = std::move(verified.detached_manifest);
  request.children = std::move(verified.children);
  request.components = std::move(components);
  return ask(turn, request);
}

/// An installer that does not know the workflow or this attempt (its folder was emptied) is told again, by the agent's
/// own check from the beginning: nothing of what is handed over is kept for this rare case.
DeviceEffects::Reply DeviceEffects::act(const Turn& turn, std::uint32_t step, Verb verb, const FetchedPieces* fetched) {
  installer::ActRequest request{.workflow_id = turn.record.goal->workflow_id,
                                .attempt = turn.record.attempt,
                                .step = step,
                                .verb = verb,
                                .files_folder = sandbox(turn.record).string()};
  if (fetched != nullptr) {
    request.pieces = fetched->pieces;
    request.pieces_file = fetched->file.filename();
  }
  auto reply = ask(turn, request);
  if (reply || (reply.error().code != Code::not_found && reply.error().code != Code::conflict)) return reply;
  ports_.log.warning("installer.opened_again", {{"workflow", request.workflow_id}, {"reason", reply.error().message}});
  auto verified = verify_goal(*turn.record.goal, settings_.verify, ports_.payloads, sandbox(turn.record), turn.stop,
                              ports_.clock, ports_.log);
  if (!verified)
    return ActOutcome{.result_code = verified.error().result_code,
                      .extended_codes = {verified.error().extended_code},
                      .details = verified.error().details};
  auto opened = open(turn, *std::move(verified));
  if (!opened || opened->result_code <= 0) return opened;
  const auto steps = opened->plan ? steps_of(*opened->plan) : Result<std::vector<PlannedStep>>{};
  if (!steps || !is_same_plan(*steps, turn.record.steps))
    return ActOutcome{.result_code = result::failure,
                      .extended_codes = {erc::plan_changed},
                      .details = "the plan is another one than when the update began; retry it"};
  return ask(turn, request);
}

EffectResult DeviceEffects::lost_or_failed(const Turn& turn, const std::string& where, const Error& error) const {
  const std::string details = where + ": " + error.message;
  if (error.code == Code::cancelled || (turn.stop.stop_requested() && error.code != Code::unavailable))
    return failed(Trouble{result::cancelled, 0, details});
  if (error.code == Code::unavailable)
    return {.event = Event::installer_lost,
            .result_code = result::failure,
            .extended_codes = {erc::installer_unreachable},
            .details = cut_details(details)};
  const bool is_time = error.code == Code::timed_out;
  return failed(is_time ? erc::installer_unreachable : erc::unexpected_state, details);
}

EffectResult DeviceEffects::verify(const Turn& turn) {
  const auto& goal = *turn.record.goal;
  remove_other_sandboxes(goal.workflow_id);
  if (auto made = make_folders(sandbox(turn.record), 0755); !made) return failed(sandbox_trouble(made.error()));
  auto verified =
      verify_goal(goal, settings_.verify, ports_.payloads, sandbox(turn.record), turn.stop, ports_.clock, ports_.log);
  if (!verified) return failed(verified.error());
  if (turn.stop.stop_requested()) return failed(Trouble{result::cancelled, 0, "stopped"});

  constexpr std::string_view kWhere = "open the update in the installer";
  const UpdateId target = verified->manifest.update_id;
  const auto opened = open(turn, *std::move(verified));
  if (!opened) return lost_or_failed(turn, std::string(kWhere), opened.error());
  if (opened->result_code <= 0) return refused(std::string(kWhere), *opened);
  if (!opened->plan) return failed(erc::unexpected_state, std::string(kWhere) + ": it gave no plan");
  auto steps = steps_of(*opened->plan);
  if (!steps) return failed(erc::unexpected_state, std::string(kWhere) + ": " + steps.error().message);
  return {.event = Event::passed,
          .result_code = result::success,
          .extended_codes = {},
          .details = "",
          .target = target,
          .steps = *std::move(steps),
          .copy_device = opened->plan->copy_device};
}

EffectResult DeviceEffects::download(const Turn& turn) {
  std::vector<PlannedStep> steps = turn.record.steps;
  std::vector<std::size_t> missing;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (!steps[i].skip.empty()) {
      steps[i].result = StepResult{result::install_no_component, 0, steps[i].skip};
      continue;
    }
    const auto reply = act(turn, static_cast<std::uint32_t>(i), Verb::is_installed);
    if (!reply) return lost_or_failed(turn, step_name(turn.record, i, "is it installed?"), reply.error());
    if (reply->result_code <= 0) return refused(step_name(turn.record, i, "is it installed?"), *reply);
    // What this run did itself before a cut is gone through again: it may want a restart, or to be restored.
    const bool is_in_place = reply->result_code == result::is_installed && reply->own_work == 0;
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
  EffectResult fetched = fetch_all(turn, missing);
  if (fetched.event != Event::passed) return fetched;
  for (const auto i : missing) {
    const auto reply = act(turn, static_cast<std::uint32_t>(i), Verb::download);
    if (!reply) return lost_or_failed(turn, step_name(turn.record, i, "download"), reply.error());
    if (reply->result_code <= 0) return refused(step_name(turn.record, i, "download"), *reply);
  }
  return {.event = Event::passed,
          .result_code = result::download_ok,
          .extended_codes = std::move(fetched.extended_codes),
          .details = "",
          .target = std::nullopt,
          .steps = std::move(steps)};
}

EffectResult DeviceEffects::fetch_all(const Turn& turn, const std::vector<std::size_t>& steps) {
  const Path folder = sandbox(turn.record);
  if (auto made = make_folders(folder, 0755); !made) return failed(sandbox_trouble(made.error()));
  std::vector<const PlannedFile*> files;
  std::vector<ExtendedCode> soft;
  ByteCount total = 0;
  for (const auto i : steps) {
    for (const auto& file : turn.record.steps[i].files) {
      if (file.is_streamed) continue;
      if (std::ranges::any_of(files, [&file](const PlannedFile* other) { return other->id == file.id; })) continue;
      files.push_back(&file);
      total += file.size;
    }
  }
  if (const auto space = ports_.payloads.reserve_space(files, folder, turn.record.copy_device); !space)
    return failed(space.error());
  ByteCount before = 0;
  Duration next = ports_.clock.monotonic();
  for (const auto* file : files) {
    const auto progressed = [&](ByteCount done) {
      if (ports_.clock.monotonic() < next && done < file->size) return;
      next = ports_.clock.monotonic() + kProgressPause;
      turn.progress({.phase = std::string(state_name(turn.record.state)),
                     .step = turn.record.step,
                     .steps = std::ssize(turn.record.steps),
                     .done_bytes = static_cast<std::int64_t>(before + done),
                     .total_bytes = static_cast<std::int64_t>(total)});
    };
    const auto fetched = ports_.payloads.obtain({.file = *file, .update = turn.record.target.value_or(UpdateId{})},
                                                folder, turn.stop, progressed);
    if (!fetched) return failed(fetched.error());
    if (*fetched != 0 && std::ranges::find(soft, *fetched) == soft.end() && soft.size() < kSoftCodesLimit)
      soft.push_back(*fetched);
    before += file->size;
  }
  return {.event = Event::passed, .result_code = result::download_ok, .extended_codes = std::move(soft)};
}

EffectResult DeviceEffects::step_ended(const Turn& turn, const ActOutcome& outcome, std::int32_t code) const {
  return {.event = event_of_step_end(turn.record, code),
          .result_code = code,
          .extended_codes = outcome.extended_codes,
          .details = code == result::install_skipped ? "" : note_of(outcome)};
}

EffectResult DeviceEffects::check_step(const Turn& turn) {
  if (const auto& step = turn.record.steps[turn.record.step]; !step.skip.empty())
    return step_ended(turn, {.result_code = result::install_no_component, .extended_codes = {}, .details = step.skip},
                      result::install_no_component);
  const auto reply = act(turn, turn.record.step, Verb::is_installed);
  const std::string where = step_name(turn.record, turn.record.step, "is it installed?");
  if (!reply) return lost_or_failed(turn, where, reply.error());
  if (reply->result_code <= 0) return refused(where, *reply);
  // In place by this run's own work, whose result was lost with the power: what it asked for still counts.
  if (reply->result_code == result::is_installed)
    return step_ended(turn, *reply, reply->own_work > 0 ? reply->own_work : result::install_skipped);
  const bool must_ask = turn.record.state == State::checking && !turn.record.has_consent && ports_.consent.is_needed();
  return {.event = must_ask ? Event::consent_needed : Event::not_in_place,
          .result_code = reply->result_code,
          .extended_codes = {},
          .details = ""};
}

/// Nothing on the device is touched while somebody thinks it over.
EffectResult DeviceEffects::ask_consent(const Turn& turn, ConsentFor what) {
  const auto waiting = [&turn](const std::string& reason) {
    turn.progress({.phase = std::string(state_name(turn.record.state)),
                   .step = turn.record.step,
                   .steps = std::ssize(turn.record.steps),
                   .waiting_for = reason});
  };
  const auto answer = ports_.consent.wait(what, turn.record, turn.stop, waiting);
  if (turn.stop.stop_requested()) return failed(Trouble{result::cancelled, 0, "stopped while waiting for leave"});
  if (answer.kind == ConsentAnswer::Kind::now) return {.event = Event::passed, .result_code = result::success};
  return failed(erc::consent_refused,
                fmt::format("the consent command said no to {}{}",
                            what == ConsentFor::install ? "the update" : "the restart of the device",
                            answer.reason.empty() ? "" : ": " + answer.reason));
}

/// The files are made sure of here once more: an earlier step, or a hand, may have undone what was in place before the
/// download.
EffectResult DeviceEffects::back_up(const Turn& turn) {
  if (EffectResult fetched = fetch_all(turn, {turn.record.step}); fetched.event != Event::passed) return fetched;
  return plain_act(turn, Verb::backup, Event::passed);
}

/// The installer's install act, with the pieces of streamed files that it asks for, until it asks for no more.
DeviceEffects::Reply DeviceEffects::install_act(const Turn& turn) {
  auto reply = act(turn, turn.record.step, Verb::install);
  std::optional<installer::Pieces> given;
  while (reply && reply->wants && !turn.stop.stop_requested()) {
    if (given == reply->wants)
      return ActOutcome{.result_code = result::failure,
                        .extended_codes = {erc::handler_contract},
                        .details = "the step's handler asks again for the very pieces that it was given"};
    given = reply->wants;
    const auto& files = turn.record.steps[turn.record.step].files;
    const auto file = std::ranges::find(files, given->file_id, &PlannedFile::id);
    if (file == files.end() || !file->is_streamed)
      return fail(Code::bad_packet, "the installer asks for pieces of a file that is not streamed");
    const auto fetched = ports_.payloads.fetch_pieces(*file, given->ranges, sandbox(turn.record), turn.stop);
    if (!fetched)
      return ActOutcome{.result_code = fetched.error().result_code,
                        .extended_codes = {fetched.error().extended_code},
                        .details = fetched.error().details};
    const FetchedPieces brought{.pieces = *given, .file = *fetched};
    reply = act(turn, turn.record.step, Verb::install, &brought);
    // Used, or wrong: neither is to be found whole by the next round. An act that did not end may need it again.
    std::error_code ignored;
    if (reply) std::filesystem::remove(brought.file, ignored);
  }
  if (reply && reply->wants) return fail(Code::cancelled, "stopped between two pieces");
  return reply;
}

EffectResult DeviceEffects::plain_act(const Turn& turn, Verb verb, Event on_success) {
  const auto reply = verb == Verb::install ? install_act(turn) : act(turn, turn.record.step, verb);
  const std::string where = step_name(turn.record, turn.record.step, installer::verb_name(verb));
  if (!reply) return lost_or_failed(turn, where, reply.error());
  if (reply->result_code <= 0) return refused(where, *reply);
  return {.event = on_success,
          .result_code = reply->result_code,
          .extended_codes = reply->extended_codes,
          .details = note_of(*reply)};
}

/// What is wanted at the end is noted by the record; the step goes on to its apply.
EffectResult DeviceEffects::install(const Turn& turn) {
  EffectResult ended = plain_act(turn, Verb::install, Event::passed);
  const auto [wish, is_immediate] = restart_request(ended.result_code);
  if (ended.event == Event::passed && is_immediate)
    ended.event = wish == RestartWish::device ? Event::reboot_due : Event::restart_due;
  return ended;
}

EffectResult DeviceEffects::apply(const Turn& turn) {
  const auto reply = act(turn, turn.record.step, Verb::apply);
  const std::string where = step_name(turn.record, turn.record.step, "apply");
  if (!reply) return lost_or_failed(turn, where, reply.error());
  if (reply->result_code <= 0) return refused(where, *reply);
  return step_ended(turn, *reply, reply->result_code);
}

EffectResult DeviceEffects::restore(const Turn& turn) {
  EffectResult ended = plain_act(turn, Verb::restore, Event::passed);
  if (ended.event != Event::passed) return ended;
  const bool wants_reboot = restart_request(ended.result_code).wish == RestartWish::device;
  if (wants_reboot && !turn.record.was_rebooted) {
    ended.event = Event::reboot_due;
    return ended;
  }
  if (step_to_restore(turn.record)) ended.event = Event::step_restored;
  return ended;
}

/// Ends with the device, or with a failure.
EffectResult DeviceEffects::reboot(const Turn& turn) {
  constexpr std::string_view kWhere = "restart the device";
  const auto reply = ask(turn, installer::RestartDeviceRequest{turn.record.goal->workflow_id, turn.record.attempt});
  if (!reply && reply.error().code == Code::unavailable) {
    // The installer may have been the first to fall.
    if (ports_.pauses.wait(settings_.reboot_patience, turn.stop))
      return lost_or_failed(turn, std::string(kWhere), reply.error());
    return failed(Trouble{result::cancelled, 0, std::string(kWhere) + ": stopped"});
  }
  if (!reply) return failed(erc::reboot_failed, std::string(kWhere) + ": " + reply.error().message);
  if (reply->result_code <= 0) return refused(std::string(kWhere), *reply);
  if (!ports_.pauses.wait(settings_.reboot_patience, turn.stop))
    return failed(Trouble{result::cancelled, 0, std::string(kWhere) + ": stopped"});
  return failed(erc::reboot_failed,
                fmt::format("the restart command ended well, but the device still runs after {} s",
                            std::chrono::duration_cast<std::chrono::seconds>(settings_.reboot_patience).count()));
}

/// After a restart nothing is believed: each step that this run did is asked again.
EffectResult DeviceEffects::confirm(const Turn& turn) {
  for (std::uint32_t i = 0; i <= turn.record.step; ++i) {
    const auto reply = act(turn, i, Verb::is_installed);
    const std::string where = step_name(turn.record, i, "is it installed after the restart?");
    if (!reply) return lost_or_failed(turn, where, reply.error());
    if (reply->result_code <= 0) return refused(where, *reply);
    if (reply->result_code == result::is_installed) continue;
    if (i == turn.record.step && turn.record.is_before_apply)
      return {.event = Event::not_in_place, .result_code = reply->result_code, .extended_codes = {}, .details = ""};
    return failed(erc::not_in_place_after_restart, step_name(turn.record, i, "") +
                                                       " was not in place after the restart" +
                                                       (reply->details.empty() ? "" : ": " + reply->details));
  }
  return step_ended(turn, {.result_code = result::apply_ok, .extended_codes = {}, .details = ""}, result::apply_ok);
}

/// After a start of the process an act of the installer may still run: it is cancelled, and the note waits until it has
/// ended.
EffectResult DeviceEffects::stop(const Turn& turn) {
  const installer::CancelRequest cancel{turn.record.goal->workflow_id};
  const auto cancelled = ask(turn, cancel);
  if (!cancelled && cancelled.error().code == Code::unavailable) return lost_or_failed(turn, "stop", cancelled.error());
  if (!turn.record.steps.empty()) {
    const installer::ActRequest note{.workflow_id = turn.record.goal->workflow_id,
                                     .attempt = turn.record.attempt,
                                     .step = turn.record.step,
                                     .verb = Verb::cancel_note,
                                     .files_folder = ""};
    const auto noted = ask(turn, note);
    if (!noted && noted.error().code == Code::unavailable) return lost_or_failed(turn, "stop", noted.error());
  }
  return {.event = Event::passed, .result_code = result::success};
}

/// After a failure the sandbox stays until the next goal: what was downloaded need not come again at a retry.
EffectResult DeviceEffects::tidy(const Turn& turn) {
  const std::string& workflow = turn.record.goal->workflow_id;
  if (turn.record.state == State::succeeded && turn.record.target)
    ports_.payloads.keep_sources(turn.record.steps, *turn.record.target, sandbox(turn.record), turn.stop);
  remove_other_sandboxes(turn.record.state == State::failed ? workflow : "");
  if (turn.record.state == State::failed) return {.event = Event::passed};
  const InstallerCall call{.workflow_id = "", .stop = turn.stop, .on_progress = {}, .patience = kTidyPatience};
  const auto closed = ports_.installer.ask(installer::CloseRequest{workflow}, call);
  if (!closed) ports_.log.debug("installer.not_closed", {{"workflow", workflow}, {"reason", closed.error().message}});
  return {.event = Event::passed};
}

void DeviceEffects::remove_other_sandboxes(const std::string& kept) const {
  std::error_code problem;
  for (const auto& entry : std::filesystem::directory_iterator(settings_.downloads, problem)) {
    if (entry.path().filename() == kept) continue;
    std::filesystem::remove_all(entry.path(), problem);
    if (problem)
      ports_.log.warning("sandbox.not_removed", {{"path", entry.path().string()}, {"reason", problem.message()}});
  }
}

}  // namespace godwit::agent
