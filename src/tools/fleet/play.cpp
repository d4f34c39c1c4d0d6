#include "tools/fleet/play.hpp"

#include <algorithm>
#include <utility>

#include "core/trust/sas.hpp"
#include "tools/fleet/chance.hpp"

namespace godwit::fleet {
namespace {

constexpr Duration kSessionLook = std::chrono::milliseconds(500);
constexpr std::uint64_t kForSkew = 4;
constexpr std::uint64_t kForInterruptions = 5;

}  // namespace

Play::Play(Fleet& fleet, const Scenario& scenario, std::string hub_name)
    : fleet_(fleet), scenario_(scenario), hub_name_(std::move(hub_name)), shared_{.scenario = scenario} {
  actors_.reserve(fleet.devices().size());
  for (std::size_t i = 0; i < fleet.devices().size(); ++i) {
    const auto device = static_cast<std::uint32_t>(i);
    actors_.emplace_back(shared_, i);
    plan_interruption(device, Call::disconnect, Duration{0});
    plan_interruption(device, Call::power_cut, Duration{0});
  }
}

Duration Play::clock() const { return std::chrono::duration_cast<Duration>(Steady::now() - begun_); }

void Play::call(Duration at, std::uint32_t device, Call what, std::uint32_t serial) {
  calls_.push({.at = at, .device = device, .call = what, .serial = serial});
}

Duration Play::chance(std::uint32_t device, std::uint64_t what, const Spread& spread) {
  return spread.at(unit(mix({scenario_.seed, kForInterruptions, device, what, actors_[device].interruptions++})));
}

// ---- connection

void Play::on_open(Device& device) {
  Actor& actor = actors_[device.index];
  const DeviceKind& kind = *actor.mind.place().kind;
  agent::SessionSettings settings;
  settings.hub_name = hub_name_;
  settings.device_id = device.identity.id.str();
  settings.identity_patch = actor.mind.identity_patch();
  actor.session = std::make_unique<agent::HubSession>(std::move(settings));
  ++actor.serial;
  // The device's own clock makes the token: one that is wrong by more than the lifetime is refused, as in the field.
  const Duration skew = kind.clock_skew.at(unit(mix({scenario_.seed, kForSkew, device.index})));
  const auto wall = std::chrono::duration_cast<Duration>(std::chrono::system_clock::now().time_since_epoch());
  const auto expiry = std::chrono::duration_cast<std::chrono::seconds>(wall + skew + kind.token_lifetime).count();
  const Secret password(trust::make_sas(hub_name_ + "/devices/" + device.identity.id.str(),
                                        device.identity.key.reveal(), std::max<std::int64_t>(expiry, 0)));
  const Duration now = clock();
  actor.session->start(password, now);
  call(now + kind.token_lifetime * 4 / 5, device.index, Call::renew, actor.serial);
  drain(device);
}

void Play::on_bytes(Device& device, std::string_view bytes) {
  Actor& actor = actors_[device.index];
  if (!actor.session) return;
  const Duration now = clock();
  if (const auto taken = actor.session->receive(bytes, now); !taken) return fleet_.lose(device, taken.error().message);
  for (auto& event : actor.session->take_events()) {
    if (std::holds_alternative<agent::SessionReady>(event)) {
      fleet_.become_ready(device);
      actor.mind.on_online();
    } else if (const auto* desired = std::get_if<agent::SessionDesired>(&event)) {
      actor.mind.on_desired(*desired, now);
    } else if (const auto* answer = std::get_if<agent::SessionAnswer>(&event)) {
      const bool is_taken = answer->status >= 200 && answer->status < 300;
      ++(is_taken ? counts_.patches : counts_.refused);
      if (answer->status != 0)
        answer_times_.add(std::chrono::duration_cast<Microseconds>(Steady::now() - actor.sent_at));
      actor.mind.on_answer(answer->token, answer->status, now);
    }
  }
  settle(device.index, now);
}

void Play::on_closed(Device& device) {
  actors_[device.index].session.reset();
  actors_[device.index].mind.on_offline();
}

/// What the session has for the hub leaves with this turn.
void Play::drain(Device& device) {
  if (actors_[device.index].session) fleet_.send_bytes(device, actors_[device.index].session->take_output());
}

// ---- work

/// After anything that happened to a device: does what is due, sends what may leave, and says when to look again.
void Play::settle(std::uint32_t device, Duration now) {
  Actor& actor = actors_[device];
  if (actor.is_away) return;
  actor.mind.tick(now);
  note(actor);
  if (const auto absence = actor.mind.take_absence()) {
    ++counts_.restarts;
    return leave(device, *absence, actor.mind.record().state != agent::State::restarting, now);
  }
  if (actor.session && actor.session->is_ready()) {
    if (auto patch = actor.mind.next_patch(now)) {
      actor.sent_at = Steady::now();
      actor.session->report(patch->token, patch->json, now);
    }
  }
  drain(fleet_.devices()[device]);
  const auto deadline = actor.mind.deadline();
  if (!deadline || *deadline >= actor.called_at) return;
  actor.called_at = *deadline;
  call(*deadline, device, Call::agent);
}

void Play::note(Actor& actor) {
  const bool is_working = agent::is_working(actor.mind.record().state);
  if (is_working != actor.was_working) is_working ? ++at_work_ : --at_work_;
  actor.was_working = is_working;
  counts_.offers += actor.mind.offers() - std::exchange(actor.offers_seen, actor.mind.offers());
  const auto finished = actor.mind.take_finished();
  if (!finished) return;
  ++counts_.finished;
  ++counts_.outcomes[{finished->state, finished->result_code, finished->extended_code}];
  update_times_.add(std::chrono::duration_cast<Microseconds>(finished->took));
  if (scenario_.updates > 0 && actor.mind.finished() == scenario_.updates) ++done_;
}

void Play::on_turn(Steady::time_point /*now*/) {
  const Duration now = clock();
  while (!calls_.empty() && calls_.top().at <= now) {
    const Due due = calls_.top();
    calls_.pop();
    answer_call(due, now);
  }
  if (now < next_session_look_) return;
  next_session_look_ = now + kSessionLook;
  for (Device& device : fleet_.devices()) {
    Actor& actor = actors_[device.index];
    if (!actor.session || actor.session->deadline() > now) continue;
    if (const auto ticked = actor.session->tick(now); !ticked)
      fleet_.lose(device, ticked.error().message);
    else
      on_bytes(device, {});  // a request that got no answer is an event of the session
  }
}

void Play::answer_call(const Due& due, Duration now) {
  Actor& actor = actors_[due.device];
  Device& device = fleet_.devices()[due.device];
  switch (due.call) {
    case Call::agent:
      if (actor.called_at == due.at) actor.called_at = Duration::max();
      return settle(due.device, now);
    case Call::disconnect:
    case Call::power_cut: return interrupt(due.device, due.call, now);
    case Call::return_from_restart:
    case Call::return_from_boot:
      actor.is_away = false;
      actor.mind.wake(due.call == Call::return_from_boot, now);
      return settle(due.device, now);
    case Call::renew:
      if (due.serial != actor.serial || !actor.session) return;
      ++counts_.token_renewals;
      on_closed(device);
      return fleet_.vanish(device, Steady::duration{0});
  }
}

void Play::plan_interruption(std::uint32_t device, Call what, Duration now) {
  const DeviceKind& kind = *actors_[device].mind.place().kind;
  const auto& interruption = what == Call::disconnect ? kind.disconnect : kind.power_cut;
  if (interruption) call(now + chance(device, 2, interruption->every), device, what);
}

void Play::interrupt(std::uint32_t device, Call what, Duration now) {
  Actor& actor = actors_[device];
  const DeviceKind& kind = *actor.mind.place().kind;
  plan_interruption(device, what, now);
  if (actor.is_away || !actor.session) return;  // it cannot vanish twice
  const bool is_cut = what == Call::power_cut;
  const Duration lasts = chance(device, 3, (is_cut ? kind.power_cut : kind.disconnect)->lasts);
  ++(is_cut ? counts_.power_cuts : counts_.disconnects);
  if (is_cut) return leave(device, lasts, true, now);
  on_closed(fleet_.devices()[device]);
  fleet_.vanish(fleet_.devices()[device], lasts);
}

/// The whole device or its agent is gone for a while; what it had in memory is lost.
void Play::leave(std::uint32_t device, Duration lasts, bool is_boot, Duration now) {
  Actor& actor = actors_[device];
  actor.is_away = true;
  actor.mind.lose_power();
  on_closed(fleet_.devices()[device]);
  fleet_.vanish(fleet_.devices()[device], lasts);
  call(now + lasts, device, is_boot ? Call::return_from_boot : Call::return_from_restart);
}

}  // namespace godwit::fleet
