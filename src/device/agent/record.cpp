#include "device/agent/record.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace godwit::agent {
namespace {

void begin(Record& record, const Incident& incident) {
  Record fresh;
  fresh.state = State::verifying;
  fresh.goal = incident.goal;
  fresh.attempt = 1;
  fresh.installed = record.installed;
  fresh.past = std::move(record.past);
  if (record.goal) fresh.past.push_back({record.goal->workflow_id, record.attempt});
  const auto known =
      std::ranges::find(fresh.past, incident.goal ? incident.goal->workflow_id : "", &PastWorkflow::workflow_id);
  if (known != fresh.past.end()) {  // a retry, or an older goal that came back
    fresh.attempt = known->attempt + 1;
    fresh.past.erase(known);
  }
  if (fresh.past.size() > kPastLimit) fresh.past.erase(fresh.past.begin());
  record = std::move(fresh);
}

void never_began(Record& record, const Incident& incident) {
  begin(record, incident);
  record.state = State::cancelled;
  record.outcome = InstallResult{.result_code = result::cancelled,
                                 .extended_codes = {},
                                 .details = "cancelled before this device began",
                                 .steps = {}};
}

bool is_in_a_step(State state) {
  switch (state) {
    case State::checking:
    case State::consenting:
    case State::backing_up:
    case State::installing:
    case State::applying:
    case State::reboot_pending:
    case State::rebooting:
    case State::restarting:
    case State::confirming:
    case State::stopping: return true;
    default: return false;
  }
}

void mark_step(Record& record, std::int32_t code, ExtendedCode extended, std::string details) {
  if (record.step < record.steps.size())
    record.steps[record.step].result = StepResult{code, extended, cut_details(std::move(details))};
}

ExtendedCode first_code(const EffectResult& ended) {
  return ended.extended_codes.empty() ? 0 : ended.extended_codes.front();
}

/// The first cause stays; what follows (a failed restore) is added to its sentence.
void remember_failure(Record& record, State from, const EffectResult& ended) {
  if (from == State::restoring || from == State::undoing) {
    if (!record.outcome) record.outcome = InstallResult{};
    record.outcome->details = cut_details(record.outcome->details + "; " + ended.details);
    return;
  }
  if (is_in_a_step(from)) mark_step(record, ended.result_code, first_code(ended), ended.details);
  record.outcome = InstallResult{.result_code = ended.result_code,
                                 .extended_codes = ended.extended_codes,
                                 .details = cut_details(ended.details),
                                 .steps = {}};
}

void succeed(Record& record) {
  record.outcome = InstallResult{.result_code = result::apply_ok, .extended_codes = {}, .details = "", .steps = {}};
  for (const auto& step :
       record.steps)  // a note of a handler, e.g. that it wants a restart of the device, is for the operator
    if (step.result && !step.result->details.empty() && step.result->result_code != result::install_skipped)
      record.outcome->details =
          cut_details(record.outcome->details + (record.outcome->details.empty() ? "" : "; ") + step.result->details);
  if (!record.soft_codes.empty()) {
    record.outcome->extended_codes = {erc::none};
    record.outcome->extended_codes.insert(record.outcome->extended_codes.end(), record.soft_codes.begin(),
                                          record.soft_codes.end());
  }
  record.installed = record.target;
}

void end_cancelled(Record& record, State from, const Incident& incident) {
  std::string details = record.is_local_cancel ? "cancelled on the device" : "cancelled";
  if (from == State::stopping) details += fmt::format(" after step {}", record.step);
  if (from == State::undoing) details += " in " + name_of_step(record);
  if (from == State::undoing) {
    const bool is_restored = incident.event == Event::passed;
    if (is_restored && incident.result && incident.result->result_code != result::restore_unsupported)
      details += "; the step was restored";
    if (is_restored && incident.result && incident.result->result_code == result::restore_unsupported)
      details += "; its handler cannot restore what it changed";
    if (!is_restored && incident.result) details += "; " + incident.result->details;
  }
  // The service did not ask for this end: for it, the device has failed, and may still succeed.
  record.outcome = InstallResult{.result_code = record.is_local_cancel ? result::failure : result::cancelled,
                                 .extended_codes = {},
                                 .details = cut_details(std::move(details)),
                                 .steps = {}};
  if (record.is_local_cancel) record.outcome->extended_codes.push_back(erc::cancelled_on_device);
}

/// A restart that is due now, or wanted at the end.
void note_restart(Record& record, State from, const Incident& incident) {
  const EffectResult& ended = *incident.result;
  if (ended.event == Event::failed) return;
  if (from == State::installing || from == State::applying || from == State::checking) {
    const auto [wish, is_immediate] = restart_request(ended.result_code);
    if (!is_immediate) record.restart_at_end = std::max(record.restart_at_end, wish);
  }
  if (ended.event != Event::reboot_due && ended.event != Event::restart_due) return;
  if (from == State::installing || from == State::applying || from == State::checking) {
    mark_step(record, ended.result_code, first_code(ended), ended.details);
    record.is_before_apply = from == State::installing;
  }
  record.boot = ended.event == Event::reboot_due ? incident.boot : "";
}

/// The restart has happened, by whomever.
void forget_restart(Record& record, State from, Event on) {
  if (on == Event::rebooted) record.was_rebooted = from == State::restoring || from == State::undoing;
  const bool is_met = on == Event::rebooted || record.restart_at_end == RestartWish::agent;
  if (is_met) record.restart_at_end = RestartWish::none;
  record.boot.clear();
}

/// The steps that were done are restored one after the other, the newest first.
void go_back_a_step(Record& record) {
  const auto earlier = step_to_restore(record);
  if (!earlier) return;
  record.step = *earlier;
  record.was_rebooted = false;
  record.boot.clear();
}

/// What the end of an effect leaves behind, whatever the next state is.
void take_result(Record& record, State from, const Incident& incident) {
  if (!incident.result) return;
  const EffectResult& ended = *incident.result;
  if (ended.target) record.target = ended.target;
  if (ended.copy_device != 0) record.copy_device = ended.copy_device;
  if (!ended.steps.empty()) record.steps = ended.steps;
  if (from == State::downloading && ended.event == Event::passed) record.soft_codes = ended.extended_codes;
  note_restart(record, from, incident);
  if (from == State::consenting && ended.event == Event::passed) record.has_consent = true;
  if (from == State::confirming && ended.event == Event::not_in_place) record.is_before_apply = false;
  if (ended.event == Event::step_done || ended.event == Event::all_done) {
    mark_step(record, ended.result_code, first_code(ended), ended.details);
    if (ended.event == Event::step_done) ++record.step;
    record.has_begun = record.is_before_apply = false;
  }
  const bool is_headway = ended.event == Event::step_done ||
                          (ended.event == Event::passed && (from == State::verifying || from == State::downloading));
  if (is_headway) record.wakes = record.losses = 0;
  if (ended.event == Event::passed && from == State::verifying) record.step = 0;
}

void describe_restore(Record& record, const Incident& incident) {
  if (!record.outcome || !incident.result) return;
  const bool is_unsupported = incident.result->result_code == result::restore_unsupported;
  const std::string what =
      std::ranges::any_of(record.steps, &PlannedStep::restores_update)
          ? fmt::format("; step {} {}", record.step + 1,
                        is_unsupported ? "cannot be restored by its handler" : "was restored")
          : (is_unsupported ? "; its handler cannot restore what it changed" : "; the step was restored");
  record.outcome->details = cut_details(record.outcome->details + what);
}

bool is_untouched(const StepResult& result) {
  return result.result_code == result::install_skipped || result.result_code == result::install_no_component;
}

std::string in_words(const StepResult& result) {
  if (!result.details.empty()) return result.details;
  if (result.result_code == result::install_skipped) return "was in place";
  return result.result_code > 0 ? "done" : fmt::format("ended with result code {}", result.result_code);
}

std::size_t top_level_index(std::string_view path) {
  constexpr std::string_view kPrefix = "step_";
  std::size_t index = 0;
  if (path.starts_with(kPrefix)) std::from_chars(path.data() + kPrefix.size(), path.data() + path.size(), index);
  return index;
}

twin::AgentReport report_of(const Record& record, AgentState state) {
  twin::AgentReport report;
  report.state = state;
  if (record.goal) {
    report.workflow_id = record.goal->workflow_id;
    report.action = record.goal->action;
    report.retry_timestamp = record.goal->retry_timestamp;
  }
  return report;
}

}  // namespace

