// How work on a device ended: result codes, extended result codes (ERC), step results, and the states that
// operators see. Numbers are those of Device Update for IoT Hub; extended codes are facility<<28 | component<<20 |
// value. Values; safe from any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.hpp"

namespace godwit {

/// Result codes on the wire (success > 0).
namespace result {
inline constexpr std::int32_t cancelled = -1, failure = 0, success = 1, idle = 200, in_progress = 400,
                              download_ok = 500, download_skipped = 503, no_component = 504, install_no_component = 604,
                              handler_made_it = 520, full_download_needed = 521, install_ok = 600,
                              install_skipped = 603, apply_ok = 700, is_installed = 900, not_installed = 901,
                              backup_ok = 1000, backup_unsupported = 1001, restore_ok = 1100,
                              restore_unsupported = 1101, install_reboot = 605, install_restart_agent = 607,
                              install_wants_pieces = 609, apply_reboot = 705, apply_restart_agent = 707;
}  // namespace result

/// What a successful act wants before its step counts as done.
enum class RestartWish : std::uint8_t { none, agent, device };
struct RestartRequest {
  RestartWish wish = RestartWish::none;
  bool is_immediate = false;  // else once all steps of the update are done
};
/// 605..608, 705..708 and 1105..1108; anything else wants nothing.
[[nodiscard]] RestartRequest restart_request(std::int32_t result_code);
/// The code of the same success that wants nothing: 600 for 605..608, 700, 1100; any other code stays.
[[nodiscard]] std::int32_t without_restart(std::int32_t result_code);

using ExtendedCode = std::uint32_t;
[[nodiscard]] constexpr ExtendedCode make_extended_code(std::uint32_t facility, std::uint32_t component,
                                                        std::uint32_t value) {
  return (facility << 28) | (component << 20) | (value & 0xFFFFFU);
}

/// Extended codes that Godwit itself produces; each has a sentence in extended_code_text().
namespace erc {
inline constexpr ExtendedCode none = 0, hash_mismatch = 0x00100003, manifest_hash = 0x80300001,
                              bad_manifest = 0x80300009, manifest_version = 0x8030000A, detached_manifest = 0x8030000B,
                              no_root_key_url = 0x80300011, incompatible = 0x80300012, handler_missing = 0x30000003,
                              handler_crashed = 0x30000101, handler_timed_out = 0x30000102,
                              handler_contract = 0x30000103, handler_refused = 0x30000104,
                              script_no_file_name = 0x30500005, script_bad_result = 0x30500205,
                              script_no_code = 0x30500206, downloader_missing = 0x40000003,
                              download_bad_url = 0x40000007, download_hash = 0x4000000C, download_failed = 0x40000101,
                              download_size = 0x40000102, disk_full = 0x0000001C, signature_failed = 0xA0200000,
                              signature_structure = 0xA0200002, signature_invalid = 0xA0200004,
                              root_key_disabled = 0xA0200005, root_key_unknown = 0xA0200006,
                              signing_key_disabled = 0xA0000005, root_package_download = 0xA0100001,
                              root_package_invalid = 0x80500001, root_package_rollback = 0x80500101,
                              root_package_expired = 0x80500102, root_package_is_test = 0xA0000007,
                              root_package_not_test = 0xA0000006, installer_unreachable = 0x20000101,
                              reboot_failed = 0x20000102, not_in_place_after_restart = 0x20000103,
                              consent_refused = 0x20000104, nested_reference = 0x30400009, too_many_steps = 0x30400101,
                              plan_changed = 0x20000106, components_unknown = 0x70000101,
                              make_handler_missing = 0x90000003, make_failed = 0x90000101,
                              cancelled_on_device = 0x20000105, unexpected_state = 0x20000001, internal = 0x20000FFF,
                              deadline_silent = 0xE0000001, deadline_total = 0xE0000002, goal_not_written = 0xE0000003,
                              manifest_too_large = 0xE0000004;
}  // namespace erc

[[nodiscard]] std::string extended_code_hex(ExtendedCode code);                // "30500205"
[[nodiscard]] Result<ExtendedCode> parse_extended_code(std::string_view hex);  // 1..8 hex digits, optional 0x
/// A sentence with cause and remedy; "" if unknown. From one table (result_codes.cpp) that also makes the reference
/// page.
[[nodiscard]] std::string_view extended_code_text(ExtendedCode code);
[[nodiscard]] std::string_view result_code_text(std::int32_t code);

/// The rows behind the two functions above, sorted by `first`, for the reference page and for listings.
/// `last` is `first` except for families such as "script ended with exit code N".
struct ExtendedCodeRow {
  ExtendedCode first;
  ExtendedCode last;
  std::string_view name;
  std::string_view text;
};
struct ResultCodeRow {
  std::int32_t code;
  std::string_view name;
  std::string_view text;
};
[[nodiscard]] std::span<const ExtendedCodeRow> extended_code_rows();
[[nodiscard]] std::span<const ResultCodeRow> result_code_rows();

inline constexpr std::size_t kResultDetailsLimit = 1024;

struct StepResult {
  std::int32_t result_code = 0;
  ExtendedCode extended_code = 0;
  std::string details;  // at most kResultDetailsLimit bytes of UTF-8
  friend bool operator==(const StepResult&, const StepResult&) = default;
};

struct InstallResult {
  std::int32_t result_code = 0;
  std::vector<ExtendedCode> extended_codes{};  // first is the root result; empty prints as one zero
  std::string details;
  std::vector<StepResult> steps;  // index = step number of the top-level manifest
  friend bool operator==(const InstallResult&, const InstallResult&) = default;
};

/// Cuts at a UTF-8 border so that the text fits the wire limit.
[[nodiscard]] std::string cut_details(std::string text, std::size_t limit = kResultDetailsLimit);

/// Wire states of the agent.
enum class AgentState : std::int32_t { idle = 0, in_progress = 6, failed = 255 };

/// What operators see of one device in one deployment.
enum class DeviceState : std::uint8_t { succeeded, in_progress, canceled, failed };
[[nodiscard]] std::string_view device_state_name(DeviceState state);  // "Succeeded" "InProgress" "Canceled" "Failed"
[[nodiscard]] std::optional<DeviceState> parse_device_state(std::string_view name);  // any case

enum class DeploymentState : std::uint8_t { active, active_with_subgroup_failures, failed, inactive, canceled };
[[nodiscard]] std::string_view deployment_state_name(DeploymentState state);

}  // namespace godwit
