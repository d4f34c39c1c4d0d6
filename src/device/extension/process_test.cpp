// Goal:   whatever an extension does, the host stays alive and says what happened; nothing it started survives it.
// Method: real worker processes with the libraries of testing/, each of which goes wrong in its own way.
#include "device/extension/process.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "device/extension/testing/test_extensions.hpp"

namespace godwit::extension {
namespace {

using testing::registration_of;
using testing::TemporaryFolder;
using testing::test_library;

class Process : public ::testing::Test {
 protected:
  json::Object install(const std::string& behaviour) const {
    return {{"verb", "install"},
            {"handler_id", "test/step:1"},
            {"handler_properties", json::Object{{"do", behaviour}}},
            {"work_dir", folder_.path().string()},
            {"files", json::Array{}},
            {"workflow_id", "w-1"},
            {"update_id", json::Object{}},
            {"attempt", 1},
            {"step", 0}};
  }
  Result<Outcome> run(const std::string& behaviour, std::stop_token stop = {}) {
    return run_extension(step_, install(behaviour), limits_, stop, callbacks_);
  }

  /// Runs with a cancel after `delay`.
  Result<Outcome> run_cancelled(const std::string& behaviour, Duration delay = std::chrono::milliseconds(150)) {
    std::stop_source source;
    std::jthread canceller([&] {
      std::this_thread::sleep_for(delay);
      source.request_stop();
    });
    return run(behaviour, source.get_token());
  }

  bool child_is_gone() const {
    pid_t pid = 0;
    std::ifstream(folder_ / "child") >> pid;
    EXPECT_GT(pid, 0);
    const auto stat =
        read_file("/proc/" + std::to_string(pid) + "/stat", 4096);  // a zombie waits for a lazy init: it runs no more
    return !stat || stat->find(") Z ") != std::string::npos;
  }

