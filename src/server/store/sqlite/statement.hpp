// SQLite without its C edges: a connection that keeps prepared statements, and a statement that binds, steps and
// resets itself. Every failure becomes an Error that names the cause. One thread at a time.
#pragma once

#include <sqlite3.h>

#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/base/bytes.hpp"
#include "core/base/clock.hpp"
#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "core/base/json.hpp"

namespace godwit::store::sqlite {

/// A blob column, told apart from text.
struct BlobView {
  std::string_view bytes;
};

class Statement;

class Connection {
 public:
  enum class Mode : std::uint8_t { read_write, read_only };
  /// Opens (and for read_write creates) the file with the pragmas of this engine. Errors: io_failed, disk_full,
  /// database_failed.
  [[nodiscard]] static Result<std::unique_ptr<Connection>> open(const Path& file, Mode mode);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// From the cache, or prepared now. `sql` holds one statement.
  [[nodiscard]] Result<Statement> prepare(std::string_view sql);
  /// Prepares, binds `values` in order, runs to the end; rows are ignored.
  template <class... Values>
  [[nodiscard]] Result<void> run(std::string_view sql, const Values&... values);
  /// Several statements without parameters, for migrations and pragmas.
  [[nodiscard]] Result<void> run_script(std::string_view sql);
  /// Rows changed by the last statement.
  [[nodiscard]] std::int64_t changes() const { return sqlite3_changes64(database_); }
  [[nodiscard]] std::int64_t last_row_id() const { return sqlite3_last_insert_rowid(database_); }
  [[nodiscard]] bool is_in_transaction() const { return sqlite3_get_autocommit(database_) == 0; }
  /// The present error of the connection as ours.
  [[nodiscard]] Error error(std::string_view what) const;

 private:
  explicit Connection(sqlite3* database) : database_(database) {}

  sqlite3* database_;
  struct Finalizer {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  std::unordered_map<std::string, std::unique_ptr<sqlite3_stmt, Finalizer>, TextHash, std::equal_to<>> cache_;
};

/// Borrowed from its connection; resets itself when it goes.
class Statement {
 public:
  Statement(Connection& connection, sqlite3_stmt* handle, bool is_owned)
      : connection_(&connection), handle_(handle), is_owned_(is_owned) {}
  Statement(Statement&& other) noexcept
      : connection_(other.connection_),
        handle_(other.handle_),
        next_parameter_(other.next_parameter_),
        is_owned_(other.is_owned_) {
    other.handle_ = nullptr;
  }
  Statement& operator=(Statement&&) = delete;
  ~Statement();

  /// Binds the next parameters in order. Texts and blobs are copied.
  template <class... Values>
  Statement& bind(const Values&... values) {
    (bind_next(values), ...);
    return *this;
  }
  /// True: a row is there to be read.
  [[nodiscard]] Result<bool> next();
  /// Steps to the end.
  [[nodiscard]] Result<void> run();

  [[nodiscard]] std::string_view text_view(int column);  // valid until the next step
  [[nodiscard]] std::string text(int column) { return std::string(text_view(column)); }
  [[nodiscard]] Bytes blob(int column);
  [[nodiscard]] std::int64_t integer(int column) { return sqlite3_column_int64(handle_, column); }
  [[nodiscard]] double real(int column) { return sqlite3_column_double(handle_, column); }
  [[nodiscard]] bool boolean(int column) { return integer(column) != 0; }
  [[nodiscard]] bool is_null(int column) { return sqlite3_column_type(handle_, column) == SQLITE_NULL; }
  [[nodiscard]] WallTime time(int column) { return from_unix_ms(integer(column)); }
  [[nodiscard]] std::optional<WallTime> time_or_nothing(int column) {
    return is_null(column) ? std::nullopt : std::optional(time(column));
  }

 private:
  void bind_next(std::string_view value);
  void bind_next(const std::string& value) { bind_next(std::string_view(value)); }
  void bind_next(const char* value) { bind_next(std::string_view(value)); }
  void bind_next(BlobView value);
  void bind_next(std::nullptr_t);
  void bind_next(double value);
  void bind_next(WallTime value) { bind_next(to_unix_ms(value)); }
  template <std::integral T>
  void bind_next(T value) {
    bind_integer(static_cast<std::int64_t>(value));
  }
  template <class T>
  void bind_next(const std::optional<T>& value) {
    if (value)
      bind_next(*value);
    else
      bind_next(nullptr);
  }
  void bind_integer(std::int64_t value);
  void note(int rc);

  Connection* connection_;
  sqlite3_stmt* handle_;
  int next_parameter_ = 1;
  int bind_failure_ = SQLITE_OK;
  bool is_owned_;
};

template <class... Values>
Result<void> Connection::run(std::string_view sql, const Values&... values) {
  GODWIT_TRY(auto statement, prepare(sql));
  statement.bind(values...);
  return statement.run();
}

/// JSON that this store wrote itself: no limits, but broken text is still an error (database_failed).
[[nodiscard]] Result<json::Value> stored_json(std::string_view text, std::string_view what);
[[nodiscard]] Result<json::Object> stored_object(std::string_view text, std::string_view what);

}  // namespace godwit::store::sqlite
