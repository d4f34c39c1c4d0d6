// The whole extension, as the installer calls it: the library in a worker process, real scripts.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <thread>

#include "core/model/outcome.hpp"
#include "device/extension/process.hpp"
#include "device/extension/testing/test_extensions.hpp"

namespace godwit::step_script {
namespace {

using extension::Callbacks;
using extension::Limits;
using extension::Outcome;
using extension::Type;

/// Reads --result-file and --work-folder; $action is the verb in either spelling.
constexpr std::string_view kPrologue = R"(#!/bin/sh
while [ $# -gt 0 ]; do case "$1" in
  --action-*) action="${1#--action-}";; --action) action="$2"; shift;;
  --work-folder) work="$2"; shift;; --result-file) result="$2"; shift;; --installed-criteria) criteria="$2"; shift;;
  *) others="$others[$1]";; esac; shift; done
)";

class StepScript : public ::testing::Test {
 protected:
  void script(const std::string& body, std::string_view prologue = kPrologue) {
    ASSERT_TRUE(write_file_durably(folder_ / "run.sh", std::string(prologue) + body, 0600));
  }

  json::Object call(const std::string& verb) const {
    return {{"verb", verb},
            {"handler_id", "microsoft/script:1"},
            {"handler_properties", properties_},
            {"installed_criteria", "v7"},
            {"work_dir", folder_.path().string()},
            {"files", json::Array{json::Object{{"id", "f1"}, {"name", "run.sh"}, {"path", script_path_}, {"size", 1}}}},
            {"workflow_id", "w-1"},
            {"update_id", json::Object{}},
            {"attempt", 2},
            {"step", 0}};
  }
  Result<Outcome> run(const std::string& verb, std::stop_token stop = {}) {
    return extension::run_extension(registration_, call(verb), limits_, stop,
                                    {.on_log = [this](LogLevel, std::string_view line) { lines_.emplace_back(line); }});
  }

  extension::testing::TemporaryFolder folder_;
  extension::Registration registration_ = extension::testing::registration_of(
      extension::testing::library_folder() / "godwit-step-script.so", Type::step_handler, "microsoft/script:1");
  json::Object properties_{{"scriptFileName", "run.sh"}, {"apiVersion", "1.1"}, {"arguments", "--speed 9"}};
  std::string script_path_ = (folder_ / "run.sh").string();
  Limits limits_{.time_limit = std::chrono::seconds(60)};
  std::vector<std::string> lines_;
};

TEST_F(StepScript, each_act_runs_the_script_with_its_verb) {
  script(R"sh(echo "$action $criteria $others $GODWIT_ATTEMPT $(pwd)" >> "$work/calls"
case $action in is-installed) code=901;; download) code=500;; install) code=600;; apply) code=700;; esac
echo "{\"resultCode\":$code,\"extendedResultCode\":0,\"resultDetails\":\"did $action\"}" > "$result")sh");
  const std::vector<std::pair<std::string, int>> acts{
      {"is_installed", 901}, {"download", 500}, {"install", 600}, {"apply", 700}};
  for (const auto& [verb, code] : acts) {
    const auto outcome = run(verb);
    ASSERT_TRUE(outcome) << outcome.error().message;
    EXPECT_EQ(outcome->result_code, code) << outcome->details;
    EXPECT_EQ(outcome->extended_code, 0U);
  }
  properties_["apiVersion"] = "1.0";
  EXPECT_EQ(run("install")->details, "did install");
  const std::string where = folder_.path().string();
  EXPECT_EQ(*read_file(folder_ / "calls", 10000),
            "is-installed v7 [--speed][9] 2 " + where + "\ndownload v7 [--speed][9] 2 " + where +
                "\ninstall v7 [--speed][9] 2 " + where + "\napply v7 [--speed][9] 2 " + where +
                "\ninstall v7 [--speed][9] 2 " + where + "\n");
  EXPECT_EQ(run("backup")->result_code, 1001);
  EXPECT_EQ(run("restore")->result_code, 1101);
}

TEST_F(StepScript, a_failing_script_is_told_with_status_and_last_lines) {
  script("echo one; echo two >&2; printf 'three without newline'; exit 42");
  const auto outcome = run("install");
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->result_code, 0);
  EXPECT_EQ(outcome->extended_code, 0x3050102AU);
  EXPECT_EQ(outcome->details,
            "the script ended with status 42 during 'install'; it printed: one | two | three without newline");
  EXPECT_EQ(lines_, (std::vector<std::string>{"script: one", "script: two", "script: three without newline"}));
}

