#include "tools/fleet/virtual_agent.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace godwit::fleet {
namespace {

using agent::Effect;
using agent::Event;
using agent::State;

constexpr Duration kProgressPause = std::chrono::seconds(1);
constexpr Duration kFirstRefusalPause = std::chrono::seconds(5);
constexpr Duration kLongestRefusalPause = std::chrono::minutes(5);
constexpr Duration kAgentRestart = std::chrono::seconds(1);
constexpr std::size_t kReportLimit = 64;

/// The hub will never take these.
bool is_hopeless(int status) { return status == 400 || status == 404 || status == 413; }

/// The manifest and its companions are read once, when the goal is taken; a record that lives on needs only its name.
void forget_bulk(twin::DesiredUpdate& goal) {
  goal.manifest = {};
  goal.manifest_signature = {};
  goal.root_key_package_url = {};
  goal.file_urls = {};
}

}  // namespace

VirtualAgent::VirtualAgent(Stagehand& shared, std::size_t index)
    : shared_(shared), place_(place_of(shared.scenario, index)) {
  record_.installed = place_.kind->installed;
  if (!record_.installed) return;
  // A device that has something installed says so before anything is offered.
  twin::AgentReport report;
  report.installed_update = record_.installed;
  reports_.push_back({.json = json::print(twin::report_patch(report)), .is_final = false});
}

std::string VirtualAgent::identity_patch() const {
  twin::AgentIdentity identity;
  identity.properties = place_.kind->properties;
  identity.compat_property_names = place_.kind->compat_property_names;
  identity.agent_version = "godwit-fleet/" GODWIT_VERSION;
  return json::print(twin::identity_patch(identity));
}

// ---- goals

void VirtualAgent::on_desired(const agent::SessionDesired& message, Duration now) {
  auto goal = twin::read_desired(message.desired);
  if (!goal) {
    acknowledgement_ = json::print(twin::ack_patch({}, 400, goal.error().message, message.version));
    return;
  }
  if (!*goal) return;
  acknowledgement_ = json::print(twin::ack_patch(**goal, 200, "", message.version));
  newest_goal_ = std::make_unique<twin::DesiredUpdate>(**std::move(goal));
  is_goal_waiting_ = false;
  consider_goal(now);
}

void VirtualAgent::consider_goal(Duration now) {
  while (newest_goal_ && !(is_goal_waiting_ && agent::is_working(record_.state))) {
    const auto event = agent::judge(record_, *newest_goal_);
    if (!event) {
      newest_goal_.reset();
      return;
    }
    is_goal_waiting_ = agent::is_working(record_.state) && (*event == Event::replaced || *event == Event::retry_asked);
    agent::Incident incident{.event = *event, .result = std::nullopt, .goal = *newest_goal_};
    if (!is_goal_waiting_) newest_goal_.reset();
    take(std::move(incident), now);
  }
}

void VirtualAgent::take(agent::Incident incident, Duration now) {
  incident.event = agent::refine(record_, incident.event);
  incident.boot = std::to_string(boot_);
  const auto row = agent::next(record_.state, incident.event);
  if (!row) return;
  const std::string before = record_.goal ? record_.goal->workflow_id : "";
  record_ = agent::advance(record_, *row, incident);
  if (row->effect == Effect::verify && record_.goal && incident.goal) {
    if (record_.goal->workflow_id != before) ++offers_;
    offered_at_ = now;
  }
  carry_out(row->effect, now);
}

// ---- effects

Moment VirtualAgent::moment() const {
  return {.scenario = shared_.scenario,
          .draw = {.place = place_, .update = offers_, .attempt = record_.attempt},
          .record = record_,
          .plan = plan_.get()};
}

void VirtualAgent::carry_out(Effect effect, Duration now) {
  switch (effect) {
    case Effect::nothing: return;
    case Effect::report:
      has_progress_ = false;
      running_.reset();
      if (!record_.is_superseded || record_.state == State::succeeded) queue_report(true);
      return;
    case Effect::stop: return stop_effect(now);
    case Effect::restart_agent: absence_ = kAgentRestart; return;
    case Effect::verify: queue_report(false); return start_effect(effect, now);
    default: return start_effect(effect, now);
  }
}

void VirtualAgent::start_effect(Effect effect, Duration now) {
  agent::EffectResult result;
  if (effect == Effect::verify) {
    if (record_.goal && !record_.goal->manifest.empty()) {
      auto plan = shared_.plans.plan_of(record_.goal->manifest);
      plan_ = plan ? *plan : nullptr;
      result = verify_simulated(moment(), plan);
      forget_bulk(*record_.goal);
    } else {  // taken up again after a power cut: it has been read already
      result = verify_simulated(moment(), plan_ ? Result<std::shared_ptr<const SimulatedPlan>>(plan_)
                                                : fail(Code::bad_manifest, "there is no manifest"));
    }
  } else {
    result = simulate(effect, moment());
  }
  has_progress_ = true;
  const Duration time = time_of(effect, moment());
  if (effect == Effect::reboot && result.event == Event::passed) {
    running_.reset();
    absence_ = time;
    return;
  }
  running_ = std::make_unique<Running>(Running{.effect = effect, .ends_at = now + time, .result = std::move(result)});
}

/// As a handler that is asked to end: it does, or goes on to its own end where the simulator's data say so.
void VirtualAgent::stop_effect(Duration now) {
  if (!running_) return start_effect(Effect::stop, now);
  if (refuses_cancel(shared_.scenario)) return;
  running_->ends_at = now;
  running_->result = {
      .event = Event::failed, .result_code = result::cancelled, .extended_codes = {0}, .details = "stopped"};
}

