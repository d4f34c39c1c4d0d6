// `godwit-agent enrol URL`: from an installed package to a device on the service. Blocking; run as root.
#pragma once

#include <CLI/CLI.hpp>

#include "core/base/error.hpp"
#include "core/base/file.hpp"

namespace godwit::agent_app {

struct EnrolFlags {
  std::string url{};
  std::string id{};  // "": the host name
  std::string manufacturer{};
  std::string model{};
  std::string folder = "/etc/godwit";
  bool again = false;
  bool only_write = false;
};

void add_enrol_verb(CLI::App& app, EnrolFlags& flags);
/// Fetches the service's word, writes the configuration of both halves, starts the agent where systemd runs and waits
/// until it is connected. Errors: fetch_enrolment()'s; conflict when the device is enrolled already; refused unless
/// root.
[[nodiscard]] Result<void> enrol(const EnrolFlags& flags);

}  // namespace godwit::agent_app
