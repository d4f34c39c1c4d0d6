// Is this device able to take an update? Each check is done for real: files are read, the hub is dialled and its
// certificate checked, the installer is asked, each extension of the agent is loaded in a process of its own.
// Blocking, up to a minute; any thread, also beside a running agent.
#pragma once

#include <string>
#include <vector>

#include "core/base/json.hpp"
#include "core/base/log.hpp"
#include "device/agent/agent_config.hpp"

namespace godwit::agent {

struct HealthCheck {
  enum class Verdict : std::uint8_t { good, warning, bad };
  std::string name;  // "hub", "installer", ...
  Verdict verdict = Verdict::good;
  std::string words{};  // what was found; for warning and bad also what to do
};

[[nodiscard]] std::vector<HealthCheck> check_health(const AgentConfig& config, Log& log);
[[nodiscard]] bool is_healthy(const std::vector<HealthCheck>& checks);  // nothing is bad
[[nodiscard]] std::string health_text(const std::vector<HealthCheck>& checks);
/// {"healthy":true,"checks":[{"name","verdict","words"}]}
[[nodiscard]] json::Object health_json(const std::vector<HealthCheck>& checks);

}  // namespace godwit::agent