void VirtualAgent::tick(Duration now) {
  // Effects without a delay follow each other at once; the table ends every run, the limit is for a table that does
  // not.
  for (int rounds = 0; rounds < 10'000 && running_ && now >= running_->ends_at; ++rounds) {
    Running ended = *std::exchange(running_, nullptr);
    const Event event = ended.result.event;
    take({.event = event, .result = std::move(ended.result), .goal = std::nullopt}, now);
    consider_goal(now);
  }
}

std::optional<Duration> VirtualAgent::take_absence() { return std::exchange(absence_, std::nullopt); }

void VirtualAgent::lose_power() {
  running_.reset();
  absence_.reset();
  on_offline();
  has_progress_ = false;
}

void VirtualAgent::wake(bool is_boot, Duration now) {
  if (is_boot) ++boot_;
  absence_.reset();
  agent::Incident incident{.event = agent::wake_event(record_, std::to_string(boot_))};
  const bool can_fail = agent::next(record_.state, Event::failed).has_value();
  if (agent::is_working(record_.state) && can_fail && incident.event == Event::woke_up &&
      record_.wakes >= agent::kWakeLimit) {
    incident.event = Event::failed;
    incident.result = agent::EffectResult{
        .event = Event::failed,
        .result_code = result::failure,
        .extended_codes = {erc::unexpected_state},
        .details = fmt::format("the agent was started {} times without any headway", record_.wakes + 1)};
  }
  // A report that waits is kept; the original agent would send the end again, ours knows that it has it.
  if (agent::is_working(record_.state)) take(std::move(incident), now);
  consider_goal(now);
}

// ---- reports

void VirtualAgent::queue_report(bool is_final) {
  const auto report = is_final ? agent::report_of_end(record_) : agent::report_of_start(record_);
  if (is_final) {
    finished_ = Finished{.state = record_.state,
                         .result_code = report.result ? report.result->result_code : 0,
                         .extended_code = report.result && !report.result->extended_codes.empty()
                                              ? report.result->extended_codes.front()
                                              : 0,
                         .took = offered_at_};
  }
  // The one under way stays in front; of the others the oldest goes.
  if (reports_.size() >= kReportLimit) reports_.erase(reports_.begin() + 1);
  reports_.push_back({.json = json::print(twin::report_patch(report)), .is_final = is_final});
}

std::optional<OutgoingPatch> VirtualAgent::next_patch(Duration now) {
  if (!is_online_ || under_way_ || now < quiet_until_) return std::nullopt;
  if (!reports_.empty()) {
    under_way_ = Kind::report;
    return OutgoingPatch{++token_, reports_.front().json};
  }
  if (acknowledgement_) {
    under_way_ = Kind::acknowledgement;
    sent_acknowledgement_ = *std::exchange(acknowledgement_, std::nullopt);
    return OutgoingPatch{++token_, sent_acknowledgement_};
  }
  if (!has_progress_ || now < next_progress_at_) return std::nullopt;
  has_progress_ = false;
  next_progress_at_ = now + kProgressPause;
  under_way_ = Kind::progress;
  twin::Progress progress;
  progress.phase = std::string(agent::state_name(record_.state));
  progress.step = record_.step;
  progress.steps = static_cast<std::int64_t>(record_.steps.size());
  return OutgoingPatch{++token_, json::print(twin::progress_patch(progress))};
}

void VirtualAgent::on_offline() {
  is_online_ = false;
  if (under_way_ == Kind::acknowledgement && !acknowledgement_) acknowledgement_ = std::move(sent_acknowledgement_);
  under_way_.reset();
}

void VirtualAgent::on_answer(std::uint64_t token, int status, Duration now) {
  if (!under_way_ || token != token_) return;
  const Kind kind = *std::exchange(under_way_, std::nullopt);
  const std::string acknowledgement = std::exchange(sent_acknowledgement_, {});
  const bool is_taken = status >= 200 && status < 300;
  if (!is_taken) ++refusal_count_;
  if (!is_taken && !is_hopeless(status)) {
    Duration pause = kFirstRefusalPause;
    for (std::uint32_t i = 0; i < refusals_in_row_ && pause < kLongestRefusalPause; ++i) pause *= 2;
    ++refusals_in_row_;
    quiet_until_ = now + std::min(pause, kLongestRefusalPause);
    if (kind == Kind::acknowledgement && !acknowledgement_) acknowledgement_ = acknowledgement;
    return;
  }
  refusals_in_row_ = 0;
  if (kind != Kind::report) return;
  const bool is_final = reports_.front().is_final;
  reports_.erase(reports_.begin());
  // Only the newest end is told: an older one that waited was of an update that another one has replaced.
  const bool has_newer = std::ranges::any_of(reports_, &Report::is_final);
  if (!is_taken || !is_final || has_newer || !finished_) return;
  finished_->took = now - finished_->took;
  ++finished_count_;
  is_told_ = true;
}

std::optional<Finished> VirtualAgent::take_finished() {
  if (!std::exchange(is_told_, false)) return std::nullopt;
  return std::exchange(finished_, std::nullopt);
}

std::optional<Duration> VirtualAgent::deadline() const {
  std::optional<Duration> earliest;
  const auto consider = [&earliest](Duration at) { earliest = earliest ? std::min(*earliest, at) : at; };
  if (running_) consider(running_->ends_at);
  if (is_online_ && !under_way_) {
    const bool has_now = !reports_.empty() || acknowledgement_.has_value();
    if (has_now) consider(quiet_until_);
    if (has_progress_ && !has_now) consider(std::max(quiet_until_, next_progress_at_));
  }
  return earliest;
}

}  // namespace godwit::fleet
