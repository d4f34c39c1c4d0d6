// Reference for the twin figures: how many rows a second SQLite itself commits durably on this disk, with our own
// schema, indexes and pragmas, each row as large as the service writes it: 1, 100 and 1,000 rows a transaction. No
// JSON, no reading back, no second thread: what the store cannot go above. Prints one JSON line.
// Usage: bench_sqlite_commits FOLDER ROWS REPORTED_BYTES SECONDS
#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "core/base/clock.hpp"
#include "core/base/log.hpp"
#include "server/store/sqlite/sqlite_store.hpp"

namespace {

using namespace godwit;

void run(sqlite3* db, const std::string& sql) {
  if (sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK) return;
  fmt::print(stderr, "{}: {}\n", sql, sqlite3_errmsg(db));
  std::exit(1);
}

struct Row {
  std::string metadata =
      R"({"$lastUpdated":"2026-11-22T10:15:00.1230000Z","fleet":{"$lastUpdated":"2026-11-22T10:15:00)"
      R"(.1230000Z","sequence":{"$lastUpdated":"2026-11-22T10:15:00.1230000Z"},"filler":{"$lastUpdated)"
      R"(":"2026-11-22T10:15:00.1230000Z"}}})";
  std::string empty_metadata = R"({"$lastUpdated":"2026-11-22T10:15:00.1230000Z"})";
  std::string reported;
};

/// Devices do not report in the order in which they were registered.
std::vector<std::size_t> shuffled(std::size_t rows) {
  std::vector<std::size_t> order(rows);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::shuffle(order.begin(), order.end(), std::mt19937_64{1});
  return order;
}

double rows_per_second(sqlite3* db, const std::vector<std::size_t>& order, Row row, int rows_per_commit,
                       double seconds) {
  sqlite3_stmt* update = nullptr;
  sqlite3_prepare_v2(
      db,
      "UPDATE twins SET version = ?1, tags = '{}', desired = '{}', desired_metadata = ?2, desired_version = 1, "
      "reported = ?3, reported_metadata = ?4, reported_version = ?1 WHERE device_id = ?5",
      -1, &update, nullptr);
  const auto bind = [update](int at, const std::string& text) {
    sqlite3_bind_text(update, at, text.data(), static_cast<int>(text.size()), SQLITE_STATIC);
  };
  const auto begun = std::chrono::steady_clock::now();
  std::int64_t done = 0;
  double passed = 0;
  while (passed < seconds) {
    run(db, "BEGIN IMMEDIATE");
    for (int i = 0; i < rows_per_commit; ++i, ++done) {
      // Each row differs from what is there: SQLite does not write a page that would not change.
      row.reported.replace(0, 20, fmt::format("{:020}", done));
      const std::string id = fmt::format("device-{}", order[static_cast<std::size_t>(done) % order.size()]);
      sqlite3_bind_int64(update, 1, done);
      bind(2, row.empty_metadata);
      bind(3, row.reported);
      bind(4, row.metadata);
      bind(5, id);
      GODWIT_CHECK(sqlite3_step(update) == SQLITE_DONE && sqlite3_changes(db) == 1);
      sqlite3_reset(update);
    }
    run(db, "COMMIT");
    passed = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  }
  sqlite3_finalize(update);
  return static_cast<double>(done) / passed;
}

void fill(sqlite3* db, std::int64_t rows, const Row& row) {
  run(db, "BEGIN");
  for (std::int64_t i = 0; i < rows; ++i) {
    run(db, fmt::format("INSERT INTO identities (device_id, is_enabled, status_reason, primary_key, secondary_key, "
                        "generation, etag, created) VALUES ('device-{}', 1, '', x'00', x'00', '', 1, 0)",
                        i));
    run(db, fmt::format(
                "INSERT INTO twins (device_id, version, tags, desired, desired_metadata, desired_version, reported, "
                "reported_metadata, reported_version) VALUES ('device-{}', 1, '{{}}', '{{}}', '{}', 1, '{}', '{}', 1)",
                i, row.empty_metadata, row.reported, row.metadata));
  }
  run(db, "COMMIT");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    fmt::print(stderr, "usage: {} FOLDER ROWS REPORTED_BYTES SECONDS\n", argv[0]);
    return 2;
  }
  const Path file = Path(argv[1]) / "reference.sqlite";
  SystemClock clock;
  NullLog log;
  const auto sealer = trust::Sealer::from_key(Secret{random_bytes(trust::Sealer::kKeyBytes)});
  GODWIT_CHECK(sealer);
  if (const auto made = store::open_sqlite_store(file, *sealer, clock, log); !made) {
    fmt::print(stderr, "{}\n", made.error().message);
    return 1;
  }
  sqlite3* db = nullptr;
  if (sqlite3_open(file.c_str(), &db) != SQLITE_OK) return 1;
  // As the store's writer does (server/store/sqlite/connection.cpp).
  run(db,
      "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA wal_autocheckpoint=4000;"
      "PRAGMA journal_size_limit=67108864; PRAGMA cache_size=-65536; PRAGMA temp_store=MEMORY");
  const std::int64_t rows = std::atoll(argv[2]);
  Row row;
  row.reported.assign(static_cast<std::size_t>(std::atoll(argv[3])), 'x');
  fill(db, rows, row);
  const auto order = shuffled(static_cast<std::size_t>(rows));
  const double seconds = std::atof(argv[4]) / 3;
  const double one = rows_per_second(db, order, row, 1, seconds);
  const double hundred = rows_per_second(db, order, row, 100, seconds);
  const double thousand = rows_per_second(db, order, row, 1000, seconds);
  fmt::print("{{\"one\":{:.0f},\"hundred\":{:.0f},\"thousand\":{:.0f}}}\n", one, hundred, thousand);
  sqlite3_close(db);
  return 0;
}
