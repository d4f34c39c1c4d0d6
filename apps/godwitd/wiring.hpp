// Builds the service out of its rooms and runs it until a signal comes. Reading wiring.cpp tells what the service
// consists of.
#pragma once

#include "apps/godwitd/config.hpp"
#include "apps/godwitd/layout.hpp"
#include "core/base/log.hpp"

namespace godwit::daemon {

/// Serves until SIGTERM or SIGINT, then lets running work end. Call block_signals() before the first thread.
/// Errors: not_found (folder not made), conflict (in use by another process), io_failed (port taken), tls_failed, ...
[[nodiscard]] Result<void> run(const Config& config, const Layout& layout, Log& log);

/// SIGTERM, SIGINT and SIGHUP are waited for by run(); every thread inherits this.
void block_signals();

}  // namespace godwit::daemon
