// What a server process on this machine has used so far, read from /proc, so that a figure can be given for each second
// of the server's processor time and not of a shared clock. Any thread.
#pragma once

#include <sys/types.h>

#include "core/base/error.hpp"

namespace godwit::fleet {

struct ServerUse {
  double cpu_seconds = 0;  // user and system, all threads
  std::uint64_t resident_kib = 0;
};

/// Errors: not_found when there is no such process, io_failed.
[[nodiscard]] Result<ServerUse> read_server_use(pid_t pid);

}  // namespace godwit::fleet
