// What an operator tells an installer: installer.toml, strict. It is owned by root, and the device's properties in it
// are what compatibility is judged by, whatever the agent says. A plain struct, filled once in main(); then read-only.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "core/base/clock.hpp"
#include "core/base/config.hpp"
#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "core/model/compatibility.hpp"
#include "device/installer/messages.hpp"

namespace godwit::installer {

struct InstallerConfig {
  // installer
  Path data = "/var/lib/godwit/installer";
  Path socket = "/run/godwit/installer.sock";
  std::string agent_user = "godwit-agent";  // a name or a number
  Path trust_anchors = "/etc/godwit/trust-anchors.json";

  // device
  std::string manufacturer;
  std::string model;
  std::vector<std::string> properties;  // "name=value"
  std::vector<std::string> compat_property_names{"manufacturer", "model"};

  // limits
  Duration plan = std::chrono::seconds(30);
  Duration is_installed = std::chrono::minutes(5);
  Duration download = std::chrono::hours(1);
  Duration backup = std::chrono::hours(1);
  Duration install = std::chrono::hours(8);
  Duration apply = std::chrono::hours(1);
  Duration restore = std::chrono::hours(1);
  Duration cancel_grace = std::chrono::seconds(15);
  Duration idle_exit = std::chrono::seconds(3);
  config::ByteSize reserve{16ULL * 1024 * 1024};

  // restart
  std::vector<std::string> restart_command{"/usr/bin/systemctl", "reboot"};
  Duration restart_time_limit = std::chrono::minutes(2);

  // log
  std::string log_level = "info";
  std::string log_format = "text";

  [[nodiscard]] config::Schema schema();

  /// The properties that compat_property_names names, with their values.
  [[nodiscard]] CompatibilitySet compatibility() const;
  [[nodiscard]] Duration time_limit(Verb verb) const;
  [[nodiscard]] Path work_folder() const { return data / "work"; }
  [[nodiscard]] Path acts_folder() const { return data / "acts"; }
  [[nodiscard]] Path root_keys_file() const { return data / "rootkeys" / "package.json"; }
  [[nodiscard]] Path extensions_file() const { return data / "extensions.json"; }
};

/// Reads `file`, makes relative paths absolute (against the file's folder) and checks what cannot be done without.
/// Errors: invalid_argument naming file and key with what to write there; not_found; refused if others may write the
/// file.
[[nodiscard]] Result<InstallerConfig> load_installer_config(const Path& file);
/// The part of load_installer_config() that looks at values only. `folder` is where relative paths start.
[[nodiscard]] Result<void> complete_installer_config(InstallerConfig& config, const Path& folder);

/// The number behind a user's name or number. Errors: invalid_argument.
[[nodiscard]] Result<uid_t> find_user(const std::string& user);

/// Errors: refused with the command that repairs it, when `file` belongs to another user than root or this process's,
/// or when others may write it. A file that is not there is not refused.
[[nodiscard]] Result<void> check_private(const Path& file);

}  // namespace godwit::installer
