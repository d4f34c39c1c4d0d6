#include "server/store/sqlite/migrations.hpp"

#include <fmt/format.h>
#include <array>

namespace godwit::store::sqlite {

std::span<const Migration> all_migrations() {
  static const std::array kAll{migration_0001(), migration_0002(), migration_0003(), migration_0004(), migration_0005(),
                               migration_0006(), migration_0007(), migration_0008(), migration_0009(), migration_0010(),
                               migration_0011(), migration_0012(), migration_0013()};
  return kAll;
}

Result<int> schema_version(Connection& connection) {
  GODWIT_TRY(auto exists,
             connection.prepare("SELECT 1 FROM sqlite_master WHERE type='table' AND name='schema_version'"));
  GODWIT_TRY(const bool is_there, exists.next());
  if (!is_there) return 0;
  GODWIT_TRY(auto newest, connection.prepare("SELECT coalesce(max(version), 0) FROM schema_version"));
  GODWIT_TRY(const bool is_row, newest.next());
  return is_row ? static_cast<int>(newest.integer(0)) : 0;
}

namespace {

Result<void> apply(Connection& connection, const Migration& migration, WallTime now) {
  GODWIT_TRY_VOID(
      connection.run_script("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY, name TEXT NOT "
                            "NULL, applied INTEGER NOT NULL)"));
  GODWIT_TRY_VOID(connection.run_script(migration.sql));
  return connection.run("INSERT INTO schema_version (version, name, applied) VALUES (?, ?, ?)", migration.version,
                        migration.name, now);
}

}  // namespace

Result<void> migrate(Connection& connection, std::span<const Migration> migrations, WallTime now) {
  GODWIT_TRY(const int present, schema_version(connection));
  const int newest = migrations.empty() ? 0 : migrations.back().version;
  if (present > newest)
    return fail(Code::unsupported, fmt::format("the database has schema {} but this build knows only up to {}; run a "
                                               "build at least as new as the one that wrote it",
                                               present, newest));
  for (const Migration& migration : migrations) {
    if (migration.version <= present) continue;
    const std::string what = fmt::format("migration {} ({})", migration.version, migration.name);
    GODWIT_TRY_VOID(connection.run_script("BEGIN IMMEDIATE"));
    auto outcome = apply(connection, migration, now);
    if (outcome) outcome = connection.run_script("COMMIT");
    if (!outcome) {
      if (connection.is_in_transaction()) (void)connection.run_script("ROLLBACK");
      return with_context(what, std::move(outcome).error());
    }
  }
  return {};
}

}  // namespace godwit::store::sqlite
