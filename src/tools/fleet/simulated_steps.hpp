// What a virtual device does in place of an installer: the plan of an update, and for each effect of the agent's table
// how it ends, from the scenario and the simulator's data file. Nothing is downloaded or changed, and the signature is
// not checked: there is nothing to protect. Pure; any thread.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "device/agent/record.hpp"
#include "tools/fleet/scenario.hpp"

namespace godwit::fleet {

struct SimulatedPlan {
  UpdateId update;
  std::vector<agent::PlannedStep> steps{};        // without files: nothing is fetched
  std::vector<std::vector<std::string>> files{};  // their names, by step
  std::vector<std::string> criteria{};            // installedCriteria, by step
};

/// Thousands of devices get the same manifest: it is read once and shared. One thread.
class PlanShelf {
 public:
  /// Errors: those of the manifest's parser.
  [[nodiscard]] Result<std::shared_ptr<const SimulatedPlan>> plan_of(const std::string& manifest);

 private:
  static constexpr std::size_t kLimit = 64;
  std::map<std::string, std::shared_ptr<const SimulatedPlan>, std::less<>> plans_;
};

/// Where an effect happens.
struct Moment {
  const Scenario& scenario;
  Draw draw;
  const agent::Record& record;
  const SimulatedPlan* plan;  // null before verify has passed
};
/// How the effect ends, as the agent's own effects put it. Effect::verify is verify_simulated().
[[nodiscard]] agent::EffectResult simulate(agent::Effect effect, const Moment& moment);
[[nodiscard]] agent::EffectResult verify_simulated(const Moment& moment,
                                                   const Result<std::shared_ptr<const SimulatedPlan>>& plan);
/// How long it takes.
[[nodiscard]] Duration time_of(agent::Effect effect, const Moment& moment);
/// The simulator's data say that a cancel does not end what runs (result code 801 or a failure).
[[nodiscard]] bool refuses_cancel(const Scenario& scenario);

}  // namespace godwit::fleet
