// Where a connection's settings come from: flag, then environment, then ~/.config/godwit/config.toml. One thread.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "core/base/error.hpp"
#include "tools/cli/client.hpp"

namespace godwit::cli {

struct ConnectionFlags {
  std::string url{};
  std::string token_file{};
  std::string ca{};
  std::string instance{};
};
using Environment = std::function<std::optional<std::string>(const char* name)>;

/// ~/.config/godwit, or below XDG_CONFIG_HOME. Errors: invalid_argument when neither is known.
[[nodiscard]] Result<Path> settings_folder(const Environment& environment);

/// GODWIT_URL, GODWIT_TOKEN or GODWIT_TOKEN_FILE, GODWIT_CA, GODWIT_INSTANCE; the file has url, token_file, ca,
/// instance. Errors: invalid_argument naming the flag, the variable and the file that could have said it.
[[nodiscard]] Result<Connection> find_connection(const ConnectionFlags& flags, const Environment& environment);

}  // namespace godwit::cli
