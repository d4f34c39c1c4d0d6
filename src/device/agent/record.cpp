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
  return state == State::checking || state == State::backing_up || state == State::installing ||
         state == State::applying || state == State::stopping;
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
  record.installed = record.target;
}

void end_cancelled(Record& record, State from, const Incident& incident) {
  std::string details = "cancelled";
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
  record.outcome = InstallResult{
      .result_code = result::cancelled, .extended_codes = {}, .details = cut_details(std::move(details)), .steps = {}};
}

/// What the end of an effect leaves behind, whatever the next state is.
void take_result(Record& record, State from, const Incident& incident) {
  if (!incident.result) return;
  const EffectResult& ended = *incident.result;
  if (ended.target) record.target = ended.target;
  if (!ended.steps.empty()) record.steps = ended.steps;
  if (ended.event == Event::step_done || ended.event == Event::all_done) {
    mark_step(record, ended.result_code, first_code(ended), ended.details);
    if (ended.event == Event::step_done) ++record.step;
  }
  const bool is_headway = ended.event == Event::step_done ||
                          (ended.event == Event::passed && (from == State::verifying || from == State::downloading));
  if (is_headway) record.wakes = record.losses = 0;
  if (ended.event == Event::passed && from == State::verifying) record.step = 0;
}

void describe_restore(Record& record, const Incident& incident) {
  if (!record.outcome || !incident.result) return;
  record.outcome->details =
      cut_details(record.outcome->details + (incident.result->result_code == result::restore_unsupported
                                                 ? "; its handler cannot restore what it changed"
                                                 : "; the step was restored"));
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

Record advance(const Record& record, const Row& row, const Incident& incident) {
  Record changed = record;
  const State from = record.state;
  if (is_final(from) || from == State::idle) {
    if (row.to == State::verifying) begin(changed, incident);
    if (incident.event == Event::cancel_asked) never_began(changed, incident);
    return changed;
  }
  changed.state = row.to;
  switch (incident.event) {
    case Event::woke_up: ++changed.wakes; return changed;
    case Event::installer_lost: ++changed.losses; return changed;
    case Event::retry_asked:
    case Event::replaced: changed.is_superseded = true; return changed;
    case Event::cancel_asked:
      changed.is_superseded = false;
      if (changed.goal) changed.goal->action = twin::Action::cancel;
      return changed;
    default: break;
  }
  take_result(changed, from, incident);
  if (incident.event == Event::failed && incident.result && !is_ending(from))
    remember_failure(changed, from, *incident.result);
  if (from == State::restoring && incident.event == Event::passed) describe_restore(changed, incident);
  if (row.to == State::succeeded) succeed(changed);
  if (row.to == State::cancelled) end_cancelled(changed, from, incident);
  return changed;
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

std::vector<StepResult> top_level_results(const Record& record) {
  std::vector<StepResult> results;
  for (const auto& leaf : record.steps) {
    const auto index = top_level_index(leaf.path);
    if (index >= record.steps.size()) continue;
    const bool is_first = index >= results.size();
    if (is_first) results.resize(index + 1);
    const StepResult here = leaf.result.value_or(StepResult{0, 0, "not begun"});
    StepResult& whole = results[index];
    if (is_first || (whole.result_code > 0 && here.result_code != result::install_skipped)) whole = here;
  }
  return results;
}

twin::AgentReport report_of_start(const Record& record) {
  auto report = report_of(record, AgentState::in_progress);
  report.result = InstallResult{.result_code = result::success, .extended_codes = {}, .details = "", .steps = {}};
  return report;
}

twin::AgentReport report_of_end(const Record& record) {
  auto report = report_of(record, record.state == State::failed ? AgentState::failed : AgentState::idle);
  report.result = record.outcome.value_or(InstallResult{});
  report.result->steps = top_level_results(record);
  if (record.state == State::succeeded) report.installed_update = record.installed;
  return report;
}

std::string name_of_step(const Record& record) {
  if (record.step >= record.steps.size()) return "";
  return fmt::format("step {} ({})", record.step + 1, record.steps[record.step].handler);
}

}  // namespace godwit::agent