std::optional<Record> after_headway(const Record& record, std::uint64_t done, std::uint64_t total) {
  constexpr std::uint64_t kParts = 16;
  const bool is_long_work = record.state == State::downloading || record.state == State::installing;
  const bool was_disturbed = record.wakes > 0 || record.losses > 0;
  if (!is_long_work || !was_disturbed || done < record.reached_bytes) return std::nullopt;
  if (done - record.reached_bytes < std::max<std::uint64_t>(total / kParts, 1)) return std::nullopt;
  Record changed = record;
  changed.wakes = changed.losses = 0;
  changed.reached_bytes = done;
  return changed;
}

Record advance(const Record& record, const Row& row, const Incident& incident) {
  Record changed = record;
  if (row.to != record.state) changed.reached_bytes = 0;
  const State from = record.state;
  if (is_final(from) || from == State::idle) {
    if (row.to == State::verifying) begin(changed, incident);
    if (incident.event == Event::cancel_asked) never_began(changed, incident);
    return changed;
  }
  changed.state = row.to;
  const bool is_cut = incident.event == Event::woke_up || incident.event == Event::installer_lost;
  if (is_cut && (from == State::installing || from == State::applying)) changed.has_begun = true;
  switch (incident.event) {
    case Event::woke_up:
      ++changed.wakes;
      if (from == State::restarting) forget_restart(changed, from, incident.event);
      return changed;
    case Event::rebooted: forget_restart(changed, from, incident.event); return changed;
    case Event::installer_lost: ++changed.losses; return changed;
    case Event::retry_asked:
    case Event::replaced: changed.is_superseded = true; return changed;
    case Event::cancel_asked:
      changed.is_superseded = false;
      changed.is_local_cancel = !incident.goal;
      if (incident.goal && changed.goal) changed.goal->action = twin::Action::cancel;
      return changed;
    default: break;
  }
  take_result(changed, from, incident);
  const bool has_failed = incident.event == Event::failed || incident.event == Event::failed_later;
  if (has_failed && incident.result && !is_ending(from)) remember_failure(changed, from, *incident.result);
  if (from == State::restoring && (incident.event == Event::passed || incident.event == Event::step_restored))
    describe_restore(changed, incident);
  if (incident.event == Event::undo_due && from == State::stopping && incident.result)
    mark_step(changed, incident.result->result_code, first_code(*incident.result), incident.result->details);
  const bool goes_back = incident.event == Event::step_restored ||
                         (!record.has_begun && (incident.event == Event::failed_later ||
                                                (incident.event == Event::undo_due && from == State::cancelling)));
  if (goes_back) go_back_a_step(changed);
  if (row.to == State::succeeded) succeed(changed);
  if (row.to == State::cancelled) end_cancelled(changed, from, incident);
  return changed;
}

