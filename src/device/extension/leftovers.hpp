// Ends what a call left behind. A worker leads a session of its own, so whatever it started is found by the session's
// number, unless it left the session on purpose (a daemon). Blocking, needs /proc; safe from any thread.
#pragma once

#include <sys/types.h>

#include <string_view>

namespace godwit::extension {

/// The variable in a worker's environment that marks everything it starts: its value names the call.
inline constexpr std::string_view kCallVariable = "GODWIT_CALL";

/// SIGKILL to every process of the session `session` until none is left (at most some seconds). How many there were.
/// For sessions that this process started and whose leader it has not yet reaped, or has just reaped.
int kill_session(pid_t session);

/// The same for a session of an earlier life of this program: its number may belong to somebody else by now, so that
/// only processes that also carry GODWIT_CALL=`call` in their environment are killed.
int kill_old_session(pid_t session, std::string_view call);

/// The kernel's id of this boot, "" if it cannot be read.
[[nodiscard]] std::string boot_id();

}  // namespace godwit::extension
