#include "server/store/sqlite/sqlite_store.hpp"

#include <fcntl.h>
#include <sys/file.h>

#include "server/store/sqlite/migrations.hpp"
#include "server/store/sqlite/readers.hpp"
#include "server/store/sqlite/writer.hpp"

namespace godwit::store {
namespace {

class SqliteStore final : public Store {
 public:
  SqliteStore(UniqueFd lock, const Path& file, std::unique_ptr<sqlite::Connection> connection, Clock& clock, Log& log)
      : lock_(std::move(lock)), readers_(file), writer_(std::move(connection), clock, log, {}) {}
  void submit(Job job, Done done) override { writer_.submit(std::move(job), std::move(done)); }
  Result<void> read(const Job& job) override { return readers_.read(job); }

 private:
  UniqueFd lock_;  // held until the last connection is closed
  sqlite::Readers readers_;
  sqlite::Writer writer_;
};

Result<UniqueFd> lock_database(const Path& file) {
  GODWIT_TRY(auto lock, open_file(file.string() + ".lock", O_RDWR | O_CREAT));
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK)
      return fail(Code::conflict, file.string() + " is in use by another process; stop it first");
    return tl::unexpected<Error>{error_from_errno("lock " + file.string(), errno)};
  }
  return lock;
}

}  // namespace

Result<std::unique_ptr<Store>> open_sqlite_store(const Path& file, Clock& clock, Log& log) {
  if (const Path folder = file.parent_path(); !folder.empty()) GODWIT_TRY_VOID(make_folders(folder));
  GODWIT_TRY(auto lock, lock_database(file));
  GODWIT_TRY(auto connection, sqlite::Connection::open(file, sqlite::Connection::Mode::read_write));
  if (auto migrated = sqlite::migrate(*connection, sqlite::all_migrations(), clock.now()); !migrated)
    return with_context(file.string(), std::move(migrated).error());
  log.info("store.opened", {{"file", file.string()}, {"schema", sqlite::all_migrations().back().version}});
  return std::unique_ptr<Store>{
      std::make_unique<SqliteStore>(std::move(lock), file, std::move(connection), clock, log)};
}

}  // namespace godwit::store