TEST_F(StepScript, whatever_lies_where_the_result_belongs_is_a_failure_with_a_sentence) {
  struct Case {
    std::string body;
    std::string says;
  };
  for (const Case& c :
       {Case{"true", "did not write"}, Case{"ln -s /etc/hostname \"$result\"", "plain file"},
        Case{"mkdir \"$result\"", "not a regular file"}, Case{"mkfifo \"$result\"", "not a regular file"},
        Case{"head -c 70000 /dev/zero > \"$result\"", "more than 65536"},
        Case{"echo '{' > \"$result\"", "no valid result file"}}) {
    std::filesystem::remove_all(folder_ / "action_install_aduc_result.json");
    script(c.body);
    const auto outcome = run("install");
    ASSERT_TRUE(outcome) << outcome.error().message;
    EXPECT_EQ(outcome->result_code, 0) << c.body;
    EXPECT_EQ(outcome->extended_code, erc::script_bad_result) << c.body;
    EXPECT_NE(outcome->details.find(c.says), std::string::npos) << c.body << ": " << outcome->details;
  }
  std::filesystem::remove_all(folder_ / "action_install_aduc_result.json");
  script("echo '{\"resultCode\":600}' > \"$result\"");
  ASSERT_EQ(run("install")->result_code, 600);
  script("true");
  EXPECT_EQ(run("install")->extended_code, erc::script_bad_result) << "the result of an earlier run does not count";
}

TEST_F(StepScript, a_cancel_ends_the_script_and_all_it_started) {
  script("sleep 300 & echo $! > \"$work/child\"; echo started; wait");
  std::stop_source source;
  std::jthread canceller([&] {
    for (int i = 0; i < 500 && !std::filesystem::exists(folder_ / "child"); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    source.request_stop();
  });
  const auto outcome = run("install", source.get_token());
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->result_code, -1);
  EXPECT_NE(outcome->details.find("cancelled"), std::string::npos);
  pid_t child = 0;
  std::ifstream(folder_ / "child") >> child;
  ASSERT_GT(child, 1);
  const auto stat = read_file("/proc/" + std::to_string(child) + "/stat", 4096);
  EXPECT_TRUE(!stat || stat->find(") Z ") != std::string::npos);
}

TEST_F(StepScript, a_script_that_ignores_the_request_is_killed) {
  script("trap '' TERM; touch \"$work/ready\"; while true; do sleep 0.05; done");
  limits_.cancel_grace = std::chrono::seconds(20);
  std::stop_source source;
  std::jthread canceller([&] {
    for (int i = 0; i < 500 && !std::filesystem::exists(folder_ / "ready"); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    source.request_stop();
  });
  const auto outcome = run("install", source.get_token());
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->result_code, -1);
}

TEST_F(StepScript, a_script_that_cannot_start_says_why) {
  script("", "#!/no/such/interpreter\n");
  const auto no_interpreter = run("install");
  ASSERT_TRUE(no_interpreter) << no_interpreter.error().message;
  EXPECT_EQ(no_interpreter->extended_code, erc::handler_refused);
  EXPECT_NE(no_interpreter->details.find("interpreter"), std::string::npos) << no_interpreter->details;
  properties_["scriptFileName"] = "other.sh";
  EXPECT_EQ(run("install")->extended_code, erc::script_no_file_name);
  properties_["scriptFileName"] = "run.sh";
  script_path_ = "";
  EXPECT_EQ(run("is_installed")->result_code, 901);
  EXPECT_EQ(run("install")->extended_code, erc::handler_refused);
}

TEST_F(StepScript, a_script_without_interpreter_line_is_given_to_sh) {
  script("echo '{\"resultCode\":600}' > \"$5\"\nexit 0\n", "");
  properties_.erase("arguments");  // --action install --work-folder D --result-file F
  EXPECT_EQ(run("install")->extended_code, erc::script_bad_result) << "$5 is --result-file";
  script("echo '{\"resultCode\":600}' > \"$6\"\nexit 0\n", "");
  EXPECT_EQ(run("install")->result_code, 600);
}

TEST_F(StepScript, a_flood_of_output_is_bounded_and_cannot_stop_the_script) {
  script(
      "i=0; while [ $i -lt 30000 ]; do echo \"line $i\"; i=$((i+1)); done; printf 'a\\033[2Jb\\377\\n'; echo "
      "'{\"resultCode\":0,\"extendedResultCode\":5}' > \"$result\"");
  const auto outcome = run("install");
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->extended_code, 5U);
  EXPECT_NE(outcome->details.find("line 29999 | a?[2Jb?"), std::string::npos) << outcome->details;
  EXPECT_EQ(lines_.size(), 2001U);
}

}  // namespace
}  // namespace godwit::step_script
