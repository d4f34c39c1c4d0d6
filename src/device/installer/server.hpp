// The installer on its socket: one thread that polls, one that works. Requests are worked off one after the other,
// whichever connection they come from; cancel and status are answered at once. A client that goes away does not stop
// what it asked for.
#pragma once

#include <sys/types.h>

#include <optional>

#include "core/base/error.hpp"
#include "core/base/log.hpp"
#include "device/installer/installer_config.hpp"

namespace godwit::installer {

struct ServeOptions {
  int listen_fd = -1;                   // not owned
  uid_t agent = 0;                      // who may speak, beside root
  std::optional<Duration> idle_exit{};  // end after so long without a connection; nothing: never
};

/// Serves until SIGTERM or SIGINT, or until it is idle. A running act is told to end and given its grace time; it is
/// not written down as ended and runs again later. Call it from the main thread, with no other thread running: it
/// blocks these signals.
[[nodiscard]] Result<void> serve(const InstallerConfig& config, const ServeOptions& options, Log& log);

}  // namespace godwit::installer