std::optional<std::uint32_t> step_to_restore(const Record& record) {
  if (std::ranges::none_of(record.steps, &PlannedStep::restores_update)) return std::nullopt;
  for (auto i = std::min<std::size_t>(record.step, record.steps.size()); i > 0; --i) {
    const auto& result = record.steps[i - 1].result;
    if (result && result->result_code > 0 && !is_untouched(*result)) return static_cast<std::uint32_t>(i - 1);
  }
  return std::nullopt;
}

Event refine(const Record& record, Event event) {
  const State state = record.state;
  const bool is_before_change = state == State::checking || state == State::consenting || state == State::backing_up;
  if (is_before_change && event == Event::failed && (record.has_begun || step_to_restore(record)))
    return Event::failed_later;
  const bool has_stopped = event == Event::passed || event == Event::failed || event == Event::not_in_place ||
                           event == Event::step_done || event == Event::consent_needed || event == Event::reboot_due ||
                           event == Event::restart_due;
  const bool is_whole = event == Event::step_done;
  if (state == State::cancelling && has_stopped && (record.has_begun ? !is_whole : step_to_restore(record).has_value()))
    return Event::undo_due;
  const bool is_in_step = state == State::stopping || (state == State::cancelling && record.has_begun);
  if (is_in_step && is_whole && std::ranges::any_of(record.steps, &PlannedStep::restores_update))
    return Event::undo_due;
  return event;
}

Event event_of_step_end(const Record& record, std::int32_t result_code) {
  const bool is_last = record.step + 1 >= record.steps.size();
  const auto [wish, is_immediate] = restart_request(result_code);
  RestartWish due = is_immediate ? wish : RestartWish::none;
  if (is_last && !is_immediate) due = std::max(wish, record.restart_at_end);
  if (due == RestartWish::device) return Event::reboot_due;
  if (due == RestartWish::agent) return Event::restart_due;
  return is_last ? Event::all_done : Event::step_done;
}

