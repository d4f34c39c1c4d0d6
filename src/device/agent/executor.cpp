#include "device/agent/executor.hpp"

#include <algorithm>
#include <utility>

namespace godwit::agent {
namespace {

constexpr Duration kSavePause = std::chrono::seconds(5);

/// What can be echoed of a goal that could not be read.
twin::DesiredUpdate readable_part(const json::Object& desired) {
  twin::DesiredUpdate goal;
  const auto* component = json::object_or_null(desired, "deviceUpdate");
  const auto* service = component != nullptr ? json::object_or_null(*component, "service") : nullptr;
  const auto* workflow = service != nullptr ? json::object_or_null(*service, "workflow") : nullptr;
  if (workflow == nullptr) return goal;
  goal.workflow_id = json::text_or_nothing(*workflow, "id").value_or("").substr(0, 128);
  if (json::integer_or_nothing(*workflow, "action") == 255) goal.action = twin::Action::cancel;
  return goal;
}

std::string workflow_of(const Record& record) { return record.goal ? record.goal->workflow_id : ""; }

EffectResult worn_out(const Record& record, std::string details) {
  const std::string where = name_of_step(record);
  return {.event = Event::failed,
          .result_code = result::failure,
          .extended_codes = {erc::unexpected_state},
          .details = (where.empty() ? "" : where + ": ") + std::move(details)};
}

}  // namespace

void Executor::start(Record record) {
  record_ = std::move(record);
  Incident incident{.event = wake_event(record_, ports_.boot)};
  const bool can_fail = next(record_.state, Event::failed).has_value();
  if (is_working(record_.state) && can_fail && incident.event == Event::woke_up && record_.wakes >= kWakeLimit) {
    incident.event = Event::failed;
    incident.result =
        worn_out(record_, "the agent was started " + std::to_string(record_.wakes + 1) +
                              " times without any headway while " + std::string(state_name(record_.state)));
  }
  ports_.log.info(
      "workflow.woke_up",
      {{"state", state_name(record_.state)}, {"workflow", workflow_of(record_)}, {"attempt", record_.attempt}});
  waiting_.push_back(std::move(incident));
  work_off();
}

void Executor::handle(const Input& input) {
  if (std::holds_alternative<LinkOnline>(input)) ports_.reporter.on_online();
  if (const auto* offline = std::get_if<LinkOffline>(&input)) {
    ports_.log.info("link.offline", {{"reason", offline->reason}});
    ports_.reporter.on_offline();
  }
  if (const auto* desired = std::get_if<SessionDesired>(&input)) on_desired(*desired);
  if (const auto* answer = std::get_if<SessionAnswer>(&input)) ports_.reporter.on_answer(answer->token, answer->status);
  if (const auto* ended = std::get_if<EffectEnded>(&input)) on_effect_ended(*ended);
  if (const auto* progress = std::get_if<EffectProgress>(&input)) on_progress(*progress);
}

Result<void> Executor::cancel() {
  if (!is_working(record_.state)) return fail(Code::conflict, "no update is under way");
  if (is_ending(record_.state)) return fail(Code::conflict, "the update is being cancelled already");
  ports_.log.info("goal.cancelled_here", {{"workflow", workflow_of(record_)}});
  waiting_.push_back({.event = Event::cancel_asked});
  work_off();
  return {};
}

Result<void> Executor::retry() {
  if (is_working(record_.state)) return fail(Code::conflict, "an update is under way; cancel it first");
  if (!is_final(record_.state)) return fail(Code::conflict, "there is no update to try again");
  if (!record_.goal || record_.goal->action == twin::Action::cancel)
    return fail(Code::conflict, "the service has cancelled this update; ask there to deploy it again");
  ports_.log.info("goal.retried_here", {{"workflow", workflow_of(record_)}});
  waiting_.push_back({.event = Event::retry_asked, .result = std::nullopt, .goal = record_.goal});
  work_off();
  return {};
}

void Executor::tick() {
  ports_.reporter.tick();
  if (!waiting_.empty() && ports_.clock.monotonic() >= save_again_at_) work_off();
}

std::optional<Duration> Executor::deadline() const {
  auto earliest = ports_.reporter.deadline();
  if (!waiting_.empty()) earliest = earliest ? std::min(*earliest, save_again_at_) : save_again_at_;
  return earliest;
}

void Executor::on_desired(const SessionDesired& message) {
  auto goal = twin::read_desired(message.desired);
  if (!goal) {
    ports_.log.error("goal.unreadable", {{"version", message.version}, {"reason", goal.error().message}});
    ports_.reporter.acknowledge(
        json::print(twin::ack_patch(readable_part(message.desired), 400, goal.error().message, message.version)));
    return;
  }
  if (!*goal) return;
  newest_goal_ = **goal;
  is_goal_waiting_ = false;
  work_off();
  ports_.reporter.acknowledge(json::print(twin::ack_patch(**goal, 200, "", message.version)));
}

void Executor::consider_goal() {
  const auto event = judge(record_, *newest_goal_);
  if (!event) {
    if (auto changed = with_new_means(record_, *newest_goal_)) take_new_means(*std::move(changed));
    newest_goal_.reset();
    return;
  }
  ports_.log.info("goal.taken", {{"event", event_name(*event)},
                                 {"workflow", newest_goal_->workflow_id},
                                 {"retry", newest_goal_->retry_timestamp}});
  waiting_.push_back({.event = *event, .result = std::nullopt, .goal = newest_goal_});
  is_goal_waiting_ = is_working(record_.state) && (*event == Event::replaced || *event == Event::retry_asked);
  if (!is_goal_waiting_) newest_goal_.reset();
}

/// What runs has the new links from its next try on.
void Executor::take_new_means(Record changed) {
  if (auto saved = ports_.journal.save(changed); !saved) {
    ports_.log.error("journal.not_written", {{"reason", saved.error().message}, {"remedy", "the old links are kept"}});
    return;
  }
  record_ = std::move(changed);
  ports_.links.renew(record_.goal->file_urls);
  ports_.log.info("goal.renewed", {{"workflow", workflow_of(record_)}});
}

void Executor::on_effect_ended(const EffectEnded& ended) {
  if (ended.epoch != running_epoch_ || ended.epoch == 0) return;
  running_epoch_ = 0;
  waiting_for_.clear();
  Incident incident{.event = ended.result.event, .result = ended.result, .goal = std::nullopt};
  if (incident.event == Event::installer_lost && record_.losses >= kLossLimit) {
    incident.result = worn_out(record_, "the installer went away " + std::to_string(record_.losses + 1) +
                                            " times in the middle of its work: " + ended.result.details);
    incident.result->extended_codes = {erc::installer_unreachable};
    incident.event = Event::failed;
  }
  waiting_.push_back(std::move(incident));
  work_off();
}

void Executor::on_progress(const EffectProgress& progress) {
  if (progress.epoch != running_epoch_ || progress.epoch == 0) return;
  waiting_for_ = progress.progress.waiting_for;
  note_headway(progress.progress);
  ports_.reporter.progress(progress.progress);
}

/// A long download over many starts of the device is not the same as an update that never gets further.
void Executor::note_headway(const twin::Progress& progress) {
  auto changed = after_headway(record_, static_cast<std::uint64_t>(std::max<std::int64_t>(progress.done_bytes, 0)),
                               static_cast<std::uint64_t>(std::max<std::int64_t>(progress.total_bytes, 0)));
  // What cannot be written is found with the next headway, or never: then the counters are those of before.
  if (changed && ports_.journal.save(*changed)) record_ = *std::move(changed);
}

void Executor::work_off() {
  for (;;) {
    while (!waiting_.empty()) {
      if (!take(waiting_.front())) return;
      waiting_.pop_front();
    }
    if (!newest_goal_ || (is_goal_waiting_ && is_working(record_.state))) return;
    consider_goal();
  }
}

/// False: the journal could not be written; the incident waits, nothing was done.
bool Executor::take(const Incident& happened) {
  Incident incident = happened;
  incident.event = refine(record_, happened.event);
  incident.boot = ports_.boot;
  const auto row = next(record_.state, incident.event);
  if (!row) {
    ports_.log.warning("workflow.no_row",
                       {{"state", state_name(record_.state)}, {"event", event_name(incident.event)}});
    return true;
  }
  Record changed = advance(record_, *row, incident);
  if (changed != record_) {
    if (auto saved = ports_.journal.save(changed); !saved) {
      save_again_at_ = ports_.clock.monotonic() + kSavePause;
      ports_.log.error("journal.not_written", {{"reason", saved.error().message},
                                               {"remedy", "the update stands still until the journal can be written"}});
      return false;
    }
    record_ = std::move(changed);
  }
  const std::string details = incident.result ? incident.result->details : "";
  const bool went_wrong = incident.event == Event::failed || incident.event == Event::failed_later ||
                          incident.event == Event::installer_lost;
  ports_.log.write(went_wrong ? LogLevel::warning : LogLevel::info, "workflow.moved",
                   {{"workflow", workflow_of(record_)},
                    {"from", state_name(row->from)},
                    {"on", event_name(row->on)},
                    {"to", state_name(row->to)},
                    {"effect", effect_name(row->effect)},
                    {"step", record_.step},
                    {"details", details}});
  carry_out(*row);
  return true;
}

void Executor::carry_out(const Row& row) {
  switch (row.effect) {
    case Effect::nothing: return;
    case Effect::report: return report_end();
    case Effect::stop:
      ports_.effects.request_stop();
      if (running_epoch_ == 0) start_effect(Effect::stop);
      return;
    case Effect::restart_agent: wants_restart_ = true; return;
    case Effect::verify: ports_.reporter.report(record_, false); return start_effect(row.effect);
    default: return start_effect(row.effect);
  }
}

void Executor::start_effect(Effect effect) {
  running_epoch_ = next_epoch_++;
  if (record_.goal) ports_.links.renew(record_.goal->file_urls);
  show_phase();
  ports_.effects.start({running_epoch_, effect, record_});
}

void Executor::report_end() {
  ports_.history.add(record_);
  ports_.reporter.clear_progress();
  const bool has_ended_silently = record_.is_superseded && record_.state != State::succeeded;
  if (!has_ended_silently) ports_.reporter.report(record_, true);
  if (record_.outcome)
    ports_.log.write(
        record_.state == State::failed ? LogLevel::error : LogLevel::info, "update.ended",
        {{"workflow", workflow_of(record_)},
         {"state", state_name(record_.state)},
         {"result_code", record_.outcome->result_code},
         {"extended_code",
          extended_code_hex(record_.outcome->extended_codes.empty() ? 0 : record_.outcome->extended_codes.front())},
         {"update", record_.target ? record_.target->str() : ""},
         {"details", record_.outcome->details}});
  ports_.effects.start({0, Effect::report, record_});
}

void Executor::show_phase() {
  twin::Progress progress;
  progress.phase = std::string(state_name(record_.state));
  progress.step = record_.step;
  progress.steps = static_cast<std::int64_t>(record_.steps.size());
  ports_.reporter.progress(progress);
}

}  // namespace godwit::agent
