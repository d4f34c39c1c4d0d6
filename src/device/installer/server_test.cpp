// Goal:   through the real socket, with real extensions and scripts: only what is signed for this device runs, nothing
// that
//         ended runs twice, whatever is killed in the middle.
// Method: the installer in a process of its own; scripts count in a folder outside how often each act really ran.
#include "device/installer/server.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "core/base/bytes.hpp"
#include "device/extension/registry.hpp"
#include "device/installer/testing/bench.hpp"

namespace godwit::installer {
namespace {

using testing::Bench;
using testing::manifest_text;
using testing::soon;

constexpr const char* kCountingScript = R"sh(
case $action in
  is-installed) if grep -qs applied "$outside/log"; then say 900; else say 901; fi;;
  download) echo download >> "$outside/log"; say 500;;
  install) wc -c < "$work/data.bin" > "$outside/size"; echo install >> "$outside/log"; say 600 "laid out";;
  apply) echo applied >> "$outside/log"; say 700;;
esac)sh";

class Server : public ::testing::Test {
 protected:
  void SetUp() override {
    bench_.write_config(
        fmt::format("[restart]\ncommand = [\"/bin/sh\", \"-c\", \"[ -e {} ] || {{ echo no bus; exit 7; }}\"]\n",
                    bench_.path("works").string()));
    bench_.start();
  }
  ActOutcome outcome(const Reply& reply) {
    if (const auto* refusal = std::get_if<Refusal>(&reply)) ADD_FAILURE() << refusal->message;
    const auto* outcome = std::get_if<ActOutcome>(&reply);
    return outcome == nullptr ? ActOutcome{.result_code = -99} : *outcome;
  }
  Refusal refusal(const Reply& reply) {
    const auto* refusal = std::get_if<Refusal>(&reply);
    EXPECT_NE(refusal, nullptr);
    return refusal == nullptr ? Refusal{} : *refusal;
  }
  Bench bench_;
};

TEST_F(Server, an_update_goes_through_all_its_acts) {
  bench_.script_update(kCountingScript);
  EXPECT_EQ(bench_.act(Verb::is_installed).result_code, 901);
  EXPECT_EQ(bench_.act(Verb::download).result_code, 500);
  EXPECT_EQ(bench_.act(Verb::backup).result_code, 1001);
  const auto installed = bench_.act(Verb::install);
  EXPECT_EQ(installed.result_code, 600) << installed.details;
  EXPECT_EQ(installed.details, "laid out");
  EXPECT_FALSE(installed.recorded);
  EXPECT_EQ(bench_.act(Verb::apply).result_code, 700);
  EXPECT_EQ(bench_.act(Verb::is_installed).result_code, 900);
  EXPECT_EQ(bench_.outside("log"), "download\ninstall\napplied\n");
  EXPECT_EQ(bench_.outside("size"), "100000\n");
  EXPECT_EQ(outcome(bench_.ask(CloseRequest{"w-1"})).result_code, 1);
  EXPECT_TRUE(std::filesystem::is_empty(bench_.config().work_folder()));
  EXPECT_EQ(refusal(bench_.ask(bench_.act_request(Verb::apply))).code, Code::not_found);
  EXPECT_EQ(bench_.terminate(), 0);
}

TEST_F(Server, an_act_that_ended_is_answered_from_the_journal_even_after_a_close) {
  bench_.script_update(kCountingScript);
  EXPECT_EQ(bench_.act(Verb::install).result_code, 600);
  const auto again = bench_.act(Verb::install);
  EXPECT_EQ(again.result_code, 600);
  EXPECT_EQ(again.details, "laid out");
  EXPECT_TRUE(again.recorded);
  bench_.kill_9();
  bench_.start();
  EXPECT_TRUE(bench_.act(Verb::install).recorded);
  EXPECT_EQ(outcome(bench_.ask(CloseRequest{"w-1"})).result_code, 1);
  bench_.script_update(kCountingScript);
  EXPECT_TRUE(bench_.act(Verb::install).recorded);
  EXPECT_EQ(bench_.outside("log"), "install\n");
}

