// The configuration of the original agent (du-config.json, Device Update's agent, schema 1.1) as this agent's: what it
// says of hub, device and properties becomes agent.toml and a key file; what has no meaning here is named, so that
// nobody believes it counts. Pure; safe from any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "core/base/secret.hpp"

namespace godwit::agent {

inline constexpr ByteCount kDuConfigLimit = 256 * 1024;

struct ImportedConfig {
  std::string toml{};                // agent.toml
  Secret key{};                      // for the file beside it that it names
  std::vector<std::string> notes{};  // a sentence for each thing that was left out or has to be looked at
};

struct DuImport {
  Path key_file = "device.key";                         // as agent.toml shall name it
  Path ca_file = "/etc/ssl/certs/ca-certificates.crt";  // unless the file names a gateway's certificate
};

/// Errors: bad_json, too_large, invalid_argument naming the member and what to do, unsupported (IoT Identity Service,
/// a module identity, X.509 without files).
[[nodiscard]] Result<ImportedConfig> import_du_config(std::string_view text, const DuImport& options);

}  // namespace godwit::agent
