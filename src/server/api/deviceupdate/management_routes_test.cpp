// The management family from the request to the reply: router, argument checks and service, without sockets.
#include <algorithm>

#include "server/api/deviceupdate/management_arguments.hpp"
#include "server/api/deviceupdate/management_surface.hpp"

namespace godwit::api {
namespace {

using service::device_id;
using service::RolloutBench;
using service::toaster_class;
using service::update_id;

using Surface = ManagementSurface;
constexpr std::string_view kBase = kManagementBase;

struct Management : testing::Test {
  Management() {
    s.bench.import(update_id("1.0"));
    first = s.bench.add_device("dev-1", "plant");
    second = s.bench.add_device("dev-2", "plant");
  }
  Surface s;
  DeviceId first = device_id("-");
  DeviceId second = device_id("-");
  const std::string subgroup = "/groups/plant/deviceClassSubgroups/" + toaster_class().str();
};

}  // namespace

TEST_F(Management, a_deployment_is_created_read_and_pointed_at) {
  const Reply created = s.put("d1", "1.0");
  ASSERT_EQ(created.status, 200) << created.body;
  const auto deployment = s.object("/groups/plant/deployments/d1");
  EXPECT_EQ(json::print(deployment), created.body);
  EXPECT_EQ(deployment.at("startDateTime").as_string(), "2025-12-31T00:00:00.0000000+00:00");
  EXPECT_EQ(deployment.at("deviceClassSubgroups").at(0).as_string(), toaster_class().str());
  EXPECT_FALSE(deployment.contains("isCanceled"));
  EXPECT_EQ(s.object("/groups/plant").at("deployments").at(0).as_string(), "d1");
  EXPECT_EQ(s.object(subgroup).at("deploymentId").as_string(), "d1");
  EXPECT_EQ(s.object("/groups/plant/deployments/d1/status").at("deploymentState").as_string(), "Active");
  EXPECT_EQ(s.object(subgroup + "/deployments/d1/status").at("devicesInProgressCount").as_int64(), 2);
  EXPECT_EQ(s.size("/groups/plant/deployments?orderby=startDateTime%20desc"), 1U);
  EXPECT_EQ(s.size(subgroup + "/deployments"), 1U);
}

TEST_F(Management, a_body_that_breaks_a_rule_is_answered_with_400_and_a_sentence) {
  const auto refused = [&](std::string_view body) {
    return s.send(Method::put, "/groups/plant/deployments/d1", std::string(body));
  };
  for (
      const char* body :
      {"", "[]", "{", R"({"deploymentId":"d1"})",
       R"({"deploymentId":"d2","groupId":"plant","startDateTime":"2026-01-01T00:00:00Z","update":{"updateId":{"provider":"Contoso","name":"Toaster","version":"1.0"}}})",
       R"({"deploymentId":"d1","groupId":"hall","startDateTime":"2026-01-01T00:00:00Z","update":{"updateId":{"provider":"Contoso","name":"Toaster","version":"1.0"}}})",
       R"({"deploymentId":"d1","groupId":"plant","startDateTime":"tomorrow","update":{"updateId":{"provider":"Contoso","name":"Toaster","version":"1.0"}}})",
       R"({"deploymentId":"d1","groupId":"plant","startDateTime":"2026-01-01T00:00:00Z","update":{"updateId":{"provider":"Con toso","name":"Toaster","version":"1"}}})"}) {
    EXPECT_EQ(refused(body).status, 400) << body;
    EXPECT_NE(refused(body).body, "") << body;
  }
  EXPECT_EQ(s.put("UPPER", "1.0").status, 400);
  EXPECT_EQ(s.put(std::string(74, 'd'), "1.0").status, 400);
  EXPECT_EQ(
      s.put(
           "d1", "1.0", "2025-12-31T00:00:00Z",
           R"(,"rollbackPolicy":{"update":{"updateId":{"provider":"Contoso","name":"Toaster","version":"1.0"}},"failure":{"devicesFailedPercentage":-1,"devicesFailedCount":1}})")
          .status,
      400);
  EXPECT_EQ(s.put("d1", "9.9").status, 400);
  EXPECT_EQ(s.size("/groups/plant/deployments"), 0U);
}

TEST_F(Management, subgroup_verbs_cancel_and_retry) {
  ASSERT_EQ(s.put("d1", "1.0").status, 200);
  s.bench.break_down(first);
  const Reply retried = s.send(Method::post, subgroup + "/deployments/d1:retry");
  ASSERT_EQ(retried.status, 200) << retried.body;
  EXPECT_TRUE(json::parse_object(retried.body)->at("isRetried").as_bool());
  const Reply canceled = s.send(Method::post, subgroup + "/deployments/d1:cancel");
  ASSERT_EQ(canceled.status, 200) << canceled.body;
  EXPECT_TRUE(json::parse_object(canceled.body)->at("isCanceled").as_bool());
  EXPECT_EQ(s.size(subgroup + "/deployments/d1/devicestates?filter=deviceState%20eq%20%27Canceled%27"), 2U);
  EXPECT_EQ(s.send(Method::delete_, "/groups/plant/deployments/d1").status, 204);
  EXPECT_EQ(s.get("/groups/plant/deployments/d1").status, 404);
}

TEST_F(Management, whole_groups_are_cancelled_and_retried_under_godwits_own_path) {
  ASSERT_EQ(s.put("d1", "1.0").status, 200);
  EXPECT_EQ(s.send(Method::delete_, "/groups/plant/deployments/d1").status, 409);
  s.bench.break_down(first);
  EXPECT_EQ(s.send(Method::post, "/godwit/v1/main/groups/plant/deployments/d1:retry").status, 200);
  EXPECT_EQ(s.bench.state_of(first, "d1"), "InProgress");
  EXPECT_EQ(s.object("/godwit/v1/main/groups/plant/deployments/d1/devicestates").at("value").as_array().size(), 2U);
  EXPECT_EQ(s.send(Method::post, "/godwit/v1/main/groups/plant/deployments/d1:cancel").status, 200);
  EXPECT_EQ(s.send(Method::post, "/godwit/v1/main/groups/plant/deployments/d1:retry").status, 409);
  EXPECT_EQ(s.object("/godwit/v1/main/devices/dev-1").at("deployment").at("deviceState").as_string(), "Canceled");
  EXPECT_EQ(s.get("/godwit/v1/main/devices/nobody").status, 404);
}

TEST_F(Management, lists_take_only_the_filters_that_are_theirs) {
  ASSERT_EQ(s.put("d1", "1.0").status, 200);
  s.bench.break_down(first);
  EXPECT_EQ(s.size("/devices"), 2U);
  EXPECT_EQ(s.size("/devices?filter=groupId%20eq%20%27plant%27%20and%20deploymentStatus%20eq%20%27Failed%27"), 1U);
  EXPECT_EQ(s.size("/devices?filter=GROUPID%20eq%20%27plant%27%20and%20deploymentstatus%20eq%20null"), 0U);
  EXPECT_EQ(s.size("/devices?filter=deviceClassId%20eq%20%27" + toaster_class().str() + "%27"), 2U);
  EXPECT_EQ(
      s.size(subgroup +
             "/deployments/d1/devicestates?filter=deviceId%20eq%20%27dev-1%27%20and%20deviceState%20eq%20%27failed%27"),
      1U);
  EXPECT_EQ(s.size("/groups/plant/deviceClassSubgroups?filter=compatProperties/Model%20eq%20%27Toaster%27"), 1U);
  EXPECT_EQ(s.size("/deviceDiagnostics/deviceHealth?filter=state%20eq%20%27Healthy%27"), 2U);
  for (const char* wrong :
       {"/devices?filter=colour%20eq%20%27red%27", "/devices?filter=groupId%20eq%20true",
        "/devices?filter=deploymentStatus%20eq%20%27Failed%27",
        "/devices?filter=groupId%20eq%20%27a%27%20or%20groupId%20eq%20%27b%27",
        "/devices?filter=groupId%20eq%20%27a%27%20and%20groupId%20eq%20%27b%27",
        "/deviceClasses?filter=deviceClassId%20eq%20%27x%27", "/deviceDiagnostics/deviceHealth",
        "/deviceDiagnostics/deviceHealth?filter=state%20eq%20%27tired%27",
        "/operations?filter=status%20eq%20%27Running%27", "/operations?top=0", "/operations?top=x",
        "/groups?orderby=colour", "/groups?orderby=groupId%20sideways", "/groups/plant/deployments?orderby=groupId"})
    EXPECT_EQ(s.get(wrong).status, 400) << wrong;
}

TEST_F(Management, the_default_group_is_reached_under_its_encoded_name_and_listed_first) {
  EXPECT_EQ(s.object("/groups/%24default").at("groupType").as_string(), "DefaultNoTag");
  EXPECT_EQ(s.object("/groups?orderby=deviceCount%20desc").at("value").at(0).at("groupId").as_string(), "$default");
  EXPECT_EQ(s.get("/groups/nowhere").status, 404);
  EXPECT_EQ(s.send(Method::delete_, "/groups/%24default").status, 409);
}

TEST_F(Management, compliance_stands_at_three_levels) {
  for (const std::string& where : {std::string("/updateCompliance"), std::string("/groups/plant/updateCompliance"),
                                   subgroup + "/updateCompliance"})
    EXPECT_EQ(s.object(where).at("newUpdatesAvailableDeviceCount").as_int64(), 2) << where;
  EXPECT_EQ(s.size("/groups/plant/bestUpdates"), 1U);
  EXPECT_EQ(s.object(subgroup + "/bestUpdates").at("deviceCount").as_int64(), 2);
}

TEST_F(Management, classes_are_shown_named_and_protected) {
  const std::string path = "/deviceClasses/" + toaster_class().str();
  const auto found = s.object(path);
  EXPECT_EQ(found.at("deviceClassProperties").at("contractModel").at("id").as_string(),
            "dtmi:azure:iot:deviceUpdateContractModel;3");
  EXPECT_EQ(found.at("deviceClassProperties").at("compatProperties").at("model").as_string(), "Toaster");
  EXPECT_EQ(found.at("bestCompatibleUpdate").at("updateId").at("version").as_string(), "1.0");
  EXPECT_EQ(s.send(Method::patch, path, R"({"friendlyName":"Toasters"})").status, 200);
  EXPECT_EQ(s.send(Method::patch, path, R"({"friendlyName":""})").status, 400);
  EXPECT_EQ(s.size("/deviceClasses?filter=friendlyName%20eq%20%27Toasters%27"), 1U);
  EXPECT_EQ(s.size(path + "/installableUpdates"), 1U);
  EXPECT_EQ(s.send(Method::delete_, path).status, 409);
}

TEST_F(Management, a_device_sync_is_an_operation_that_ends) {
  EXPECT_EQ(s.send(Method::post, "/devices:import", "{}").status, 400);
  EXPECT_EQ(s.send(Method::post, "/devices:import", "\"Toasters\"").status, 400);
  const Reply started = s.send(Method::post, "/devices:import", "\"All\"");
  ASSERT_EQ(started.status, 202) << started.body;
  const std::string location = started.headers.at(0).second;
  ASSERT_TRUE(location.starts_with(std::string(kBase) + "/operations/")) << location;
  EXPECT_EQ(s.send(Method::post, "/devices:import", "\"All\"").status, 409);
  const std::string where = location.substr(kBase.size(), location.find('?') - kBase.size());
  const auto asks_to_wait = [&] {
    const auto headers = s.get(where).headers;
    return std::any_of(headers.begin(), headers.end(), [](const auto& one) { return one.first == "Retry-After"; });
  };
  EXPECT_TRUE(asks_to_wait()) << "clients sleep half a minute between polls otherwise";
  ASSERT_TRUE(s.bench.rollout.tick());
  EXPECT_EQ(s.object(where).at("status").as_string(), "Succeeded");
  EXPECT_FALSE(asks_to_wait());
  const std::string etag(s.object(where).at("etag").as_string());
  EXPECT_EQ(s.send(Method::get, where, "", {{"if-none-match", etag}}).status, 304);
  EXPECT_EQ(s.size("/operations?top=5"), 1U);
}

TEST_F(Management, quotas_are_reported_and_what_is_beyond_them_is_unhealthy_with_the_reason) {
  s.bench.inventory.set_quotas({.devices = 3, .groups = 2, .classes = 2});
  ASSERT_EQ(s.put("d1", "1.0").status, 200);
  const Reply reply = s.send_whole(Method::get, "/deviceUpdate/main/limits?api-version=2022-10-01");
  ASSERT_EQ(reply.status, 200) << reply.body;
  const auto limits = json::parse_object(reply.body).value();
  EXPECT_EQ(json::print(limits.at("counters").as_object()),
            R"({"deviceCount":{"usage":2,"quota":3},"deviceClassCount":{"usage":1,"quota":2},)"
            R"("deviceGroupCount":{"usage":2,"quota":2},"activeDeploymentCount":{"usage":1,"quota":1000},)"
            R"("deploymentCount":{"usage":1,"quota":10000}})");
  const auto problem_of = [&](const std::string& id) {
    const auto health =
        s.object("/deviceDiagnostics/deviceHealth?filter=deviceId%20eq%20%27" + id + "%27").at("value").at(0);
    return std::string(health.at("state").as_string()) +
           (health.as_object().contains("godwit") ? ": " + std::string(health.at("godwit").at("problem").as_string())
                                                  : std::string{});
  };
  s.bench.add_device("dev-3", "third");
  EXPECT_EQ(problem_of("dev-3"),
            "unhealthy: the instance has 2 groups, which is its limit: delete groups that are empty, then start a "
            "device sync");
  s.bench.add_device("dev-4", "plant", "Kettle");
  EXPECT_EQ(problem_of("dev-4"), "healthy");
  s.bench.add_device("dev-5", "plant", "Iron");
  EXPECT_NE(problem_of("dev-5").find("has 2 device classes"), std::string::npos) << problem_of("dev-5");
  s.bench.add_device("dev-6", "plant");
  EXPECT_NE(problem_of("dev-6").find("has 3 devices"), std::string::npos) << problem_of("dev-6");
  s.bench.identify(second, "Toaster");
  EXPECT_EQ(problem_of("dev-2"), "healthy") << "who is in stays in";
}

TEST_F(Management, modules_are_devices_with_a_module_id) {
  EXPECT_EQ(s.get("/devices/dev-1/modules/m").status, 404);
  s.bench.add_module(first, "m", "plant");
  EXPECT_EQ(s.object("/devices/dev-1/modules/m").at("moduleId").as_string(), "m");
  EXPECT_FALSE(s.object("/devices/dev-1").contains("moduleId"));
  EXPECT_EQ(s.size("/devices"), 3U);
  ASSERT_EQ(s.put("d1", "1.0").status, 200);
  const std::string states = subgroup + "/deployments/d1/devicestates?filter=";
  EXPECT_EQ(s.size(states + "deviceId%20eq%20%27dev-1%27"), 2U);
  EXPECT_EQ(s.size(states + "deviceId%20eq%20%27dev-1%27%20and%20moduleId%20eq%20%27m%27"), 1U);
  EXPECT_EQ(s.get(states + "moduleId%20eq%20%27m%27").status, 400);
  EXPECT_EQ(s.size("/deviceDiagnostics/deviceHealth?filter=deviceId%20eq%20%27dev-1%27"), 2U);
  EXPECT_EQ(
      s.size("/deviceDiagnostics/deviceHealth?filter=deviceId%20eq%20%27dev-1%27%20and%20moduleId%20eq%20%27m%27"), 1U);
}

TEST_F(Management, one_device_or_module_is_cancelled_and_retried_under_godwits_own_path) {
  s.bench.add_module(first, "m", "plant");
  ASSERT_EQ(s.put("d1", "1.0").status, 200);
  const std::string base = "/godwit/v1/main/groups/plant/deployments/d1/devices/";
  EXPECT_EQ(s.object("/godwit/v1/main/devices/dev-1/modules/m").at("moduleId").as_string(), "m");
  const Reply canceled = s.send(Method::post, base + "dev-1/modules/m:cancel");
  ASSERT_EQ(canceled.status, 200) << canceled.body;
  EXPECT_EQ(json::parse_object(canceled.body)->at("deviceState").as_string(), "Canceled");
  EXPECT_EQ(s.bench.state_of(first, "d1"), "InProgress") << "the device itself goes on";
  EXPECT_EQ(s.send(Method::post, base + "dev-1/modules/m:retry").status, 200);
  EXPECT_EQ(s.send(Method::post, base + "dev-2:cancel").status, 200);
  EXPECT_EQ(s.bench.state_of(second, "d1"), "Canceled");
  EXPECT_EQ(s.send(Method::post, base + "dev-1:retry").status, 409);
  EXPECT_EQ(s.send(Method::post, base + "dev-9:retry").status, 404);
}

TEST(ManagementTable, each_operation_asks_for_the_permission_of_its_method) {
  for (const auto* table : {&deviceupdate_management_routes(), &godwit_fleet_routes()})
    for (const Route& route : *table) {
      const Permission expected = route.method == Method::get       ? Permission::management_read
                                  : route.method == Method::delete_ ? Permission::management_delete
                                                                    : Permission::management_write;
      EXPECT_EQ(route.permission, expected) << route.pattern;
    }
  EXPECT_EQ(deviceupdate_management_routes().size(), 36U);
}

}  // namespace godwit::api
