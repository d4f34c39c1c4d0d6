#include "server/store/sqlite/statement.hpp"

#include <fmt/format.h>
#include <boost/json/parse.hpp>
#include <boost/system/error_code.hpp>
#include <cerrno>

namespace godwit::store::sqlite {
namespace {

constexpr std::size_t kCacheLimit = 512;

/// FULL: power loss after an acknowledged commit loses nothing. The write-ahead log is folded back every 16 MiB or so.
constexpr std::string_view kWriterPragmas =
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA wal_autocheckpoint=4000;"
    "PRAGMA journal_size_limit=67108864; PRAGMA cache_size=-65536; PRAGMA temp_store=MEMORY; PRAGMA "
    "trusted_schema=OFF;";
constexpr std::string_view kReaderPragmas =
    "PRAGMA query_only=ON; PRAGMA cache_size=-8192; PRAGMA temp_store=MEMORY; PRAGMA trusted_schema=OFF;";

Code code_of(int extended, int system_errno) {
  switch (extended & 0xFF) {
    case SQLITE_FULL: return Code::disk_full;
    case SQLITE_IOERR:
      return system_errno == ENOSPC || system_errno == EDQUOT || system_errno == EFBIG ? Code::disk_full
                                                                                       : Code::io_failed;
    case SQLITE_CANTOPEN: return Code::io_failed;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return Code::unavailable;
    case SQLITE_CONSTRAINT: return Code::conflict;
    case SQLITE_TOOBIG: return Code::too_large;
    case SQLITE_READONLY:
    case SQLITE_MISUSE:
    case SQLITE_RANGE: return Code::internal;
    default: return Code::database_failed;
  }
}

}  // namespace

Result<std::unique_ptr<Connection>> Connection::open(const Path& file, Mode mode) {
  // Without its statistics SQLite takes no lock of the whole process for each piece of memory.
  [[maybe_unused]] static const int configured = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  sqlite3* raw = nullptr;
  const int flags = mode == Mode::read_write ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READWRITE;
  const int rc = sqlite3_open_v2(file.c_str(), &raw, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
  std::unique_ptr<Connection> connection{new Connection(raw)};
  if (rc != SQLITE_OK) return tl::unexpected<Error>{connection->error("open " + file.string())};
  sqlite3_busy_timeout(raw, 5000);
  GODWIT_TRY_VOID(connection->run_script(mode == Mode::read_write ? kWriterPragmas : kReaderPragmas));
  return connection;
}

Connection::~Connection() {
  cache_.clear();
  sqlite3_close_v2(database_);
}

Error Connection::error(std::string_view what) const {
  if (database_ == nullptr) return Error{Code::database_failed, fmt::format("{}: out of memory", what)};
  const int extended = sqlite3_extended_errcode(database_);
  const int system_errno = sqlite3_system_errno(database_);
  return Error{code_of(extended, system_errno),
               fmt::format("{}: {} (SQLite {})", what, sqlite3_errmsg(database_), extended)};
}

Result<Statement> Connection::prepare(std::string_view sql) {
  if (const auto found = cache_.find(sql); found != cache_.end() && sqlite3_stmt_busy(found->second.get()) == 0)
    return Statement{*this, found->second.get(), false};
  sqlite3_stmt* handle = nullptr;
  const int rc = sqlite3_prepare_v3(database_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT,
                                    &handle, nullptr);
  if (rc != SQLITE_OK) return tl::unexpected<Error>{error(fmt::format("prepare '{}'", sql.substr(0, 120)))};
  // A statement that is being stepped further up the stack cannot be shared: this one lives for its single use.
  // try_emplace: emplace would own, and on a text that is there already finalize, what it was given.
  const bool is_cached = cache_.size() < kCacheLimit && cache_.try_emplace(std::string(sql), handle).second;
  return Statement{*this, handle, !is_cached};
}

Result<void> Connection::run_script(std::string_view sql) {
  const std::string text{sql};
  if (sqlite3_exec(database_, text.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
    return tl::unexpected<Error>{error(fmt::format("run '{}'", text.substr(0, 120)))};
  return {};
}

Statement::~Statement() {
  if (handle_ == nullptr) return;
  if (is_owned_) {
    sqlite3_finalize(handle_);
  } else {
    sqlite3_reset(handle_);
    sqlite3_clear_bindings(handle_);
  }
}

Result<bool> Statement::next() {
  if (bind_failure_ != SQLITE_OK) {
    const Code code = bind_failure_ == SQLITE_TOOBIG ? Code::too_large : Code::internal;
    return fail(code, fmt::format("bind parameter {} of '{}': {}", next_parameter_ - 1, sqlite3_sql(handle_),
                                  sqlite3_errstr(bind_failure_)));
  }
  const int rc = sqlite3_step(handle_);
  if (rc == SQLITE_ROW) return true;
  if (rc == SQLITE_DONE) return false;
  return tl::unexpected<Error>{connection_->error("database")};
}

Result<void> Statement::run() {
  for (;;) {
    GODWIT_TRY(const bool is_row, next());
    if (!is_row) return {};
  }
}

std::string_view Statement::text_view(int column) {
  const auto* data = sqlite3_column_text(handle_, column);
  if (data == nullptr) return {};
  return {reinterpret_cast<const char*>(data), static_cast<std::size_t>(sqlite3_column_bytes(handle_, column))};
}

Bytes Statement::blob(int column) {
  const auto* data = static_cast<const char*>(sqlite3_column_blob(handle_, column));
  if (data == nullptr) return {};
  return {data, static_cast<std::size_t>(sqlite3_column_bytes(handle_, column))};
}

void Statement::note(int rc) {
  if (rc != SQLITE_OK && bind_failure_ == SQLITE_OK) bind_failure_ = rc;
}

void Statement::bind_next(std::string_view value) {
  note(sqlite3_bind_text64(handle_, next_parameter_++, value.data() == nullptr ? "" : value.data(), value.size(),
                           SQLITE_TRANSIENT, SQLITE_UTF8));
}
void Statement::bind_next(BlobView value) {
  note(sqlite3_bind_blob64(handle_, next_parameter_++, value.bytes.data() == nullptr ? "" : value.bytes.data(),
                           value.bytes.size(), SQLITE_TRANSIENT));
}
void Statement::bind_next(std::nullptr_t) { note(sqlite3_bind_null(handle_, next_parameter_++)); }
void Statement::bind_next(double value) { note(sqlite3_bind_double(handle_, next_parameter_++, value)); }
void Statement::bind_integer(std::int64_t value) { note(sqlite3_bind_int64(handle_, next_parameter_++, value)); }

Result<json::Value> stored_json(std::string_view text, std::string_view what) {
  boost::system::error_code failure;
  auto value = boost::json::parse(text, failure, {}, boost::json::parse_options{.max_depth = 64});
  if (failure) return fail(Code::database_failed, fmt::format("stored {} is not JSON: {}", what, failure.message()));
  return Result<json::Value>{std::move(value)};
}

Result<json::Object> stored_object(std::string_view text, std::string_view what) {
  GODWIT_TRY(auto value, stored_json(text, what));
  if (!value.is_object()) return fail(Code::database_failed, fmt::format("stored {} is not a JSON object", what));
  return Result<json::Object>{std::move(value.get_object())};
}

}  // namespace godwit::store::sqlite
