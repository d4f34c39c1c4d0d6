// The device's own file for SWUpdate: which key, which hardware, how to switch sides. Pure; safe from any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.hpp"

namespace godwit::step_swupdate {

inline constexpr std::size_t kConfigLimit = 64 * 1024;

struct SwupdateConfig {
  std::string public_key_file{};              // key or certificate that .swu files are signed with; always needed
  std::string hardware_revision{};            // "board:1.0"; empty: as /etc/hwrevision says
  std::string config_file{};                  // SWUpdate's own file (-f)
  std::string select{};                       // "stable,copy2"
  std::vector<std::string> select_command{};  // prints what `select` holds; goes before it
  std::string version_file = "/etc/adu-version";
  std::vector<std::string> apply_command{};   // switches to what was installed; empty: SWUpdate did it
  std::vector<std::string> revert_command{};  // undoes apply_command; empty: there is no restore
  bool reboots = true;                        // apply asks for a reboot
  // Of a device with two sides (slots.toml): what `select` is for each; then the slots pick and switch, no command.
  std::string select_a{};
  std::string select_b{};
  [[nodiscard]] bool has_slots() const { return !select_a.empty(); }
};

/// Errors: bad_json, too_large, invalid_argument (unknown member, wrong type, a path that is not absolute, no
/// publicKeyFile, commands beside slots).
[[nodiscard]] Result<SwupdateConfig> parse_swupdate_config(std::string_view text);

/// The arguments of swupdate for one image. `select` is the effective one.
[[nodiscard]] std::vector<std::string> swupdate_arguments(const SwupdateConfig& config, std::string_view select,
                                                          std::string_view image);

}  // namespace godwit::step_swupdate
