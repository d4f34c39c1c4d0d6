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
  SqliteStore(UniqueFd lock, const Path& file, std::unique_ptr<sqlite::Connection> connection,
              const trust::Sealer& sealer, Clock& clock, Log& log)
      : lock_(std::move(lock)),
        sealer_(sealer),
        readers_(file, sealer_),
        writer_(std::move(connection), sealer_, clock, log, {}) {}
  void submit(Job job, Done done) override { writer_.submit(std::move(job), std::move(done)); }
  Result<void> read(const Job& job) override { return readers_.read(job); }
  [[nodiscard]] StoreCounters counters() const override { return writer_.counters(); }

 private:
  UniqueFd lock_;  // held until the last connection is closed
  const trust::Sealer sealer_;
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

/// A known text, sealed by the first sealer that opened the database: another one is noticed here, not at the first
/// device.
Result<void> check_sealer(sqlite::Connection& connection, const trust::Sealer& sealer) {
  constexpr std::string_view kSetting = "sealing.check";
  sqlite::SqliteAccess access(connection);
  GODWIT_TRY(const auto found, access.find_setting(kSetting));
  if (!found) return access.save_setting(kSetting, hex_encode(sealer.seal("godwit", kSetting)));
  GODWIT_TRY(const Bytes sealed, hex_decode(*found));
  if (!sealer.open(sealed, kSetting))
    return fail(Code::crypto_failed,
                "the secrets inside were sealed with another key (secrets/store.key of the data folder); put the key "
                "that belongs to this database back");
  return {};
}

}  // namespace

Result<std::unique_ptr<Store>> open_sqlite_store(const Path& file, const trust::Sealer& sealer, Clock& clock,
                                                 Log& log) {
  if (const Path folder = file.parent_path(); !folder.empty()) GODWIT_TRY_VOID(make_folders(folder));
  GODWIT_TRY(auto lock, lock_database(file));
  GODWIT_TRY(auto connection, sqlite::Connection::open(file, sqlite::Connection::Mode::read_write));
  if (auto migrated = sqlite::migrate(*connection, sqlite::all_migrations(), clock.now()); !migrated)
    return with_context(file.string(), std::move(migrated).error());
  if (auto checked = check_sealer(*connection, sealer); !checked) return with_context(file.string(), checked.error());
  if (auto sealed = sqlite::seal_plain_keys(*connection, sealer); !sealed)
    return with_context(file.string(), sealed.error());
  log.info("store.opened", {{"file", file.string()}, {"schema", sqlite::all_migrations().back().version}});
  return std::unique_ptr<Store>{
      std::make_unique<SqliteStore>(std::move(lock), file, std::move(connection), sealer, clock, log)};
}

}  // namespace godwit::store
