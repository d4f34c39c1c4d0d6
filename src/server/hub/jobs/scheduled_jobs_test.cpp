// Jobs over a real store; the selection and the hub are stand-ins that do as they are told.
#include "server/hub/jobs/scheduled_jobs.hpp"

#include <gtest/gtest.h>

#include <deque>

#include "server/store/testing.hpp"

namespace godwit::hub::jobs {
namespace {

class QuietObserver final : public TwinObserver {
 public:
  Result<void> on_created(store::Records&, const IdentityId&) override { return {}; }
  Result<void> on_removed(store::Records&, const IdentityId&) override { return {}; }
  Result<void> on_reported(store::Records&, const IdentityId&, const twin::Twin&, const json::Object&) override {
    return {};
  }
  Result<void> on_tags(store::Records&, const IdentityId&, const twin::Twin&) override { return {}; }
  Result<void> on_model(store::Records&, const IdentityId&, const std::string&) override { return {}; }
};

class JobRun : public testing::Test {
 protected:
  JobRun() { make(); }
  /// As the process is started: nothing but the store survives.
  void make() {
    jobs_ = std::make_unique<ScheduledJobs>(
        *test_.store, test_.clock, test_.log, registry_,
        JobPorts{.check_condition = [](const std::string& condition) -> Result<void> {
                   return condition == "broken" ? fail(Code::invalid_argument, "at position 1") : Result<void>{};
                 },
                 .select = [this](store::Records&, const std::string& condition, const std::string& after,
                                  std::size_t size) { return select(condition, after, size); },
                 .invoke = [this](MethodCall call,
                                  MethodDone done) { calls_.emplace_back(std::move(call), std::move(done)); }},
        limits_);
  }
  Result<Selection> select(const std::string& condition, const std::string& after, std::size_t size) {
    if (condition == "breaks later") return fail(Code::too_large, "too many groups");
    Selection selection;
    for (const std::string& id : devices_)
      if (id > after && selection.ids.size() < size) selection.ids.push_back(id);
    if (!selection.ids.empty() && selection.ids.back() != devices_.back()) selection.after = selection.ids.back();
    return selection;
  }
  void add_devices(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      const std::string id = "d" + std::to_string(1000 + i);
      devices_.push_back(id);
      const auto made = test_.store->write([&](store::Records& records) -> Result<void> {
        GODWIT_TRY_VOID(registry_.create(records, {.id = *IdentityId::parse(id)}));
        return {};
      });
      ASSERT_TRUE(made);
    }
  }
  Code create(const std::string& id, const std::string& body) {
    const auto made = jobs_->create(id, *json::parse_object(body), "tester");
    return made ? Code::ok : made.error().code;
  }
  static std::string twin_body(const std::string& more = "") {
    return R"({"type":"scheduleUpdateTwin","queryCondition":"*","updateTwin":{"tags":{"x":1}})" + more + "}";
  }
  static std::string method_body(const std::string& more = "") {
    return R"({"type":"scheduleDeviceMethod","queryCondition":"*","cloudToDeviceMethod":{"methodName":"m","payload":7})" +
           more + "}";
  }
  /// Rounds until there is nothing more to do at once.
  void run() {
    for (int i = 0; i < 1000; ++i) {
      const auto more = jobs_->run_round();
      ASSERT_TRUE(more) << more.error().message;
      if (!*more) return;
    }
    FAIL() << "it never comes to rest";
  }
  std::string state(const std::string& id) {
    const auto view = jobs_->find(id);
    if (!view) return "none";
    const char* names[] = {"scheduled", "enqueued", "running", "completed", "failed", "cancelled"};
    const store::JobCounts& c = view->counts;
    return std::string(names[static_cast<int>(view->job.state)]) + " " + std::to_string(c.pending) + "/" +
           std::to_string(c.running) + "/" + std::to_string(c.succeeded) + "/" + std::to_string(c.failed) + "/" +
           std::to_string(c.cancelled);
  }
  std::uint64_t version_of(const std::string& id) {
    std::uint64_t version = 0;
    EXPECT_TRUE(test_.store->read([&](store::Records& records) -> Result<void> {
      GODWIT_TRY(const auto twin, records.devices().find_twin(*IdentityId::parse(id)));
      if (twin) version = twin->version;
      return {};
    }));
    return version;
  }
  void answer(Result<MethodAnswer> outcome) {
    auto done = std::move(calls_.front().second);
    calls_.pop_front();
    done(std::move(outcome));
  }

