#include "server/hub/jobs/job_form.hpp"

#include <gtest/gtest.h>

#include "server/hub/jobs/job_life.hpp"

namespace godwit::hub::jobs {
namespace {

const WallTime kNow = from_unix_ms(1'000'000'000);

Result<store::ScheduledJob> read(const std::string& body, const std::string& id = "job1") {
  return read_job(id, *json::parse_object(body), kNow, {}, {});
}

TEST(JobForm, reads_what_the_job_client_writes) {
  const auto job = read(R"({"jobId":"job1","type":"scheduleUpdateTwin","queryCondition":"tags.a='b'",)"
                        R"("updateTwin":{"etag":"*","tags":{"x":1},"deviceId":"any"},)"
                        R"("startTime":"1970-01-20T00:00:00.000Z","maxExecutionTimeInSeconds":300})");
  ASSERT_TRUE(job) << job.error().message;
  EXPECT_EQ(job->kind, store::JobKind::update_twin);
  EXPECT_EQ(job->work, R"({"tags":{"x":1}})");
  EXPECT_EQ(job->condition, "tags.a='b'");
  EXPECT_EQ(format_time(job->starts), "1970-01-20T00:00:00.000Z");
  EXPECT_EQ(job->time_limit, std::chrono::seconds(300));

  const auto method =
      read(R"({"type":"scheduleDeviceMethod","queryCondition":"*","startTime":null,)"
           R"("cloudToDeviceMethod":{"methodName":"reboot","payload":null,"responseTimeoutInSeconds":15}})");
  ASSERT_TRUE(method) << method.error().message;
  EXPECT_EQ(method->kind, store::JobKind::device_method);
  EXPECT_EQ(method->starts, kNow);
  EXPECT_EQ(method->time_limit, std::chrono::hours(1));
}

TEST(JobForm, refuses_what_could_never_be_done) {
  for (
      const char* body :
      {"{}", R"({"type":"scheduleUpdateTwin","updateTwin":{"tags":{}}})", R"({"type":"guess","queryCondition":"*"})",
       R"({"type":"scheduleUpdateTwin","queryCondition":"*"})",
       R"({"type":"scheduleUpdateTwin","queryCondition":"*","updateTwin":{}})",
       R"({"type":"scheduleUpdateTwin","queryCondition":"*","updateTwin":{"etag":"AAAAAAAAAAE=","tags":{}}})",
       R"({"type":"scheduleUpdateTwin","queryCondition":"*","updateTwin":{"tags":{}},"startTime":"soon"})",
       R"({"type":"scheduleUpdateTwin","queryCondition":"*","updateTwin":{"tags":{}},"startTime":"2099-01-01T00:00:00Z"})",
       R"({"type":"scheduleUpdateTwin","queryCondition":"*","updateTwin":{"tags":{}},"maxExecutionTimeInSeconds":9})",
       R"({"type":"scheduleUpdateTwin","queryCondition":"*","updateTwin":{"tags":{}},"maxExecutionTimeInSeconds":172801})",
       R"({"jobId":"other","type":"scheduleUpdateTwin","queryCondition":"*","updateTwin":{"tags":{}}})",
       R"({"type":"scheduleDeviceMethod","queryCondition":"*","cloudToDeviceMethod":{"methodName":"a/b"}})"})
    EXPECT_FALSE(read(body)) << body;
  const std::string good = R"({"type":"scheduleUpdateTwin","queryCondition":"*","updateTwin":{"tags":{}}})";
  EXPECT_TRUE(read(good));
  EXPECT_FALSE(read(good, "a b"));
  EXPECT_FALSE(read(good, std::string(65, 'j')));
}

TEST(JobLife, tells_these_stories) {
  const auto after = [](State state, std::initializer_list<Event> events) {
    for (const Event event : events)
      if (const auto row = next(state, event)) state = row->to;
    return state;
  };
  EXPECT_EQ(after(State::scheduled, {Event::came_due, Event::got_turn, Event::ended_all}), State::completed);
  EXPECT_EQ(after(State::scheduled, {Event::got_turn}), State::scheduled) << "not before its time";
  EXPECT_EQ(after(State::scheduled, {Event::came_due, Event::ran_out}), State::failed);
  EXPECT_EQ(after(State::running, {Event::was_cancelled, Event::ended_all}), State::cancelled);
  EXPECT_EQ(next(State::running, Event::woke_up)->effect, Do::settle);
  EXPECT_EQ(after(State::completed, {Event::was_cancelled, Event::woke_up, Event::broke}), State::completed);
}

}  // namespace
}  // namespace godwit::hub::jobs
