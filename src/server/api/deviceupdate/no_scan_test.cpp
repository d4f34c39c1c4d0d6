// Goal:   no page that an operator looks at walks the whole fleet: what it costs must not grow with a million devices.
// Method: every statement that SQLite is given while each view is asked once is explained by SQLite itself; a plan that
//         scans or sorts a table with a row for each device is a failure, unless the statement stops by a LIMIT.
#include <gtest/gtest.h>

#include "server/api/deviceupdate/management_surface.hpp"
#include "server/store/sqlite/testing/asked_statements.hpp"

namespace godwit::api {
namespace {

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
  store::testing::AskedStatements statements;
  ManagementSurface surface;  // its store opens connections as it needs them
  surface.bench.import(service::update_id("1.0"));
  for (const char* name : {"dev-1", "dev-2", "dev-3"}) static_cast<void>(surface.bench.add_device(name, "plant"));
  ASSERT_EQ(surface.put("d1", "1.0").status, 200);
  static_cast<void>(statements.take());

  std::size_t explained = 0;
  for (const std::string& view : views()) {
    const Reply reply = surface.get(view);
    EXPECT_EQ(reply.status, 200) << view << ": " << reply.body;
    const auto asked = statements.take();
    EXPECT_FALSE(asked.empty()) << view << " asked nothing: the test does not see the store";
    for (const std::string& sql : asked) {
      if (!sql.starts_with("SELECT") && !sql.starts_with("WITH")) continue;
      ++explained;
      EXPECT_EQ(statements.growth_of(sql), "") << view << "\n" << sql;
    }
  }
  EXPECT_GT(explained, 60U);
  EXPECT_NE(statements.growth_of("SELECT count(*) FROM fleet_devices WHERE length(id) > 3"), "")
      << "the test can see a scan";
}

}  // namespace
}  // namespace godwit::api
