// The identities of a virtual fleet: read from a file of keys or connection strings, or derived from one group key as
// device provisioning derives them. Plain values; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/file.hpp"
#include "core/base/secret.hpp"
#include "core/model/ids.hpp"

namespace godwit::fleet {

struct Identity {
  DeviceId id;
  Secret key;  // raw bytes
};

/// Lines of "device base64key", or connection strings "HostName=..;DeviceId=..;SharedAccessKey=.."; empty lines and
/// lines that begin with '#' are skipped. Takes `count` identities after skipping `first` of them; count 0 takes all.
/// Errors: not_found, invalid_argument naming file and line, too_large.
[[nodiscard]] Result<std::vector<Identity>> read_keys(const Path& file, std::size_t first, std::size_t count);
/// As read_keys(), from text; `name` stands in messages.
[[nodiscard]] Result<std::vector<Identity>> parse_keys(std::string_view text, std::string_view name, std::size_t first,
                                                       std::size_t count);
/// Devices PREFIX0, PREFIX1, ... from `first` on, each with base64decode(group key)-HMAC of its id, the rule for
/// enrolment groups with symmetric keys. Errors: invalid_argument.
[[nodiscard]] Result<std::vector<Identity>> derive_keys(std::string_view group_key_base64, std::string_view prefix,
                                                        std::size_t first, std::size_t count);

/// The same for devices with names of their own.
[[nodiscard]] Result<std::vector<Identity>> derive_keys(std::string_view group_key_base64,
                                                        const std::vector<std::string>& names);

}  // namespace godwit::fleet
