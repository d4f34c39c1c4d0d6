// The verb "run": a scenario on stage, and its figures.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "tools/fleet/play.hpp"
#include "tools/fleet/stage.hpp"

namespace godwit::fleet {
namespace {

constexpr std::string_view wire_state(agent::State state) {
  switch (state) {
    case agent::State::succeeded: return "succeeded";
    case agent::State::cancelled: return "cancelled";
    default: return "failed";
  }
}

json::Array print_outcomes(const Play::Counts& counts) {
  json::Array outcomes;
  for (const auto& [outcome, count] : counts.outcomes) {
    const auto& [state, code, extended] = outcome;
    outcomes.push_back(json::Object{{"state", std::string(wire_state(state))},
                                    {"resultCode", code},
                                    {"extendedResultCode", extended_code_hex(extended)},
                                    {"count", count}});
  }
  return outcomes;
}

/// What this process costs itself.
void print_own_use(json::Object& figures, const std::optional<ServerUse>& before, std::size_t devices) {
  const auto use = read_server_use(::getpid());
  if (!use || !before) return;
  figures["own_resident_kib"] = use->resident_kib;
  figures["own_bytes_per_device"] = (use->resident_kib - std::min(use->resident_kib, before->resident_kib)) * 1024 /
                                    std::max<std::size_t>(devices, 1);
  figures["own_cpu_seconds"] = rounded(use->cpu_seconds - before->cpu_seconds, 0.01);
}

/// One line every few seconds while the run goes on.
class Teller {
 public:
  Teller(const Stage& stage, const Play& play, Duration every) : stage_(stage), play_(play), every_(every) {}
  void look() {
    const auto now = Steady::now();
    if (now - last_ < every_) return;
    const double passed = std::chrono::duration<double>(now - last_).count();
    const Play::Counts& counts = play_.counts();
    stage_.tell({{"event", "now"},
                 {"seconds", rounded(seconds_since(begun_), 0.1)},
                 {"connected", stage_.fleet->ready()},
                 {"at_work", play_.at_work()},
                 {"offers", counts.offers},
                 {"finished", counts.finished},
                 {"reports_per_second", rounded(static_cast<double>(counts.patches - reports_) / passed, 0.1)}});
    last_ = now;
    reports_ = counts.patches;
  }

 private:
  const Stage& stage_;
  const Play& play_;
  Duration every_;
  Steady::time_point begun_ = Steady::now();
  Steady::time_point last_ = begun_;
  std::uint64_t reports_ = 0;
};

void print_play(json::Object& figures, const Play& play) {
  const Play::Counts& counts = play.counts();
  figures["offers"] = counts.offers;
  figures["finished"] = counts.finished;
  figures["done_devices"] = play.done();
  figures["outcomes"] = print_outcomes(counts);
  figures["update_ms"] = print_times(play.update_times());
  figures["reports"] = counts.patches;
  figures["reports_refused"] = counts.refused;
  figures["answer_ms"] = print_times(play.answer_times());
  figures["caused"] = json::Object{{"disconnects", counts.disconnects},
                                   {"power_cuts", counts.power_cuts},
                                   {"restarts", counts.restarts},
                                   {"token_renewals", counts.token_renewals}};
}

}  // namespace

Result<json::Object> run_scenario(RunOptions options, const Tell& tell, const std::atomic<bool>& stop) {
  if (!options.scenario) return fail(Code::invalid_argument, "there is no scenario");
  const Scenario scenario = *std::exchange(options.scenario, std::nullopt);
  if (options.identities.size() != scenario.devices())
    return fail(Code::invalid_argument, fmt::format("the scenario has {} devices, keys are there for {}",
                                                    scenario.devices(), options.identities.size()));
  options.seed = scenario.seed;
  const std::string hub_name = options.hub_name;
  const auto before = read_server_use(::getpid());
  Stage stage(std::move(options), tell, stop);
  GODWIT_TRY_VOID(stage.open());
  Play play(*stage.fleet, scenario, hub_name);
  stage.fleet->set_workload(&play);
  const Stretch stretch(stage.options.server);
  const auto begun = Steady::now();
  Teller teller(stage, play, scenario.say_every);
  const std::size_t count = stage.fleet->devices().size();
  bool was_whole = false;
  stage.fleet->want(count);
  stage.fleet->run_until([&] {
    if (!was_whole && stage.fleet->ready() >= count) {
      was_whole = true;
      stage.tell({{"event", "ready"}, {"devices", count}, {"seconds", rounded(seconds_since(begun), 0.001)}});
    }
    teller.look();
    if (stop || (scenario.updates > 0 && play.done() >= count)) return true;
    return scenario.time_limit > Duration{0} && Steady::now() - begun >= scenario.time_limit;
  });
  json::Object figures{{"event", "result"}, {"devices", count}};
  print_play(figures, play);
  stretch.print(figures, play.counts().patches);
  print_own_use(figures, before ? std::optional(*before) : std::nullopt, count);
  stage.print(figures);
  stage.fleet->close_all();
  return figures;
}

}  // namespace godwit::fleet
