// The SQLite engine of the store. See ../README.md for how it commits.
#pragma once

#include <memory>

#include "core/base/clock.hpp"
#include "core/base/file.hpp"
#include "core/base/log.hpp"
#include "core/trust/sealer.hpp"
#include "server/store/store.hpp"

namespace godwit::store {

/// Opens or creates the database and brings its schema up to date. `clock` and `log` outlive the store. Destroying the
/// store runs what is queued; later submissions end with Code::unavailable. Secrets inside are sealed with `sealer`:
/// the first one that opens a database is the only one that ever can. Errors: conflict (another process has it open),
/// unsupported (schema newer than this build), crypto_failed (another sealer), io_failed, disk_full, database_failed.
[[nodiscard]] Result<std::unique_ptr<Store>> open_sqlite_store(const Path& file, const trust::Sealer& sealer,
                                                               Clock& clock, Log& log);

}  // namespace godwit::store
