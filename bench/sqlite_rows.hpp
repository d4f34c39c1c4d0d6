// SQLite alone, with the pragmas of the store's writer: a file of one's own to fill with rows, or the service's to look
// into. What it gives is what the store cannot go above. One thread.
#pragma once

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

namespace godwit::bench {

class SqliteRows {
 public:
  explicit SqliteRows(const std::string& file) {
    if (sqlite3_open(file.c_str(), &database_) != SQLITE_OK) give_up("open " + file);
    // As server/store/sqlite/connection.cpp.
    run("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA wal_autocheckpoint=4000;"
        "PRAGMA journal_size_limit=67108864; PRAGMA cache_size=-65536; PRAGMA temp_store=MEMORY");
  }
  ~SqliteRows() { sqlite3_close(database_); }
  SqliteRows(const SqliteRows&) = delete;
  SqliteRows& operator=(const SqliteRows&) = delete;

  void run(const char* sql) {
    if (sqlite3_exec(database_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) give_up(sql);
  }

  /// Rows a second: `sql` takes a text of `bytes` and an id, and is run for each of `ids`, so many to a commit.
  double rows_per_second(const char* sql, const std::vector<std::string>& ids, std::size_t bytes,
                         std::size_t rows_per_commit) {
    sqlite3_stmt* write = nullptr;
    if (sqlite3_prepare_v2(database_, sql, -1, &write, nullptr) != SQLITE_OK) give_up(sql);
    std::string text(std::max<std::size_t>(bytes, 20), 'x');
    const auto begun = std::chrono::steady_clock::now();
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (i % rows_per_commit == 0) run(i == 0 ? "BEGIN IMMEDIATE" : "COMMIT; BEGIN IMMEDIATE");
      // Each row differs from what is there: SQLite does not write a page that would not change.
      text.replace(0, 20, fmt::format("{:020}", ++written_));
      sqlite3_bind_text(write, 1, text.data(), static_cast<int>(text.size()), SQLITE_STATIC);
      sqlite3_bind_text(write, 2, ids[i].data(), static_cast<int>(ids[i].size()), SQLITE_STATIC);
      if (sqlite3_step(write) != SQLITE_DONE || sqlite3_changes(database_) != 1) give_up(sql);
      sqlite3_reset(write);
    }
    run("COMMIT");
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
    sqlite3_finalize(write);
    return static_cast<double>(ids.size()) / took.count();
  }

  /// The one number that a query gives.
  double number(const char* sql) {
    double found = 0;
    const auto keep = [](void* to, int, char** values, char**) {
      *static_cast<double*>(to) = values[0] == nullptr ? 0 : std::atof(values[0]);
      return 0;
    };
    if (sqlite3_exec(database_, sql, keep, &found, nullptr) != SQLITE_OK) give_up(sql);
    return found;
  }

  /// Runs a query to its end and reads each column of each row.
  double seconds(const char* sql) {
    const auto begun = std::chrono::steady_clock::now();
    const auto ignore = [](void*, int, char**, char**) { return 0; };
    if (sqlite3_exec(database_, sql, ignore, nullptr, nullptr) != SQLITE_OK) give_up(sql);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  }

 private:
  [[noreturn]] void give_up(const std::string& what) const {
    fmt::print(stderr, "{}: {}\n", what, sqlite3_errmsg(database_));
    std::exit(1);
  }

  sqlite3* database_ = nullptr;
  std::int64_t written_ = 0;
};

}  // namespace godwit::bench
