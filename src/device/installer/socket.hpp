// The installer's listening socket: made so that only the agent's user (and root) can speak to it. Blocking; one
// thread.
#pragma once

#include <sys/types.h>

#include "core/base/error.hpp"
#include "core/base/file.hpp"

namespace godwit::installer {

/// Listens at `path` (mode 0600, owned by `agent`), in a folder that others cannot write; the folder is made if it is
/// not there. A socket that a dead installer left is replaced: the caller holds the lock that says it is dead. Errors:
/// refused (the folder or what lies at `path`), invalid_argument (the path is too long), io_failed.
[[nodiscard]] Result<UniqueFd> listen_at(const Path& path, uid_t agent);

/// The one installer of a data folder holds this for its life. Errors: conflict (another one runs), io_failed.
[[nodiscard]] Result<UniqueFd> lock_data_folder(const Path& folder);

/// The user at the other end. Errors: io_failed.
[[nodiscard]] Result<uid_t> peer_user(int fd);

}  // namespace godwit::installer
