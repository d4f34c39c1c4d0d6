// `godwit-agent config import`: a device of the original agent takes its configuration along. Blocking.
#pragma once

#include <CLI/CLI.hpp>

#include "core/base/error.hpp"
#include "core/base/file.hpp"

namespace godwit::agent_app {

struct ConfigFlags {
  std::string from{};
  std::string out = "agent.toml";
  std::string ca_file{};  // "": the system's authorities
};

void add_config_verb(CLI::App& app, ConfigFlags& flags);
/// Writes FILE and, beside it, device.key (mode 0600), and prints what was left out. Nothing that is there is replaced.
/// Errors: as import_du_config(); conflict when a file is there already.
[[nodiscard]] Result<void> import_config(const ConfigFlags& flags);

}  // namespace godwit::agent_app