  TemporaryFolder folder_;
  Registration step_ = registration_of(test_library("step"), Type::step_handler, "test/step:1");
  Limits limits_{.time_limit = std::chrono::seconds(30), .cancel_grace = std::chrono::seconds(5)};
  std::vector<std::string> lines_;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> progress_;
  Callbacks callbacks_{
      .on_progress = [this](std::uint64_t done, std::uint64_t total) { progress_.emplace_back(done, total); },
      .on_log = [this](LogLevel, std::string_view line) { lines_.emplace_back(line); }};
};

TEST_F(Process, an_outcome_comes_back_as_the_extension_gave_it) {
  const auto good = run("note");
  ASSERT_TRUE(good) << good.error().message;
  EXPECT_EQ(good->result_code, 600);
  EXPECT_EQ(good->details, "installed");
  EXPECT_EQ(*read_file(folder_ / "ran", 100), "install\n");
  const auto failed = run("fail");
  ASSERT_TRUE(failed) << failed.error().message;
  EXPECT_EQ(failed->result_code, 0);
  EXPECT_EQ(failed->extended_code, 0x32000007U);
  EXPECT_EQ(failed->details, "the valve is stuck");
}

TEST_F(Process, all_members_of_a_step_arrive) {
  json::Object call = install("x");
  call["verb"] = "apply";
  call["workflow_id"] = "flow";
  call["attempt"] = 3;
  call["step"] = 5;
  call["installed_criteria"] = "1.2.3";
  call["files"] = json::Array{json::Object{{"id", "f1"}, {"name", "a.bin"}, {"path", "/w/a.bin"}, {"size", 12}},
                              json::Object{{"id", "f2"}, {"name", "b"}, {"path", ""}, {"size", 0}}};
  const auto outcome = run_extension(step_, call, limits_, {}, callbacks_);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->result_code, 700);
  EXPECT_EQ(outcome->details, "flow 3 5 1.2.3 2");
  EXPECT_EQ(lines_, std::vector<std::string>{"applied"});
}

TEST_F(Process, acts_that_a_handler_lacks_have_their_documented_answer) {
  const std::vector<std::pair<std::string, int>> expected{
      {"is_installed", 901}, {"download", 500}, {"backup", 1001}, {"restore", 1101}};
  for (const auto& [verb, code] : expected) {
    json::Object call = install("x");
    call["verb"] = verb;
    const auto outcome = run_extension(step_, call, limits_, {}, callbacks_);
    ASSERT_TRUE(outcome) << verb << outcome.error().message;
    EXPECT_EQ(outcome->result_code, code) << verb;
  }
  json::Object apply = install("x");
  apply["verb"] = "apply";
  const auto beyond = run_extension(registration_of(test_library("short_table"), Type::step_handler, "test/short:1"),
                                    apply, limits_, {}, callbacks_);
  ASSERT_TRUE(beyond) << beyond.error().message;
  EXPECT_EQ(beyond->result_code, 700);
}

// faults: 49
TEST_F(Process, a_crash_is_an_error_that_names_the_signal) {
  const auto aborted = run("abort");
  ASSERT_FALSE(aborted);
  EXPECT_EQ(aborted.error().code, Code::extension_crashed);
  EXPECT_NE(aborted.error().message.find("SIGABRT"), std::string::npos) << aborted.error().message;
  const auto left = run("exit");
  ASSERT_FALSE(left);
  EXPECT_EQ(left.error().code, Code::extension_crashed);
  EXPECT_NE(left.error().message.find("status 7"), std::string::npos) << left.error().message;
}

TEST_F(Process, an_exception_that_leaves_the_extension_is_a_crash_with_its_text) {
  const auto thrown = run_extension(registration_of(test_library("throwing"), Type::step_handler, "test/throwing:1"),
                                    install("x"), limits_, {}, callbacks_);
  ASSERT_FALSE(thrown);
  EXPECT_EQ(thrown.error().code, Code::extension_crashed);
  EXPECT_NE(thrown.error().message.find("the ball"), std::string::npos) << thrown.error().message;
}

// faults: 49, 64
TEST_F(Process, a_hang_ends_at_the_time_limit_and_takes_its_children_with_it) {
  limits_.time_limit = std::chrono::milliseconds(600);
  limits_.cancel_grace = std::chrono::milliseconds(200);
  const auto started = SystemClock{}.monotonic();
  const auto hung = run("hang_with_child");
  ASSERT_FALSE(hung);
  EXPECT_EQ(hung.error().code, Code::timed_out);
  EXPECT_LT(SystemClock{}.monotonic() - started, std::chrono::seconds(10));
  EXPECT_TRUE(child_is_gone());
}

TEST_F(Process, a_child_that_outlives_a_good_call_is_ended) {
  const auto good = run("leave_child");
  ASSERT_TRUE(good) << good.error().message;
  EXPECT_EQ(good->result_code, 600);
  EXPECT_TRUE(child_is_gone());
}

TEST_F(Process, a_crash_is_seen_at_once_though_a_child_holds_the_socket) {
  const auto started = SystemClock{}.monotonic();
  const auto crashed = run("crash_with_child");
  ASSERT_FALSE(crashed);
  EXPECT_EQ(crashed.error().code, Code::extension_crashed);
  EXPECT_LT(SystemClock{}.monotonic() - started, std::chrono::seconds(4));
  EXPECT_TRUE(child_is_gone());
}

TEST_F(Process, a_cancel_reaches_the_extension_and_its_own_outcome_counts) {
  const auto stopped = run_cancelled("wait");
  ASSERT_TRUE(stopped) << stopped.error().message;
  EXPECT_EQ(stopped->result_code, -1);
  EXPECT_EQ(stopped->details, "stopped as asked");
  const auto too_late = run_cancelled("late");
  ASSERT_TRUE(too_late) << too_late.error().message;
  EXPECT_EQ(too_late->result_code, 600) << "an extension that finished its work says so";
}

TEST_F(Process, a_cancel_that_came_before_the_call_stops_it_too) {
  std::stop_source source;
  source.request_stop();
  const auto stopped = run("wait", source.get_token());
  ASSERT_TRUE(stopped) << stopped.error().message;
  EXPECT_EQ(stopped->result_code, -1);
}

TEST_F(Process, who_ignores_a_cancel_is_killed_after_the_grace_time) {
  limits_.cancel_grace = std::chrono::milliseconds(200);
  const auto killed = run_cancelled("hang");
  ASSERT_FALSE(killed);
  EXPECT_EQ(killed.error().code, Code::cancelled);
  EXPECT_NE(killed.error().message.find("killed"), std::string::npos);
}

TEST_F(Process, nonsense_from_the_worker_is_a_broken_contract) {
  for (const char* behaviour : {"garbage", "huge_length", "bad_answer", "wrong_code"}) {
    const auto broken = run(behaviour);
    ASSERT_FALSE(broken) << behaviour;
    EXPECT_EQ(broken.error().code, Code::extension_contract) << behaviour << ": " << broken.error().message;
  }
}

TEST_F(Process, an_extension_that_fills_nothing_has_failed) {
  const auto nothing = run("nothing");
  ASSERT_TRUE(nothing);
  EXPECT_EQ(nothing->result_code, 0);
}

TEST_F(Process, foreign_text_is_bounded_and_valid_utf8) {
  const auto invalid = run("invalid_text");
  ASSERT_TRUE(invalid) << invalid.error().message;
  EXPECT_EQ(invalid->details, "d?j? vu");
  EXPECT_EQ(lines_, std::vector<std::string>{"caf?"});
  const auto unterminated = run("unterminated");
  ASSERT_TRUE(unterminated);
  EXPECT_EQ(unterminated->details, std::string(1024, 'x'));
  lines_.clear();
  limits_.log_lines = 100;
  ASSERT_TRUE(run("flood"));
  ASSERT_EQ(lines_.size(), 101U);
  EXPECT_EQ(lines_.back(), "19900 more lines were not kept");
}

TEST_F(Process, what_a_library_prints_goes_to_the_log) {
  ASSERT_TRUE(run("print"));
  EXPECT_EQ(lines_, (std::vector<std::string>{"said to stdout", "said to stderr"}));
}

TEST_F(Process, progress_is_thinned_out_and_ends_with_the_last) {
  ASSERT_TRUE(run("progress"));
  ASSERT_GE(progress_.size(), 2U);
  EXPECT_LT(progress_.size(), 100U);
  EXPECT_EQ(progress_.back(), (std::pair<std::uint64_t, std::uint64_t>{1000, 1000}));
}

// faults: 51
TEST_F(Process, nothing_of_the_environment_of_the_host_is_inherited) {
  ::setenv("SECRET_OF_THE_HOST", "x", 1);
  ::setenv("LD_PRELOAD", "", 1);
  const auto outcome = run("environment");
  ::unsetenv("SECRET_OF_THE_HOST");
  ::unsetenv("LD_PRELOAD");
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->details, "w-1/1/0/install");
}

