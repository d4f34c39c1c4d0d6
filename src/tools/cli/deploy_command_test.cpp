#include "core/base/bytes.hpp"
#include "core/base/clock.hpp"
#include "tools/cli/testing/fake_service.hpp"

namespace godwit::cli {
namespace {

constexpr const char* kUpdate = "GET /deviceUpdate/default/updates/providers/Contoso/names/Toaster/versions/1.0";
constexpr const char* kDone =
    R"({"deploymentState":"Active","subgroupStatus":[{"totalDevices":2,"devicesInProgressCount":0,)"
    R"("devicesCompletedSucceededCount":2,"devicesCompletedFailedCount":0,"devicesCanceledCount":0}]})";
constexpr const char* kOneFailed =
    R"({"deploymentState":"Active","subgroupStatus":[{"totalDevices":2,"devicesInProgressCount":0,)"
    R"("devicesCompletedSucceededCount":1,"devicesCompletedFailedCount":1,"devicesCanceledCount":0}]})";

/// A folder with an update of one script, and a terminal that knows the service.
struct Scene {
  FakeService service{};
  Terminal terminal{};
  TempFolder folder{};
  std::string blob{};  // the path of its payload at the service
  Path manifest{};

  Scene() {
    terminal.environment = {{"GODWIT_URL", service.url()},
                            {"GODWIT_CA", service.ca().string()},
                            {"GODWIT_TOKEN_FILE", service.token_file().string()}};
    EXPECT_TRUE(write_file_durably(folder.path() / "toast.sh", "#!/bin/sh\n"));
    blob = "/godwit/v1/default/blobs/" + hex_encode(sha256_of_file(folder.path() / "toast.sh").value());
    const auto made =
        terminal.type({"update", "init", "v5", "--update-provider", "Contoso", "--update-name", "Toaster",
                       "--update-version", "1.0", "--compat", "manufacturer=Contoso", "model=Toaster", "--step",
                       "handler=microsoft/script:1", R"(properties={"scriptFileName":"toast.sh"})", "--file",
                       "path=" + (folder.path() / "toast.sh").string(), "--folder", folder.path()});
    EXPECT_EQ(made.code, exit_code::ok) << made.error;
    for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
      if (entry.path().string().ends_with(".importmanifest.json")) manifest = entry.path();
    service.answer(
        "POST /godwit/v1/default/updates:import",
        {.status = 202, .body = "", .headers = "Operation-Location: /deviceUpdate/default/updates/operations/1\r\n"});
    service.answer("GET /deviceUpdate/default/updates/operations/1",
                   {.status = 200, .body = R"({"status":"Succeeded"})", .headers = {}});
    service.answer("PUT " + blob, {.status = 201, .body = "", .headers = {}});
  }
  /// The path of the deployment that was made; empty when none was.
  std::string deployment() {
    for (const auto& one : service.requests())
      if (one.line.starts_with("PUT /deviceUpdate/default/management/groups/"))
        return one.line.substr(4, one.line.find('?') - 4);
    return {};
  }
  /// The id has the second in it: whatever it becomes in the next ones is answered alike.
  void follow(const std::string& group, const std::string& status) {
    const WallTime now = SystemClock().now();
    for (int second = 0; second < 60; ++second) {
      std::string id = "contoso-toaster-1-0-";
      for (const char c : format_time(now + Duration(std::chrono::seconds(second))).substr(0, 19))
        if (c != '-' && c != ':') id += c == 'T' ? 't' : c;
      const std::string path = "/deviceUpdate/default/management/groups/" + group + "/deployments/" + id;
      service.answer("PUT " + path, {.status = 200, .body = R"({"startDateTime":"now"})", .headers = {}});
      service.answer("GET " + path, {.status = 200, .body = R"({"deviceClassSubgroups":["c1"]})", .headers = {}});
      service.answer("GET " + path + "/status", {.status = 200, .body = status, .headers = {}});
      service.answer(
          "GET /deviceUpdate/default/management/groups/" + group + "/deviceClassSubgroups/c1/deployments/" + id +
              "/devicestates",
          {.status = 200, .body = R"({"value":[{"deviceId":"dev-9","deviceState":"Failed"}]})", .headers = {}});
    }
  }
};

TEST(Deploy, it_imports_what_the_service_does_not_have_and_follows_the_devices) {
  Scene scene;
  scene.follow("%24default", kDone);
  const auto done = scene.terminal.type({"deploy", scene.manifest});
  EXPECT_EQ(done.code, exit_code::ok) << done.error << done.out;
  EXPECT_EQ(scene.service.last("PUT " + scene.blob).body, "#!/bin/sh\n");
  EXPECT_NE(scene.service.last("POST /godwit/v1/default/updates:import").body.find("Toaster"), std::string::npos);
  ASSERT_FALSE(scene.deployment().empty()) << done.out;
  EXPECT_NE(scene.service.last("PUT " + scene.deployment()).body.find(R"("version":"1.0")"), std::string::npos);
  EXPECT_NE(done.out.find("2 devices: 2 succeeded"), std::string::npos) << done.out;
}

TEST(Deploy, what_the_service_has_is_not_sent_again) {
  Scene scene;
  scene.follow("line-1", kDone);
  scene.service.answer(kUpdate, {});
  const auto done = scene.terminal.type({"deploy", scene.manifest, "--group-id", "line-1"});
  EXPECT_EQ(done.code, exit_code::ok) << done.error;
  EXPECT_EQ(scene.service.last("PUT " + scene.blob).line, "");
  EXPECT_EQ(scene.service.last("POST /godwit/v1/default/updates:import").line, "");
  EXPECT_NE(scene.deployment().find("/groups/line-1/"), std::string::npos);
}

TEST(Deploy, a_device_that_failed_is_named_and_tells_the_shell) {
  Scene scene;
  scene.follow("%24default", kOneFailed);
  scene.service.answer(kUpdate, {});
  const auto done = scene.terminal.type({"deploy", scene.manifest});
  EXPECT_EQ(done.code, exit_code::deployment_failed) << done.error;
  EXPECT_NE(done.out.find("dev-9"), std::string::npos) << done.out;
}

TEST(Deploy, a_payload_that_changed_since_the_manifest_is_found_before_anything_is_sent) {
  Scene scene;
  ASSERT_TRUE(write_file_durably(scene.folder.path() / "toast.sh", "#!/bin/zh\n"));
  const auto done = scene.terminal.type({"deploy", scene.manifest});
  EXPECT_EQ(done.code, exit_code::failed);
  EXPECT_NE(done.error.find("make the manifest anew"), std::string::npos) << done.error;
  EXPECT_EQ(scene.service.last("POST /godwit/v1/default/updates:import").line, "");
  EXPECT_TRUE(scene.deployment().empty());
}

TEST(Deploy, a_service_that_may_not_be_asked_gets_nothing) {
  Scene refused;
  refused.service.answer(
      kUpdate,
      {.status = 403, .body = R"({"error":{"code":"Forbidden","message":"the role may not read"}})", .headers = {}});
  const auto done = refused.terminal.type({"deploy", refused.manifest});
  EXPECT_NE(done.error.find("the role may not read"), std::string::npos) << done.error;
  EXPECT_EQ(refused.service.last("PUT " + refused.blob).line, "") << "only what is not there is imported";
}

}  // namespace
}  // namespace godwit::cli
