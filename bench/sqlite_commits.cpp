// Reference for the twin figures: how many rows a second SQLite itself commits durably on this disk (WAL,
// synchronous=FULL), one row a transaction and 100 rows a transaction. Prints one JSON line. Usage:
// bench_sqlite_commits FOLDER SECONDS
#include <fmt/format.h>
#include <sqlite3.h>

#include <chrono>
#include <cstdlib>
#include <string>

#include "core/base/error.hpp"

namespace {

void run(sqlite3* db, const char* sql) {
  if (sqlite3_exec(db, sql, nullptr, nullptr, nullptr) != SQLITE_OK) {
    fmt::print(stderr, "{}: {}\n", sql, sqlite3_errmsg(db));
    std::exit(1);
  }
}

double rows_per_second(sqlite3* db, int rows_per_commit, double seconds) {
  // 400 bytes: about what a device's reported section takes.
  std::string text(400, 'x');
  sqlite3_stmt* update = nullptr;
  sqlite3_prepare_v2(db, "UPDATE twins SET reported = ?1 WHERE id = ?2", -1, &update, nullptr);
  const auto begun = std::chrono::steady_clock::now();
  std::int64_t rows = 0;
  double passed = 0;
  while (passed < seconds) {
    run(db, "BEGIN IMMEDIATE");
    for (int i = 0; i < rows_per_commit; ++i, ++rows) {
      // Each row differs from what is there: SQLite does not write a page that would not change.
      text.replace(0, 20, fmt::format("{:020}", rows));
      sqlite3_bind_text(update, 1, text.data(), static_cast<int>(text.size()), SQLITE_STATIC);
      sqlite3_bind_int64(update, 2, rows % 1000);
      GODWIT_CHECK(sqlite3_step(update) == SQLITE_DONE);
      sqlite3_reset(update);
    }
    run(db, "COMMIT");
    passed = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  }
  sqlite3_finalize(update);
  return static_cast<double>(rows) / passed;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    fmt::print(stderr, "usage: {} FOLDER SECONDS\n", argv[0]);
    return 2;
  }
  const std::string path = std::string(argv[1]) + "/reference.sqlite";
  sqlite3* db = nullptr;
  if (sqlite3_open(path.c_str(), &db) != SQLITE_OK) {
    fmt::print(stderr, "{}: {}\n", path, sqlite3_errmsg(db));
    return 1;
  }
  run(db, "PRAGMA journal_mode=WAL");
  run(db, "PRAGMA synchronous=FULL");
  run(db, "CREATE TABLE twins(id INTEGER PRIMARY KEY, reported TEXT)");
  run(db, "BEGIN");
  for (int i = 0; i < 1000; ++i) run(db, fmt::format("INSERT INTO twins VALUES({}, '')", i).c_str());
  run(db, "COMMIT");
  const double seconds = std::atof(argv[2]);
  const double one = rows_per_second(db, 1, seconds / 2);
  const double hundred = rows_per_second(db, 100, seconds / 2);
  fmt::print("{{\"one_per_commit\":{:.0f},\"hundred_per_commit\":{:.0f}}}\n", one, hundred);
  sqlite3_close(db);
  return 0;
}