TEST_F(Process, a_step_without_the_grant_has_no_network) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can take the network away";
  EXPECT_EQ(run("network")->details, "network");
  step_.network = false;
  const auto confined = run("network");
  ASSERT_TRUE(confined);
  if (!lines_.empty()) GTEST_SKIP() << lines_.front();
  EXPECT_EQ(confined->details, "no network");
}

TEST_F(Process, a_library_that_changed_or_is_gone_is_not_run) {
  const Path copy = folder_ / "step.so";
  std::filesystem::copy_file(test_library("step"), copy);
  ::chmod(copy.c_str(), 0755);
  step_ = registration_of(copy, Type::step_handler, "test/step:1");
  ASSERT_TRUE(run("note"));
  // One bit of a byte that the loader does not look at (the end of the section headers); the size stays.
  std::fstream file(copy, std::ios::in | std::ios::out | std::ios::binary | std::ios::ate);
  file.seekg(-1, std::ios::end);
  const char last = static_cast<char>(file.get() ^ 1);
  file.seekp(-1, std::ios::end);
  file.put(last);
  file.close();
  const auto changed = run("note");
  ASSERT_FALSE(changed);
  EXPECT_EQ(changed.error().code, Code::digest_mismatch) << changed.error().message;
  std::filesystem::remove(copy);
  std::filesystem::copy_file(test_library("step"), copy);
  ::chmod(copy.c_str(), 0777);
  EXPECT_EQ(run("note").error().code, Code::extension_refused);
  std::filesystem::remove(copy);
  EXPECT_EQ(run("note").error().code, Code::extension_missing);
  std::filesystem::create_symlink(test_library("step"), copy);
  EXPECT_EQ(run("note").error().code, Code::extension_refused);
  EXPECT_EQ(*read_file(folder_ / "ran", 100), "install\n") << "only the first run ran";
}

