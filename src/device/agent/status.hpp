// What the device is doing and why, for people and programs: `godwit-agent status` and `why`. Pure; safe from any
// thread.
#pragma once

#include <optional>
#include <string>

#include "core/base/clock.hpp"
#include "core/base/json.hpp"
#include "device/agent/consent.hpp"
#include "device/agent/record.hpp"

namespace godwit::agent {

struct LinkState {
  std::string hub{};
  bool is_online = false;
  WallTime since{};
  std::string reason{};  // why it is not
};

struct Situation {
  Record record{};
  std::size_t reports_waiting = 0;
  std::string waiting_for{};
  std::optional<LinkState> link{};  // nullopt: no agent runs, the rest is what its files say
  std::optional<Pause> pause{};
  std::string root_keys{};  // why updates are refused until newer root keys come, or ""
};

/// One run of an update: state, workflowId, attempt, updateId, steps and, once there is one, the result.
[[nodiscard]] json::Object run_json(const Record& record);

[[nodiscard]] std::string status_text(const Situation& now);
/// run_json() with installedUpdateId, step, reportsWaiting, waitingFor, agentRuns, link, pause, rootKeys and why.
[[nodiscard]] json::Object status_json(const Situation& now);
/// Sentences that say why this device is not (yet) what somebody expects.
[[nodiscard]] std::string why(const Situation& now);

}  // namespace godwit::agent
