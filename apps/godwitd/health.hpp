// `godwitd health`: asks the service of a data folder, from the same machine, whether it serves. For the health checks
// of containers, which have no other program to ask with. Blocks for some seconds at most; main thread only.
#pragma once

#include <string>

#include "apps/godwitd/config.hpp"
#include "apps/godwitd/layout.hpp"

namespace godwit::daemon {

enum class HealthQuestion : std::uint8_t { ready, alive };  // GET /readyz, GET /healthz

/// Connects to the port in DATA/run/ports.json and believes only the certificate that the folder has for it.
/// Errors: unavailable (it does not run, or says no: the sentence is its own), tls_failed, timed_out, network_failed.
[[nodiscard]] Result<void> check_health(const Config& config, const Layout& layout, HealthQuestion question);

}  // namespace godwit::daemon