TEST_F(Process, wrong_contracts_are_told_apart_at_each_call) {
  const auto call = [&](const std::string& library) {
    return run_extension(registration_of(test_library(library), Type::step_handler, "test/x:1"), install("x"), limits_,
                         {}, callbacks_);
  };
  for (const char* library : {"major_2", "without_contract", "without_entry", "null_table", "planner"}) {
    const auto refused = call(library);
    ASSERT_FALSE(refused) << library;
    EXPECT_EQ(refused.error().code, Code::extension_contract) << library << ": " << refused.error().message;
  }
  json::Object dance = install("x");
  dance["verb"] = "dance";
  EXPECT_EQ(run_extension(step_, dance, limits_, {}, callbacks_).error().code, Code::extension_contract);
}

TEST_F(Process, the_start_is_told_before_the_extension_runs_and_may_forbid_it) {
  pid_t session = 0;
  callbacks_.on_started = [&](pid_t pid) -> Result<void> {
    session = pid;
    EXPECT_FALSE(std::filesystem::exists(folder_ / "ran"));
    return {};
  };
  ASSERT_TRUE(run("note"));
  EXPECT_GT(session, 1);
  callbacks_.on_started = [](pid_t) -> Result<void> { return fail(Code::disk_full, "no room for the journal"); };
  EXPECT_EQ(run("note").error().code, Code::disk_full);
  EXPECT_EQ(*read_file(folder_ / "ran", 100), "install\n");
}

TEST_F(Process, planners_and_enumerators_answer_with_json_and_a_planner_has_no_rights) {
  const auto planned = run_extension(registration_of(test_library("planner"), Type::manifest_handler, "test/plan:1"),
                                     {{"verb", "plan"}, {"manifest", R"({"steps":[]})"}}, limits_, {}, callbacks_);
  ASSERT_TRUE(planned) << planned.error().message;
  EXPECT_TRUE(planned->answer.contains("steps"));
  EXPECT_EQ(planned->details, ::geteuid() == 0 ? "uid 65534" : "uid " + std::to_string(::geteuid()));
  const Registration enumerator =
      registration_of(test_library("enumerator"), Type::component_enumerator, "test/motors:1");
  const auto listed = run_extension(enumerator, {{"verb", "list"}}, limits_, {}, callbacks_);
  ASSERT_TRUE(listed) << listed.error().message;
  EXPECT_EQ(listed->answer.at("components").as_array().size(), 2U);
  const auto selected = run_extension(enumerator, {{"verb", "select"}, {"selector", json::Object{{"group", "motors"}}}},
                                      limits_, {}, callbacks_);
  ASSERT_TRUE(selected);
  EXPECT_EQ(selected->answer.at("group").as_string(), "motors");
}

TEST_F(Process, calls_may_run_side_by_side) {
  std::atomic<int> good = 0;
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] { good += run_extension(step_, install("x"), limits_, {}, {}).has_value() ? 1 : 0; });
  threads.clear();
  EXPECT_EQ(good, 4);
}

}  // namespace
}  // namespace godwit::extension
