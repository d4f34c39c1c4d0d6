// What the environment of the program adds to its configuration file.
#pragma once

#include <cstdlib>
#include <string>

#include "device/agent/agent_config.hpp"

namespace godwit::agent_app {

/// agent.toml, and https_proxy and no_proxy of the environment, in small letters or capitals. Errors:
/// not_found (not enrolled yet), load_agent_config()'s.
[[nodiscard]] inline Result<agent::AgentConfig> load_config(const Path& file) {
  const auto variable = [](const char* name, const char* capitals) -> std::string {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') value = std::getenv(capitals);
    return value != nullptr ? value : "";
  };
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored) && ignored.value() == 0)
    return fail(Code::not_found, "this device belongs to no service yet (there is no " + file.string() +
                                     "): bring it to one with godwit-agent enrol URL --manufacturer NAME --model NAME; "
                                     "the service prints the URL by: godwit enrolment url");
  GODWIT_TRY(auto config, agent::load_agent_config(file));
  config.environment_proxy = variable("https_proxy", "HTTPS_PROXY");
  config.environment_no_proxy = variable("no_proxy", "NO_PROXY");
  return config;
}

}  // namespace godwit::agent_app