  store::TestStore test_;
  QuietObserver observer_;
  Registry registry_{test_.clock,
                     observer_,
                     {.push = [](const IdentityId&, std::string, std::uint64_t) {},
                      .drop = [](const IdentityId&, std::string) {},
                      .changed = [](const IdentityId&) {}}};
  std::vector<std::string> devices_;
  std::deque<std::pair<MethodCall, MethodDone>> calls_;
  JobLimits limits_{.open = 3, .running = 1, .selected_at_a_time = 7, .twins_at_a_time = 5, .calls_at_a_time = 4};
  std::unique_ptr<ScheduledJobs> jobs_;
};

TEST_F(JobRun, a_twin_change_reaches_every_selected_device_once) {
  add_devices(20);
  devices_.push_back("d9999");  // selected, but gone by now
  ASSERT_EQ(create("j", twin_body()), Code::ok);
  EXPECT_EQ(state("j"), "scheduled 0/0/0/0/0");
  run();
  EXPECT_EQ(state("j"), "completed 0/0/20/1/0");
  for (std::size_t i = 0; i < 20; ++i) EXPECT_EQ(version_of(devices_[i]), 2U) << devices_[i];
  EXPECT_EQ(create("j", twin_body()), Code::conflict);
}

TEST_F(JobRun, a_job_waits_for_its_time_and_its_turn) {
  add_devices(3);
  ASSERT_EQ(create("later", twin_body(R"(,"startTime":"2026-01-01T01:00:00Z")")), Code::ok);
  ASSERT_EQ(create("slow", method_body()), Code::ok);
  ASSERT_EQ(create("next", twin_body()), Code::ok);
  EXPECT_EQ(create("fourth", twin_body()), Code::too_many);
  run();
  EXPECT_EQ(state("later"), "scheduled 0/0/0/0/0");
  EXPECT_EQ(state("next"), "completed 0/0/3/0/0") << "the ids decide between jobs of one moment";
  run();
  EXPECT_EQ(state("slow"), "running 0/3/0/0/0");
  test_.clock.advance(std::chrono::minutes(59));
  run();
  test_.clock.advance(std::chrono::minutes(1));
  run();
  EXPECT_EQ(state("slow"), "failed 0/0/0/3/0") << "its hour is over";
  run();
  EXPECT_EQ(state("later"), "completed 0/0/3/0/0");
}

TEST_F(JobRun, methods_are_called_a_few_at_a_time_and_their_answers_noted) {
  add_devices(6);
  ASSERT_EQ(create("j", method_body()), Code::ok);
  run();
  ASSERT_EQ(calls_.size(), 4U);
  EXPECT_EQ(calls_[0].first.method, "m");
  EXPECT_EQ(calls_[0].first.payload, "7");
  EXPECT_EQ(calls_[0].first.id.str(), "d1000");
  EXPECT_EQ(state("j"), "running 2/4/0/0/0");
  answer(MethodAnswer{.status = 200, .payload = R"({"ok":1})"});
  answer(fail(Code::timed_out, "no answer"));
  run();
  EXPECT_EQ(state("j"), "running 0/4/1/1/0");
  while (!calls_.empty()) answer(MethodAnswer{.status = 500, .payload = ""});
  run();
  EXPECT_EQ(state("j"), "completed 0/0/5/1/0") << "a device that answers has done its part, whatever it says";
  ASSERT_TRUE(test_.store->read([&](store::Records& records) -> Result<void> {
    GODWIT_TRY(const auto lines, records.jobs().list_device_lines(10));
    EXPECT_EQ(lines[0].device.outcome, R"({"status":200,"payload":{"ok":1}})");
    EXPECT_EQ(lines[1].device.error, "no answer");
    return {};
  }));
}

TEST_F(JobRun, after_a_kill_twins_go_on_and_a_method_that_was_sent_is_not_sent_again) {
  add_devices(12);
  ASSERT_EQ(create("twins", twin_body()), Code::ok);
  ASSERT_TRUE(jobs_->run_round());
  EXPECT_EQ(state("twins"), "running 2/0/5/0/0");
  make();
  ASSERT_TRUE(jobs_->wake_up());
  run();
  EXPECT_EQ(state("twins"), "completed 0/0/12/0/0");
  for (const std::string& id : devices_) EXPECT_EQ(version_of(id), 2U) << id;

  ASSERT_EQ(create("methods", method_body()), Code::ok);
  run();
  ASSERT_EQ(calls_.size(), 4U);
  auto old_calls = std::move(calls_);
  calls_.clear();
  make();
  ASSERT_TRUE(jobs_->wake_up());
  EXPECT_EQ(state("methods"), "running 8/0/0/4/0");
  old_calls.front().second(MethodAnswer{.status = 200});  // an answer to the process that is gone
  run();
  ASSERT_EQ(calls_.size(), 4U);
  EXPECT_EQ(calls_.front().first.id.str(), "d1004");
}

TEST_F(JobRun, an_answer_that_comes_with_the_stop_of_the_hub_is_settled_at_the_next_start) {
  add_devices(1);
  ASSERT_EQ(create("j", method_body()), Code::ok);
  run();
  answer(fail(Code::cancelled, "the hub was stopped"));
  run();
  EXPECT_EQ(state("j"), "running 0/1/0/0/0");
  make();
  ASSERT_TRUE(jobs_->wake_up());
  run();
  EXPECT_EQ(state("j"), "completed 0/0/0/1/0");
}

TEST_F(JobRun, a_cancelled_job_stops_where_it_is) {
  add_devices(6);
  ASSERT_EQ(create("j", method_body()), Code::ok);
  run();
  ASSERT_TRUE(jobs_->cancel("j", "tester"));
  EXPECT_EQ(state("j"), "cancelled 0/0/0/0/6");
  answer(MethodAnswer{.status = 200});
  run();
  EXPECT_EQ(state("j"), "cancelled 0/0/0/0/6") << "a late answer changes nothing";
  EXPECT_EQ(jobs_->cancel("j", "tester").error().code, Code::conflict);
  EXPECT_EQ(jobs_->cancel("none", "tester").error().code, Code::not_found);
}

TEST_F(JobRun, a_condition_is_checked_when_the_job_is_made_and_may_still_break) {
  add_devices(1);
  EXPECT_EQ(create("j", R"({"type":"scheduleUpdateTwin","queryCondition":"broken","updateTwin":{"tags":{"x":1}}})"),
            Code::invalid_argument);
  EXPECT_EQ(create("j", R"({"type":"scheduleUpdateTwin","queryCondition":"*","updateTwin":{"tags":{"a.b":1}}})"),
            Code::invalid_argument);
  ASSERT_EQ(
      create("j", R"({"type":"scheduleUpdateTwin","queryCondition":"breaks later","updateTwin":{"tags":{"x":1}}})"),
      Code::ok);
  run();
  EXPECT_EQ(state("j"), "failed 0/0/0/0/0");
  EXPECT_EQ(jobs_->find("j")->job.reason, "queryCondition: too many groups");
}

TEST_F(JobRun, a_condition_that_selects_nobody_ends_at_once_and_old_jobs_go) {
  ASSERT_EQ(create("j", twin_body()), Code::ok);
  run();
  EXPECT_EQ(state("j"), "completed 0/0/0/0/0");
  test_.clock.advance(std::chrono::hours(24 * 31));
  run();
  EXPECT_EQ(state("j"), "none");
}

TEST_F(JobRun, the_thread_does_all_this_by_itself) {
  limits_.round = Duration{5};
  make();
  add_devices(3);
  jobs_->start();
  ASSERT_EQ(create("j", twin_body()), Code::ok);
  for (int i = 0; i < 500 && !state("j").starts_with("completed"); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(state("j"), "completed 0/0/3/0/0");
  jobs_->stop();
}

}  // namespace
}  // namespace godwit::hub::jobs
