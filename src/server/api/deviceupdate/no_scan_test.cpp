// Goal:   no page that an operator looks at walks the whole fleet: what it costs must not grow with a million devices.
// Method: every statement that SQLite is given while each view is asked once is explained by SQLite itself; a plan that
//         scans or sorts a table with a row for each device is a failure, unless the statement stops by a LIMIT.
#include <sqlite3.h>

#include <fmt/format.h>

#include <mutex>
#include <regex>
#include <set>

#include "server/api/deviceupdate/management_surface.hpp"

namespace godwit::api {
namespace {

/// Texts of statements, from all connections that are opened after listen().
class Asked {
 public:
  static void listen() { ::sqlite3_auto_extension(reinterpret_cast<void (*)()>(&Asked::on_open)); }
  static void unlisten() { ::sqlite3_cancel_auto_extension(reinterpret_cast<void (*)()>(&Asked::on_open)); }
  static std::set<std::string> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(texts_, {});
  }
  static std::string file() {
    const std::lock_guard lock(mutex_);
    return file_;
  }

 private:
  static int on_open(sqlite3* db, const char**, const sqlite3_api_routines*) {
    ::sqlite3_trace_v2(db, SQLITE_TRACE_STMT, &Asked::on_statement, nullptr);
    return SQLITE_OK;
  }
  static int on_statement(unsigned, void*, void* statement, void*) {
    auto* prepared = static_cast<sqlite3_stmt*>(statement);
    const std::lock_guard lock(mutex_);
    if (const char* text = ::sqlite3_sql(prepared)) texts_.insert(text);
    if (file_.empty()) file_ = ::sqlite3_db_filename(::sqlite3_db_handle(prepared), "main");
    return 0;
  }
  static inline std::mutex mutex_;
  static inline std::set<std::string> texts_;
  static inline std::string file_;
};

/// What the plan of `sql` does that grows with the fleet; "" if nothing.
std::string growth_of(sqlite3* db, const std::string& sql) {
  static const std::regex scan(
      "SCAN (identities|sessions|twins|twin_tags|fleet_devices|deployment_devices|device_reports)\\b");
  sqlite3_stmt* statement = nullptr;
  const std::string explained = "EXPLAIN QUERY PLAN " + sql;
  if (::sqlite3_prepare_v2(db, explained.c_str(), -1, &statement, nullptr) != SQLITE_OK)
    return std::string("cannot be explained: ") + ::sqlite3_errmsg(db);
  std::string found;
  while (::sqlite3_step(statement) == SQLITE_ROW) {
    const std::string line = reinterpret_cast<const char*>(::sqlite3_column_text(statement, 3));
    if (std::regex_search(line, scan)) found += line + "; ";
  }
  ::sqlite3_finalize(statement);
  return sql.find("LIMIT") == std::string::npos ? found : "";
}

const std::vector<std::string>& views() {
  static const std::string device_class = service::toaster_class().str();
  static const std::string subgroup = "/groups/plant/deviceClassSubgroups/" + device_class;
  static const std::vector<std::string> all{
      "/devices",
      "/devices?filter=groupId%20eq%20%27plant%27",
      "/devices?filter=groupId%20eq%20%27plant%27%20and%20deploymentStatus%20eq%20%27Failed%27",
      "/devices?filter=groupId%20eq%20%27plant%27%20and%20deploymentStatus%20eq%20null",
      "/devices?filter=deviceClassId%20eq%20%27" + device_class + "%27",
      "/devices/dev-1",
      "/deviceClasses",
      "/deviceClasses/" + device_class,
      "/deviceClasses/" + device_class + "/installableUpdates",
      "/groups",
      "/groups/plant",
      "/groups/plant/bestUpdates",
      "/groups/plant/updateCompliance",
      "/groups/plant/deployments",
      "/groups/plant/deployments/d1",
      "/groups/plant/deployments/d1/status",
      "/groups/plant/deviceClassSubgroups",
      subgroup,
      subgroup + "/bestUpdates",
      subgroup + "/updateCompliance",
      subgroup + "/deployments",
      subgroup + "/deployments/d1",
      subgroup + "/deployments/d1/status",
      subgroup + "/deployments/d1/devicestates",
      subgroup + "/deployments/d1/devicestates?filter=deviceState%20eq%20%27Failed%27",
      subgroup +
          "/deployments/d1/devicestates?filter=deviceId%20eq%20%27dev-1%27%20and%20deviceState%20eq%20%27failed%27",
      "/updateCompliance",
      "/operations",
      "/deviceDiagnostics/deviceHealth?filter=state%20eq%20%27Healthy%27",
      "/deviceDiagnostics/deviceHealth?filter=state%20eq%20%27Unhealthy%27",
      "/deviceDiagnostics/deviceHealth?filter=deviceId%20eq%20%27dev-1%27",
      "/godwit/v1/main/devices/dev-1",
  };
  return all;
}

TEST(NoScan, of_the_fleet_for_any_view_of_the_management_family) {
  Asked::listen();
  ManagementSurface surface;  // its store opens connections as it needs them
  surface.bench.import(service::update_id("1.0"));
  for (const char* name : {"dev-1", "dev-2", "dev-3"}) static_cast<void>(surface.bench.add_device(name, "plant"));
  ASSERT_EQ(surface.put("d1", "1.0").status, 200);
  for (const std::string& view : views()) static_cast<void>(surface.get(view));
  static_cast<void>(Asked::take());

  sqlite3* db = nullptr;
  ASSERT_EQ(::sqlite3_open_v2(Asked::file().c_str(), &db, SQLITE_OPEN_READONLY, nullptr), SQLITE_OK) << Asked::file();
  ::sqlite3_trace_v2(db, 0, nullptr, nullptr);
  Asked::unlisten();  // all connections that answer views are open: each view was asked once above
  std::size_t explained = 0;
  for (const std::string& view : views()) {
    const Reply reply = surface.get(view);
    EXPECT_EQ(reply.status, 200) << view << ": " << reply.body;
    const auto asked = Asked::take();
    EXPECT_FALSE(asked.empty()) << view << " asked nothing: the test does not see the store";
    for (const std::string& sql : asked) {
      if (sql.rfind("SELECT", 0) != 0 && sql.rfind("WITH", 0) != 0) continue;
      ++explained;
      EXPECT_EQ(growth_of(db, sql), "") << view << "\n" << sql;
    }
  }
  EXPECT_GT(explained, 60U);
  EXPECT_NE(growth_of(db, "SELECT count(*) FROM fleet_devices WHERE length(id) > 3"), "") << "the test can see a scan";
  ::sqlite3_close(db);
}

}  // namespace
}  // namespace godwit::api
