// The verbs by which a person on the device looks at the agent and directs it: status, why, history, cancel, retry,
// pause, resume, health. Each prints text, or JSON with -o json. Exit codes: 0 done, 1 failed (health: something is
// bad).
#pragma once

#include <CLI/CLI.hpp>

#include <string>

namespace godwit::agent_app {

struct LocalFlags {
  std::string output = "text";
  std::string reason{};
  std::string duration{};  // "90s", "30m", "8h", "2d"; "": until resume
  std::size_t count = 20;
};

void add_local_verbs(CLI::App& app, LocalFlags& flags);
/// -1: none of these verbs was given.
[[nodiscard]] int run_local_verb(const CLI::App& app, const LocalFlags& flags, const std::string& config_file);

}  // namespace godwit::agent_app
