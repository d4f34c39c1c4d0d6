#include "server/store/testing.hpp"

namespace godwit::store {
namespace {

class Jobs : public testing::Test {
 protected:
  void write(const std::function<Result<void>(JobRecords&)>& job) {
    const auto done = test_.store->write([&](Records& records) { return job(records.jobs()); });
    EXPECT_TRUE(done) << done.error().message;
  }
  ScheduledJob job(const std::string& id, JobKind kind = JobKind::update_twin) {
    return {.id = id,
            .kind = kind,
            .condition = "*",
            .work = "{}",
            .created = from_unix_ms(5),
            .starts = from_unix_ms(7),
            .time_limit = Duration{9}};
  }
  TestStore test_;
};

}  // namespace

TEST_F(Jobs, come_back_as_they_were_saved) {
  write([&](JobRecords& records) -> Result<void> {
    GODWIT_TRY_VOID(records.insert_job(job("j1", JobKind::device_method)));
    EXPECT_EQ(records.insert_job(job("j1")).error().code, Code::conflict);
    GODWIT_TRY(auto found, records.find_job("j1"));
    EXPECT_EQ(found->kind, JobKind::device_method);
    EXPECT_EQ(found->starts, from_unix_ms(7));
    EXPECT_EQ(found->time_limit, Duration{9});
    EXPECT_FALSE(found->began);
    found->state = JobState::failed;
    found->began = from_unix_ms(10);
    found->ended = from_unix_ms(11);
    found->cursor = "d7";
    found->is_gathered = true;
    found->reason = "because";
    GODWIT_TRY_VOID(records.save_job(*found));
    GODWIT_TRY(const auto again, records.find_job("j1"));
    EXPECT_EQ(again->state, JobState::failed);
    EXPECT_EQ(again->ended, from_unix_ms(11));
    EXPECT_EQ(again->cursor, "d7");
    EXPECT_TRUE(again->is_gathered);
    EXPECT_EQ(again->reason, "because");
    EXPECT_FALSE(records.find_job("j2").value());
    return {};
  });
}

TEST_F(Jobs, are_listed_by_kind_state_and_openness) {
  write([&](JobRecords& records) -> Result<void> {
    for (const char* id : {"a", "b", "c"}) GODWIT_TRY_VOID(records.insert_job(job(id)));
    GODWIT_TRY_VOID(records.insert_job(job("m", JobKind::device_method)));
    ScheduledJob ended = job("b");
    ended.state = JobState::completed;
    ended.ended = from_unix_ms(20);
    GODWIT_TRY_VOID(records.save_job(ended));
    EXPECT_EQ(records.list_jobs({}, "", 10)->size(), 4U);
    EXPECT_EQ(records.list_jobs({}, "a", 1)->front().id, "b");
    EXPECT_EQ(records.list_jobs({.kind = JobKind::device_method}, "", 10)->front().id, "m");
    EXPECT_EQ(records.list_jobs({.state = JobState::completed}, "", 10)->size(), 1U);
    EXPECT_EQ(records.list_open_jobs()->size(), 3U);
    EXPECT_EQ(records.remove_jobs_ended_before(from_unix_ms(20), 10).value(), 0U);
    EXPECT_EQ(records.remove_jobs_ended_before(from_unix_ms(21), 10).value(), 1U);
    EXPECT_EQ(records.list_jobs({}, "", 10)->size(), 3U);
    return {};
  });
}

TEST_F(Jobs, know_how_far_they_are_with_each_device) {
  write([&](JobRecords& records) -> Result<void> {
    GODWIT_TRY_VOID(records.insert_job(job("j")));
    GODWIT_TRY_VOID(records.add_job_devices("j", {"d1", "d2", "d3"}));
    GODWIT_TRY_VOID(records.save_job_device("j", {.device = "d2",
                                                  .state = JobDeviceState::succeeded,
                                                  .began = from_unix_ms(1),
                                                  .ended = from_unix_ms(2),
                                                  .outcome = "{}"}));
    GODWIT_TRY_VOID(records.add_job_devices("j", {"d2", "d4"}));
    EXPECT_EQ(records.list_job_devices("j", JobDeviceState::pending, 2)->size(), 2U);
    GODWIT_TRY_VOID(
        records.end_job_devices("j", JobDeviceState::pending, JobDeviceState::failed, "late", from_unix_ms(3)));
    GODWIT_TRY(const JobCounts counts, records.count_job_devices("j"));
    EXPECT_EQ(counts.succeeded, 1U) << "selected twice, done once";
    EXPECT_EQ(counts.failed, 3U);
    EXPECT_EQ(counts.all(), 4U);
    GODWIT_TRY(const auto lines, records.list_device_lines(10));
    EXPECT_EQ(lines.size(), 4U);
    EXPECT_EQ(lines[0].job.id, "j");
    EXPECT_EQ(lines[0].device.error, "late");
    EXPECT_EQ(lines[1].device.outcome, "{}");
    return {};
  });
}

}  // namespace godwit::store