TEST_F(Server, what_an_act_wrote_is_on_the_disk_before_the_act_counts_as_ended) {
  bench_.script_update(kCountingScript);
  EXPECT_EQ(bench_.act(Verb::is_installed).result_code, 901);
  EXPECT_FALSE(std::filesystem::exists(bench_.config().data / "synced")) << "a question changes nothing";
  EXPECT_EQ(bench_.act(Verb::install).result_code, 600);
  const std::string said = *read_file(bench_.config().data / "synced", 100000);
  EXPECT_NE(said.find("\"started\""), std::string::npos) << said;
  EXPECT_EQ(said.find("\"finished\""), std::string::npos) << said;
  EXPECT_TRUE(said.ends_with("synced\n")) << said;
}

TEST_F(Server, a_failure_is_recorded_too_and_a_retry_runs_again) {
  bench_.script_update("echo $action >> \"$outside/log\"; echo broken valve; exit 3");
  const auto failed = bench_.act(Verb::install);
  EXPECT_EQ(failed.result_code, 0);
  EXPECT_EQ(failed.extended_codes, std::vector<ExtendedCode>{0x30501003});
  EXPECT_NE(failed.details.find("broken valve"), std::string::npos) << failed.details;
  EXPECT_TRUE(bench_.act(Verb::install).recorded);
  EXPECT_EQ(bench_.outside("log"), "install\n");
  EXPECT_EQ(refusal(bench_.ask(bench_.act_request(Verb::install, 0, 2))).code, Code::conflict)
      << "attempt 2 must be opened";
  const std::string script = *read_file(bench_.agent_folder() / "f-run.sh", 10000);
  bench_.open(
      manifest_text({{.properties = {{"scriptFileName", "run.sh"}, {"apiVersion", "1.1"}, {"installedCriteria", "1.0"}},
                      .files = {"run.sh", "data.bin"}}},
                    {{"run.sh", script}, {"data.bin", std::string(100'000, 'd')}}),
      2);
  EXPECT_FALSE(bench_.act(Verb::install, 0, 2).recorded);
  EXPECT_EQ(bench_.outside("log"), "install\ninstall\n");
}

TEST_F(Server, the_device_is_restarted_only_if_a_step_asked_for_it) {
  const RestartDeviceRequest restart{"w-1", 1};
  EXPECT_EQ(refusal(bench_.ask(restart)).code, Code::not_found) << "nothing is open";
  bench_.script_update("case $action in is-installed) say 901;; apply) say 706;; *) say 600;; esac");
  EXPECT_EQ(bench_.act(Verb::install).result_code, 600);
  const auto refused = outcome(bench_.ask(restart));
  EXPECT_EQ(refused.result_code, 0);
  EXPECT_EQ(refused.details, "no step of this attempt asked for a restart of the device");
  EXPECT_EQ(bench_.act(Verb::apply).result_code, 706);
  EXPECT_EQ(outcome(bench_.ask(RestartDeviceRequest{"w-1", 2})).result_code, 0) << "another attempt did not ask";
  const auto failed = outcome(bench_.ask(restart));
  EXPECT_EQ(failed.extended_codes, std::vector<ExtendedCode>{erc::reboot_failed});
  EXPECT_EQ(failed.details, "/bin/sh ended with exit code 7: no bus");
  ASSERT_TRUE(write_file_durably(bench_.path("works"), ""));
  EXPECT_EQ(outcome(bench_.ask(restart)).result_code, 1);
}

TEST_F(Server, is_installed_tells_what_the_attempt_did_itself) {
  bench_.script_update("case $action in is-installed) say 900;; install) say 600;; apply) say 705;; *) say 500;; esac");
  EXPECT_EQ(bench_.act(Verb::is_installed).own_work, 0);
  EXPECT_EQ(bench_.act(Verb::install).result_code, 600);
  EXPECT_EQ(bench_.act(Verb::is_installed).own_work, 600);
  EXPECT_EQ(bench_.act(Verb::apply).result_code, 705);
  EXPECT_EQ(bench_.act(Verb::is_installed).own_work, 705) << "the restart is still due in this boot";
}

// faults: 64
TEST_F(Server, an_act_that_was_cut_off_by_kill_9_runs_again_and_its_leftovers_are_ended) {
  bench_.script_update(
      "if [ $action = install ]; then echo $$ >> \"$outside/runs\"; if [ $(wc -l < \"$outside/runs\") = 1 ]; then "
      "sleep 300 & echo $! > \"$outside/child\"; wait; fi; fi; say 600");
  const UniqueFd fd = bench_.connect();
  ASSERT_TRUE(extension::write_frame(fd.get(), to_json(Request{bench_.act_request(Verb::install)})));
  ASSERT_TRUE(soon([&] { return !bench_.outside("child").empty(); }));
  bench_.kill_9();
  extension::FrameSplitter splitter;
  EXPECT_EQ(refusal(Bench::read_final(fd.get(), splitter)).code, Code::unavailable)
      << "the client sees that the installer is gone";
  bench_.start();
  const auto again = bench_.act(Verb::install);
  EXPECT_EQ(again.result_code, 600) << again.details;
  EXPECT_FALSE(again.recorded);
  const auto stat = read_file("/proc/" + std::to_string(std::stol(bench_.outside("child"))) + "/stat", 4096);
  EXPECT_TRUE(!stat || stat->find(") Z ") != std::string::npos) << "the first run's child lives on";
  EXPECT_TRUE(bench_.act(Verb::install).recorded);
  const std::string runs = bench_.outside("runs");
  EXPECT_EQ(std::count(runs.begin(), runs.end(), '\n'), 2);
}

TEST_F(Server, a_client_that_goes_away_does_not_stop_its_act) {
  bench_.script_update(
      "if [ $action = install ]; then touch \"$outside/begun\"; sleep 0.5; echo $action >> \"$outside/log\"; fi; say "
      "600");
  {
    const UniqueFd fd = bench_.connect();
    ASSERT_TRUE(extension::write_frame(fd.get(), to_json(Request{bench_.act_request(Verb::install)})));
    ASSERT_TRUE(soon([&] { return std::filesystem::exists(bench_.path("outside/begun")); }));
  }
  const auto waited = bench_.act(Verb::install);
  EXPECT_EQ(waited.result_code, 600);
  EXPECT_TRUE(waited.recorded) << "the second request waited for the first, and got its outcome";
  EXPECT_EQ(bench_.outside("log"), "install\n");
}

TEST_F(Server, a_cancel_on_a_second_connection_ends_the_act) {
  bench_.script_update("if [ $action = install ]; then touch \"$outside/begun\"; sleep 300; fi; say 600");
  const UniqueFd fd = bench_.connect();
  ASSERT_TRUE(extension::write_frame(fd.get(), to_json(Request{bench_.act_request(Verb::install)})));
  ASSERT_TRUE(soon([&] { return std::filesystem::exists(bench_.path("outside/begun")); }));
  const auto status = outcome(bench_.ask(StatusRequest{})).status;
  EXPECT_TRUE(status.at("busy").as_bool());
  EXPECT_EQ(status.at("verb").as_string(), "install");
  EXPECT_EQ(outcome(bench_.ask(CancelRequest{"other"})).result_code, 801);
  EXPECT_EQ(outcome(bench_.ask(CancelRequest{"w-1"})).result_code, 800);
  extension::FrameSplitter splitter;
  EXPECT_EQ(outcome(Bench::read_final(fd.get(), splitter)).result_code, -1);
  EXPECT_TRUE(bench_.act(Verb::install).recorded);
  EXPECT_EQ(outcome(bench_.ask(CancelRequest{"w-1"})).result_code, 801);
}

TEST_F(Server, a_cancel_reaches_an_act_that_still_waits) {
  bench_.script_update(
      "if [ $action = install ]; then touch \"$outside/begun\"; sleep 300; fi; if [ $action = apply ]; then touch "
      "\"$outside/applied\"; fi; say 600");
  const UniqueFd first = bench_.connect();
  const UniqueFd second = bench_.connect();
  ASSERT_TRUE(extension::write_frame(first.get(), to_json(Request{bench_.act_request(Verb::install)})));
  ASSERT_TRUE(soon([&] { return std::filesystem::exists(bench_.path("outside/begun")); }));
  ASSERT_TRUE(extension::write_frame(second.get(), to_json(Request{bench_.act_request(Verb::apply)})));
  ASSERT_TRUE(soon([&] { return outcome(bench_.ask(StatusRequest{})).status.at("waiting").as_int64() == 1; }));
  EXPECT_EQ(outcome(bench_.ask(CancelRequest{"w-1"})).result_code, 800);
  extension::FrameSplitter a;
  extension::FrameSplitter b;
  EXPECT_EQ(outcome(Bench::read_final(first.get(), a)).result_code, -1);
  EXPECT_EQ(outcome(Bench::read_final(second.get(), b)).result_code, -1);
  EXPECT_FALSE(std::filesystem::exists(bench_.path("outside/applied")));
}

TEST_F(Server, after_a_note_of_cancel_no_act_of_the_attempt_begins) {
  bench_.script_update(kCountingScript);
  EXPECT_EQ(bench_.act(Verb::cancel_note).result_code, 800);
  EXPECT_EQ(bench_.act(Verb::install).result_code, -1);
  EXPECT_EQ(bench_.act(Verb::is_installed).result_code, 901);
  EXPECT_EQ(bench_.outside("log"), "");
}

// faults: 7, 10
TEST_F(Server, what_may_not_be_installed_is_refused_at_open_with_code_and_sentence) {
  const std::map<std::string, std::string> files{{"a", "content"}};
  const auto code_of = [&](const OpenRequest& request) {
    const auto refused = outcome(bench_.ask(request));
    EXPECT_EQ(refused.result_code, 0);
    EXPECT_NE(refused.details, "");
    EXPECT_FALSE(refused.plan);
    return refused.extended_codes.empty() ? 0 : refused.extended_codes.front();
  };
  EXPECT_EQ(code_of(Bench::open_request(manifest_text({{.files = {"a"}}}, files, "1.0.0", "Kettle"))),
            erc::incompatible);
  auto request = Bench::open_request(manifest_text({{.files = {"a"}}}, files));
  request.signature = testing::sign(manifest_text({{.files = {"a"}}}, files, "2.0"));
  EXPECT_EQ(code_of(request), erc::manifest_hash);
  EXPECT_EQ(code_of(Bench::open_request(manifest_text({{.handler = "contoso/unknown:7", .files = {"a"}}}, files))),
            erc::handler_missing);
  EXPECT_EQ(code_of(Bench::open_request("{\"manifestVersion\":\"5\"}")), erc::bad_manifest);
  EXPECT_TRUE(std::filesystem::is_empty(bench_.config().work_folder()));
  EXPECT_EQ(refusal(bench_.ask(bench_.act_request(Verb::install))).code, Code::not_found);
}

TEST_F(Server, a_device_without_planner_says_so) {
  auto registry = extension::Registry::load(bench_.config().extensions_file());
  ASSERT_TRUE(registry->remove(extension::Type::manifest_handler, "microsoft/update-manifest"));
  const auto refused = outcome(bench_.ask(Bench::open_request(manifest_text({{.files = {"a"}}}, {{"a", "content"}}))));
  EXPECT_EQ(refused.extended_codes, std::vector<ExtendedCode>{erc::handler_missing});
  EXPECT_NE(refused.details.find("microsoft/update-manifest:5"), std::string::npos) << refused.details;
}

// faults: 17
TEST_F(Server, a_payload_that_is_not_what_was_signed_never_reaches_the_handler) {
  bench_.script_update(kCountingScript);
  std::string wrong(100'000, 'd');
  wrong[5] = 'x';
  bench_.put_payload("data.bin", wrong);
  const auto hash = bench_.act(Verb::install);
  EXPECT_EQ(hash.extended_codes, std::vector<ExtendedCode>{erc::download_hash}) << hash.details;
  bench_.put_payload("data.bin", "short");
  EXPECT_EQ(bench_.act(Verb::install).extended_codes, std::vector<ExtendedCode>{erc::download_size});
  std::filesystem::remove(bench_.agent_folder() / "f-data.bin");
  EXPECT_EQ(bench_.act(Verb::install).extended_codes, std::vector<ExtendedCode>{erc::download_failed});
  EXPECT_EQ(bench_.outside("log"), "");
  bench_.put_payload("data.bin", std::string(100'000, 'd'));
  EXPECT_EQ(bench_.act(Verb::install).result_code, 600) << "what did not begin was not written down";
  bench_.put_payload("data.bin", wrong);
  EXPECT_EQ(bench_.act(Verb::apply).result_code, 700) << "the checked copy counts, not what the agent has now";
}

TEST_F(Server, a_streamed_file_comes_in_the_pieces_that_its_step_asks_for) {
  const auto open = [&](const std::string& behaviour, const std::string& workflow) {
    bench_.open(
        manifest_text(
            {{.handler = "test/step:1", .properties = {{"do", behaviour}, {"streamedFile", "a"}}, .files = {"a"}}},
            {{"a", "content"}}),
        1, workflow);
  };
  open("stream", "w-1");
  const auto asked = bench_.act(Verb::install);
  ASSERT_TRUE(asked.wants) << asked.details;
  EXPECT_EQ(asked.result_code, 609);
  EXPECT_EQ(*asked.wants, (Pieces{.file_id = "f-a", .ranges = {{3, 3}, {6, 1}}}));
  EXPECT_EQ(bench_.act(Verb::install).wants, asked.wants) << "without them it asks again";
  ASSERT_TRUE(write_file_durably(bench_.agent_folder() / "pieces", "tent"));
  ActRequest request = bench_.act_request(Verb::install);
  request.pieces = asked.wants;
  request.pieces_file = "pieces";
  const auto refuse = [&](const ActRequest& wrong) {
    const auto ended = outcome(bench_.ask(wrong));
    EXPECT_EQ(ended.result_code, 0) << ended.details;
    return ended.details;
  };
  ActRequest wrong = request;
  wrong.pieces_file = "elsewhere";
  EXPECT_NE(refuse(wrong).find("is not in the agent's folder"), std::string::npos);
  wrong = request;
  wrong.pieces->ranges = {{3, 3}};
  EXPECT_NE(refuse(wrong).find("expected are 3"), std::string::npos);
  wrong = request;
  wrong.pieces->file_id = "f-b";
  EXPECT_NE(refuse(wrong).find("does not take"), std::string::npos);
  std::filesystem::create_symlink("/etc/passwd", bench_.agent_folder() / "link");
  wrong = request;
  wrong.pieces_file = "link";
  EXPECT_NE(refuse(wrong).find("symbolic link"), std::string::npos);
  const auto ended = outcome(bench_.ask(request));
  EXPECT_EQ(ended.result_code, 600) << ended.details;
  EXPECT_EQ(ended.details, "tent of 2 pieces, path '', hash " + hex_encode(sha256("content")));
  EXPECT_FALSE(std::filesystem::exists(bench_.step_folder() / ".pieces-f-a"));
  EXPECT_TRUE(bench_.act(Verb::install).recorded) << "its end is written down, its questions are not";
  open("stream_beyond", "w-2");
  EXPECT_EQ(bench_.act(Verb::install, 0, 1, "w-2").extended_codes, std::vector<ExtendedCode>{erc::handler_contract});
}

TEST_F(Server, is_installed_runs_before_the_payloads_are_there) {
  bench_.script_update("if [ -e \"$work/data.bin\" ]; then say 900; else say 901; fi");
  std::filesystem::remove(bench_.agent_folder() / "f-data.bin");
  EXPECT_EQ(bench_.act(Verb::is_installed).result_code, 901);
  bench_.put_payload("data.bin", std::string(100'000, 'd'));
  EXPECT_EQ(bench_.act(Verb::is_installed).result_code, 900);
}

// faults: 49
TEST_F(Server, a_handler_that_crashes_or_changed_is_a_failed_step_and_the_installer_lives) {
  const auto open_step = [&](const std::string& behaviour, const std::string& workflow) {
    bench_.put_payload("a", "content");
    bench_.open(manifest_text({{.handler = "test/step:1", .properties = {{"do", behaviour}}, .files = {"a"}}},
                              {{"a", "content"}}),
                1, workflow);
    return bench_.act(Verb::install, 0, 1, workflow);
  };
  const auto crashed = open_step("abort", "w-2");
  EXPECT_EQ(crashed.extended_codes, std::vector<ExtendedCode>{erc::handler_crashed});
  EXPECT_NE(crashed.details.find("SIGABRT"), std::string::npos) << crashed.details;
  EXPECT_EQ(open_step("garbage", "w-3").extended_codes, std::vector<ExtendedCode>{erc::handler_contract});
  EXPECT_EQ(open_step("fail", "w-4").extended_codes, std::vector<ExtendedCode>{0x32000007});
  EXPECT_EQ(open_step("note", "w-5").result_code, 600);
  std::filesystem::copy_file(extension::testing::test_library("step"), bench_.path("step.so"));
  ::chmod(bench_.path("step.so").c_str(), 0755);
  auto registry = extension::Registry::load(bench_.config().extensions_file());
  ASSERT_TRUE(registry->add(extension::Type::step_handler, "test/step:1", bench_.path("step.so"), false));
  std::ofstream(bench_.path("step.so"), std::ios::app) << "x";
  const auto changed = open_step("note", "w-6");
  EXPECT_EQ(changed.extended_codes, std::vector<ExtendedCode>{erc::handler_refused});
  EXPECT_NE(changed.details.find("changed after it was registered"), std::string::npos) << changed.details;
}

TEST_F(Server, an_act_that_takes_too_long_is_ended) {
  bench_.terminate();
  bench_.write_config("[limits]\ninstall = \"1s\"\ncancel_grace = \"500ms\"\n");
  bench_.start();
  bench_.put_payload("a", "content");
  bench_.open(
      manifest_text({{.handler = "test/step:1", .properties = {{"do", "hang"}}, .files = {"a"}}}, {{"a", "content"}}));
  const auto late = bench_.act(Verb::install);
  EXPECT_EQ(late.extended_codes, std::vector<ExtendedCode>{erc::handler_timed_out}) << late.details;
}

TEST_F(Server, sigterm_ends_the_running_act_which_runs_again_after_the_start) {
  bench_.script_update(
      "if [ $action = install ]; then echo run >> \"$outside/log\"; [ -e \"$outside/go\" ] || sleep 300; fi; say 600");
  const UniqueFd fd = bench_.connect();
  ASSERT_TRUE(extension::write_frame(fd.get(), to_json(Request{bench_.act_request(Verb::install)})));
  ASSERT_TRUE(soon([&] { return bench_.outside("log") == "run\n"; }));
  EXPECT_EQ(bench_.terminate(), 0);
  ASSERT_TRUE(write_file_durably(bench_.path("outside/go"), ""));
  bench_.start();
  const auto again = bench_.act(Verb::install);
  EXPECT_EQ(again.result_code, 600);
  EXPECT_FALSE(again.recorded);
  EXPECT_EQ(bench_.outside("log"), "run\nrun\n");
}

TEST_F(Server, the_newest_root_key_package_is_kept_and_an_older_one_refused) {
  const std::string manifest = manifest_text({{.files = {"a"}}}, {{"a", "content"}});
  auto request = Bench::open_request(manifest);
  request.root_key_package = testing::package_text(7);
  EXPECT_EQ(outcome(bench_.ask(request)).result_code, 1);
  bench_.kill_9();
  bench_.start();
  request.root_key_package = testing::package_text(6);
  EXPECT_EQ(outcome(bench_.ask(request)).extended_codes, std::vector<ExtendedCode>{erc::root_package_rollback});
  request.root_key_package = "";
  EXPECT_EQ(outcome(bench_.ask(request)).result_code, 1);
}

TEST_F(Server, a_workflow_id_that_was_used_for_another_manifest_is_refused) {
  bench_.open(manifest_text({{.files = {"a"}}}, {{"a", "content"}}));
  const auto other = outcome(bench_.ask(Bench::open_request(manifest_text({{.files = {"a"}}}, {{"a", "other"}}))));
  EXPECT_EQ(other.extended_codes, std::vector<ExtendedCode>{erc::unexpected_state});
  EXPECT_NE(other.details.find("another manifest"), std::string::npos);
}

TEST_F(Server, nonsense_on_the_socket_is_answered_and_hurts_nobody) {
  for (const std::string& bytes :
       {std::string("\x7f\xff\xff\xff", 4), std::string("\0\0\0\3abc", 7), std::string("GET / HTTP/1.1\r\n\r\n")}) {
    const UniqueFd fd = bench_.connect();
    ASSERT_EQ(::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
    extension::FrameSplitter splitter;
    EXPECT_NE(refusal(Bench::read_final(fd.get(), splitter)).message, "");
  }
  const UniqueFd fd = bench_.connect();
  ASSERT_TRUE(extension::write_frame(fd.get(), {{"op", "dance"}}));
  ASSERT_TRUE(extension::write_frame(fd.get(), {{"op", "status"}}));
  extension::FrameSplitter splitter;
  EXPECT_EQ(refusal(Bench::read_final(fd.get(), splitter)).code, Code::unsupported);
  EXPECT_EQ(outcome(Bench::read_final(fd.get(), splitter)).result_code, 1) << "the connection goes on";
}

// faults: 51
TEST_F(Server, only_the_agents_user_may_speak) {
  struct stat info {};
  ASSERT_EQ(0, ::stat(bench_.config().socket.c_str(), &info));
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to play another user";
  ::chmod(bench_.path("").c_str(), 0755);
  ::chmod(bench_.config().socket.c_str(), 0666);  // even if the mode were wrong
  const pid_t stranger = ::fork();
  if (stranger == 0) {
    if (::setuid(12345) != 0) ::_exit(9);
    const UniqueFd fd = bench_.connect();
    if (!fd) ::_exit(8);
    (void)extension::write_frame(fd.get(), {{"op", "status"}});
    extension::FrameSplitter splitter;
    const auto reply = extension::read_frame(fd.get(), splitter, std::chrono::seconds(5));
    ::_exit(!reply || !*reply ? 0 : 7);
  }
  int status = 0;
  ::waitpid(stranger, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 0) << "7: it was answered";
}

TEST_F(Server, a_stale_socket_is_replaced_and_a_second_installer_refused) {
  const std::string self = std::filesystem::read_symlink("/proc/self/exe").string();
  EXPECT_EQ(1, WEXITSTATUS(std::system(
                   (self + " installer-for-test " + bench_.path("installer.toml").string() + " 2>/dev/null").c_str())));
  EXPECT_EQ(outcome(bench_.ask(StatusRequest{})).result_code, 1) << "the first one still answers";
  bench_.kill_9();
  EXPECT_TRUE(std::filesystem::exists(bench_.config().socket));
  bench_.start();
  EXPECT_EQ(outcome(bench_.ask(StatusRequest{})).result_code, 1);
}

}  // namespace
}  // namespace godwit::installer
