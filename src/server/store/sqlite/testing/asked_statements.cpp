#include "server/store/sqlite/testing/asked_statements.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <mutex>
#include <string_view>
#include <utility>

namespace godwit::store::testing {
namespace {

constexpr std::array<std::string_view, 7> kFleetTables{
    "identities", "sessions", "twins", "twin_tags", "fleet_devices", "deployment_devices", "device_reports"};

struct Heard {
  std::mutex mutex;
  std::set<std::string> texts;
  std::string file;
};
Heard& heard() {
  static Heard one;
  return one;
}

int on_statement(unsigned, void*, void* statement, void*) {
  auto* prepared = static_cast<sqlite3_stmt*>(statement);
  const std::lock_guard lock(heard().mutex);
  if (const char* text = ::sqlite3_sql(prepared)) heard().texts.insert(text);
  if (heard().file.empty()) heard().file = ::sqlite3_db_filename(::sqlite3_db_handle(prepared), "main");
  return 0;
}

int on_open(sqlite3* db, const char**, const sqlite3_api_routines*) {
  ::sqlite3_trace_v2(db, SQLITE_TRACE_STMT, on_statement, nullptr);
  return SQLITE_OK;
}

/// "SCAN twins USING INDEX ..." of a table in the list above.
bool scans_fleet(std::string_view line) {
  constexpr std::string_view kScan = "SCAN ";
  const auto at = line.find(kScan);
  if (at == std::string_view::npos) return false;
  line.remove_prefix(at + kScan.size());
  const auto table = line.substr(0, line.find(' '));
  return std::find(kFleetTables.begin(), kFleetTables.end(), table) != kFleetTables.end();
}

}  // namespace

AskedStatements::AskedStatements() { ::sqlite3_auto_extension(reinterpret_cast<void (*)()>(on_open)); }
AskedStatements::~AskedStatements() { ::sqlite3_cancel_auto_extension(reinterpret_cast<void (*)()>(on_open)); }

std::set<std::string> AskedStatements::take() {
  const std::lock_guard lock(heard().mutex);
  return std::exchange(heard().texts, {});
}

std::string AskedStatements::growth_of(const std::string& sql) const {
  std::string file;
  {
    const std::lock_guard lock(heard().mutex);
    file = heard().file;
  }
  sqlite3* db = nullptr;
  std::string found;
  if (::sqlite3_open_v2(file.c_str(), &db, SQLITE_OPEN_READONLY, nullptr) != SQLITE_OK) found = "cannot open " + file;
  ::sqlite3_trace_v2(db, 0, nullptr, nullptr);
  sqlite3_stmt* statement = nullptr;
  if (found.empty() &&
      ::sqlite3_prepare_v2(db, ("EXPLAIN QUERY PLAN " + sql).c_str(), -1, &statement, nullptr) != SQLITE_OK)
    found = std::string("cannot be explained: ") + ::sqlite3_errmsg(db);
  while (statement != nullptr && ::sqlite3_step(statement) == SQLITE_ROW) {
    const std::string line = reinterpret_cast<const char*>(::sqlite3_column_text(statement, 3));
    if (scans_fleet(line) && sql.find("LIMIT") == std::string::npos) found += line + "; ";
  }
  ::sqlite3_finalize(statement);
  ::sqlite3_close(db);
  return found;
}

}  // namespace godwit::store::testing
