// Scheduled jobs by their routes; every condition selects every device.
#include "server/api/iothub/shapes.hpp"
#include "server/api/iothub/test_hub_api.hpp"
#include "server/hub/jobs/scheduled_jobs.hpp"

namespace godwit::api {
namespace {

class JobRoutes : public HubApiTest {
 protected:
  JobRoutes()
      : jobs_(*rig_.store, clock_, log_, registry_,
              {.check_condition = [](const std::string& condition) -> Result<void> {
                 return condition == "broken" ? fail(Code::invalid_argument, "at position 1") : Result<void>{};
               },
               .select = [](store::Records& records, const std::string&, const std::string&,
                            std::size_t size) -> Result<hub::jobs::Selection> {
                 hub::jobs::Selection selection;
                 GODWIT_TRY(const auto identities, records.devices().list_identities("", size));
                 for (const auto& identity : identities) selection.ids.push_back(identity.id.str());
                 return selection;
               },
               .invoke = [](const hub::MethodCall&,
                            const hub::MethodDone& done) { done(hub::MethodAnswer{.status = 200, .payload = "7"}); }}) {
    rig_.services->jobs = &jobs_;
    for (const char* id : {"a", "b"}) EXPECT_EQ(call("PUT", std::string("/devices/") + id, "{}").status, 200);
  }
  void run() {
    for (int i = 0; i < 10; ++i) EXPECT_TRUE(jobs_.run_round());
  }
  NullLog log_;
  hub::jobs::ScheduledJobs jobs_;
};

TEST_F(JobRoutes, a_twin_job_is_made_run_and_read) {
  const Answer made =
      call("PUT", "/jobs/v2/j1",
           R"({"jobId":"j1","type":"scheduleUpdateTwin","queryCondition":"*","updateTwin":{"etag":"*","tags":{"x":1}},)"
           R"("startTime":"2020-01-01T00:00:00Z","maxExecutionTimeInSeconds":60})");
  ASSERT_EQ(made.status, 200) << made.body;
  EXPECT_EQ(*json::text_or_nothing(object(made), "status"), "scheduled");
  EXPECT_EQ(*json::text_or_nothing(object(made), "type"), "scheduleUpdateTwin");
  run();
  const json::Object done = object(call("GET", "/jobs/v2/j1"));
  EXPECT_EQ(*json::text_or_nothing(done, "status"), "completed");
  EXPECT_EQ(json::print(done.at("deviceJobStatistics").get_object()),
            R"({"deviceCount":2,"failedCount":0,"succeededCount":2,"runningCount":0,"pendingCount":0})");
  EXPECT_TRUE(done.contains("endTime"));
  EXPECT_EQ(object(call("GET", "/twins/b")).at("tags").at("x").get_int64(), 1);
  EXPECT_EQ(call("POST", "/jobs/v2/j1/cancel").status, 409);
  EXPECT_EQ(call("GET", "/jobs/v2/none").status, 404);
}

TEST_F(JobRoutes, a_method_job_keeps_each_answer) {
  ASSERT_EQ(call("PUT", "/jobs/v2/m1",
                 R"({"type":"scheduleDeviceMethod","queryCondition":"*","cloudToDeviceMethod":{"methodName":"m"}})")
                .status,
            200);
  run();
  EXPECT_EQ(*json::text_or_nothing(object(call("GET", "/jobs/v2/m1")), "status"), "completed");
  std::vector<json::Object> lines;
  ASSERT_TRUE(rig_.store->read([&](store::Records& records) -> Result<void> {
    GODWIT_TRY(lines, iothub::device_jobs(records));
    return {};
  }));
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(*json::text_or_nothing(lines[0], "deviceId"), "a");
  EXPECT_EQ(*json::text_or_nothing(lines[0], "status"), "completed");
  EXPECT_EQ(json::print(lines[0].at("outcome").get_object()), R"({"deviceMethodResponse":{"status":200,"payload":7}})");
}

TEST_F(JobRoutes, jobs_are_listed_by_type_and_status_in_pages) {
  const std::string later =
      R"({"type":"scheduleUpdateTwin","queryCondition":"*","updateTwin":{"tags":{"x":1}},"startTime":")" +
      format_time(clock_.now() + std::chrono::hours(1)) + R"("})";
  for (const char* id : {"j1", "j2", "j3"}) ASSERT_EQ(call("PUT", std::string("/jobs/v2/") + id, later).status, 200);
  ASSERT_EQ(call("POST", "/jobs/v2/j2/cancel").status, 200);
  const auto size = [&](const std::string& query) {
    return json::parse(call("GET", "/jobs/v2/query" + query).body)->get_array().size();
  };
  EXPECT_EQ(size(""), 3U);
  EXPECT_EQ(size("?jobStatus=cancelled"), 1U);
  EXPECT_EQ(size("?jobType=scheduleUpdateTwin&jobStatus=scheduled"), 2U);
  EXPECT_EQ(size("?jobType=scheduleDeviceMethod"), 0U);
  EXPECT_EQ(call("GET", "/jobs/v2/query?jobType=export").status, 400);
  const Answer first = call("GET", "/jobs/v2/query", {}, "x-ms-max-item-count: 2\r\n");
  EXPECT_EQ(json::parse(first.body)->get_array().size(), 2U);
  const Answer rest =
      call("GET", "/jobs/v2/query", {},
           "x-ms-max-item-count: 2\r\nx-ms-continuation: " + first.headers.at("x-ms-continuation") + "\r\n");
  EXPECT_EQ(json::parse(rest.body)->get_array().size(), 1U);
  EXPECT_FALSE(rest.headers.contains("x-ms-continuation"));
}

TEST_F(JobRoutes, what_cannot_be_done_is_refused_at_once) {
  for (const char* body :
       {"", "[]", "{}", R"({"type":"scheduleUpdateTwin","queryCondition":"broken","updateTwin":{"tags":{}}})"})
    EXPECT_EQ(call("PUT", "/jobs/v2/j1", body).status, 400) << body;
  EXPECT_EQ(call("GET", "/jobs/v2/j1").status, 404);
}

}  // namespace
}  // namespace godwit::api