Event wake_event(const Record& record, std::string_view boot) {
  // A kernel that does not tell its boots apart: better ask the steps once too early than restart for ever.
  const bool cannot_tell = record.state == State::rebooting && (record.boot.empty() || boot.empty());
  const bool has_rebooted = cannot_tell || (!record.boot.empty() && !boot.empty() && record.boot != boot);
  return has_rebooted && next(record.state, Event::rebooted) ? Event::rebooted : Event::woke_up;
}

std::optional<Event> judge(const Record& record, const twin::DesiredUpdate& goal) {
  const bool is_same = record.goal && record.goal->workflow_id == goal.workflow_id;
  const bool is_cancel = goal.action == twin::Action::cancel;
  // A run that ends, or ended, without a report because another goal came: the service has not heard of its end.
  const bool is_left_open = record.is_superseded && record.state != State::succeeded;
  if (is_working(record.state)) {
    if (!is_same) return Event::replaced;
    if (is_cancel) return is_ending(record.state) && !is_left_open ? std::nullopt : std::optional{Event::cancel_asked};
  } else {
    if (!is_same) return is_cancel ? Event::cancel_asked : Event::offered;
    if (is_cancel) return is_left_open ? std::optional{Event::cancel_asked} : std::nullopt;
  }
  const bool is_new_stamp = !goal.retry_timestamp.empty() && goal.retry_timestamp != record.goal->retry_timestamp;
  return is_new_stamp || is_left_open ? std::optional{Event::retry_asked} : std::nullopt;
}

std::optional<Record> with_new_means(const Record& record, const twin::DesiredUpdate& goal) {
  if (!record.goal) return std::nullopt;
  twin::DesiredUpdate renewed = *record.goal;
  renewed.root_key_package_url = goal.root_key_package_url;
  renewed.manifest_signature = goal.manifest_signature;
  renewed.file_urls = goal.file_urls;
  if (renewed != goal || renewed == *record.goal) return std::nullopt;
  Record changed = record;
  changed.goal = std::move(renewed);
  return changed;
}

std::vector<StepResult> top_level_results(const Record& record) {
  std::vector<StepResult> results;
  for (const auto& leaf : record.steps) {
    const auto index = top_level_index(leaf.path);
    if (index >= record.steps.size()) continue;
    const bool is_first = index >= results.size();
    if (is_first) results.resize(index + 1);
    StepResult here = leaf.result.value_or(StepResult{0, 0, "not begun"});
    StepResult& whole = results[index];
    const std::string before = is_first ? "" : whole.details;
    if (!leaf.subject.empty()) here.details = fmt::format("{}: {}", leaf.subject, in_words(here));
    if (is_first || (whole.result_code > 0 && !is_untouched(here))) whole = here;
    // Of several components each is told; of several steps, the worst.
    if (!leaf.subject.empty() && !is_first) whole.details = cut_details(before + "; " + here.details);
  }
  return results;
}

twin::AgentReport report_of_start(const Record& record) {
  auto report = report_of(record, AgentState::in_progress);
  report.result = InstallResult{.result_code = result::success, .extended_codes = {}, .details = "", .steps = {}};
  return report;
}

twin::AgentReport report_of_end(const Record& record) {
  const bool has_failed = record.state == State::failed || (record.state == State::cancelled && record.is_local_cancel);
  auto report = report_of(record, has_failed ? AgentState::failed : AgentState::idle);
  report.result = record.outcome.value_or(InstallResult{});
  report.result->steps = top_level_results(record);
  if (record.state == State::succeeded) report.installed_update = record.installed;
  return report;
}

std::string step_label(const PlannedStep& step) {
  std::string number;
  std::string_view rest = step.path;
  while (!rest.empty()) {
    const std::string_view part = rest.substr(0, rest.find('/'));
    rest.remove_prefix(std::min(rest.size(), part.size() + 1));
    if (part.starts_with("step_")) number += fmt::format("{}{}", number.empty() ? "" : ".", top_level_index(part) + 1);
  }
  return fmt::format("step {}{}{}", number.empty() ? step.path : number,
                     step.handler.empty() ? "" : fmt::format(" ({})", step.handler),
                     step.subject.empty() ? "" : " for " + step.subject);
}

std::string name_of_step(const Record& record) {
  if (record.step >= record.steps.size()) return "";
  return step_label(record.steps[record.step]);
}

}  // namespace godwit::agent
