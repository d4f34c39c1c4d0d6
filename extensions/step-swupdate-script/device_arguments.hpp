// The device's swupdate-handler-config.json: what every script of microsoft/swupdate:2 is called with on this device.
// Pure; safe from any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.hpp"

namespace godwit::step_swupdate_script {

inline constexpr std::size_t kDeviceFileLimit = 64 * 1024;
inline constexpr std::size_t kDeviceMembersLimit = 64;

/// {"--public-key-file":"/k.pem"} becomes "--public-key-file" "/k.pem", in the order of the file.
/// Errors: bad_json, too_large, invalid_argument (a value is no text).
[[nodiscard]] Result<std::vector<std::string>> parse_device_arguments(std::string_view text);

/// The member swuFileName of handlerProperties. Errors: bad_json, invalid_argument (missing, or no plain file name).
[[nodiscard]] Result<std::string> swu_file_name(std::string_view properties);

}  // namespace godwit::step_swupdate_script
