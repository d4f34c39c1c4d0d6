#include "device/agent/installer_client.hpp"

#include <gtest/gtest.h>

#include <thread>

#include "core/base/testing/temp_folder.hpp"
#include "core/model/update_id.hpp"
#include "device/agent/testing/fake_installer.hpp"

namespace godwit::agent {
namespace {

using installer::Verb;
using std::chrono::milliseconds;
using std::chrono::seconds;

installer::Plan plan() {
  installer::Plan value;
  value.update_id = UpdateId::parse("Contoso", "Toaster", "1.0").value().to_json();
  value.steps = {installer::PlanStep{.index = 0, .path = "step_0", .handler = "microsoft/script:1"}};
  return value;
}

class InstallerClientTest : public ::testing::Test {
 protected:
  InstallerClientTest() {
    installer::OpenRequest open;
    open.workflow_id = "w";
    (void)device_.handle(open);
  }

  Result<installer::ActOutcome> act(Verb verb, std::stop_token stop = {}, Duration patience = seconds(5)) {
    InstallerCall call{.workflow_id = "w",
                       .stop = std::move(stop),
                       .on_progress = [this](std::uint64_t done, std::uint64_t) { progress_.push_back(done); },
                       .patience = patience};
    return client_.ask(
        installer::ActRequest{.workflow_id = "w", .attempt = 1, .step = 0, .verb = verb, .files_folder = "/files"},
        call);
  }

  TempFolder folder_;
  Path socket_ = folder_.path() / "s";
  NullLog log_;
  SystemClock clock_;
  RealPauses pauses_;
  FakeDevice device_{plan()};
  SocketInstaller client_{{.socket = socket_}, clock_, pauses_, log_};
  std::vector<std::uint64_t> progress_;
};

TEST_F(InstallerClientTest, asks_and_gets_the_outcome_after_progress) {
  FakeInstaller installer(device_, socket_);
  installer.chatter(3);
  const auto outcome = act(Verb::install);
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->result_code, result::install_ok);
  EXPECT_EQ(progress_, (std::vector<std::uint64_t>{3, 2, 1}));
}

TEST_F(InstallerClientTest, gives_refusals_with_their_code) {
  FakeInstaller installer(device_, socket_);
  device_.forget_workflows();
  const auto refused = act(Verb::install);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::not_found);
}

TEST_F(InstallerClientTest, waits_for_an_installer_that_comes_later) {
  std::thread late([this] {
    std::this_thread::sleep_for(milliseconds(150));
    FakeInstaller installer(device_, socket_);
    std::this_thread::sleep_for(milliseconds(1500));
  });
  EXPECT_TRUE(act(Verb::install));
  late.join();
}

TEST_F(InstallerClientTest, does_not_wait_for_ever) {
  const auto nobody = act(Verb::install, {}, milliseconds(50));
  ASSERT_FALSE(nobody);
  EXPECT_EQ(nobody.error().code, Code::timed_out);
  EXPECT_NE(nobody.error().message.find("is godwit-installer running?"), std::string::npos);
}

TEST_F(InstallerClientTest, tells_when_the_installer_goes_away_in_the_middle) {
  FakeInstaller installer(device_, socket_);
  installer.lose_next();
  const auto lost = act(Verb::install);
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().code, Code::unavailable);
  EXPECT_TRUE(act(Verb::install)) << "the next request is a new try";
}

TEST_F(InstallerClientTest, a_stop_cancels_the_act_and_waits_for_its_own_outcome) {
  FakeInstaller installer(device_, socket_);
  device_.hold(0, Verb::install);
  std::stop_source stop;
  std::thread canceller([&] {
    EXPECT_TRUE(device_.wait_until_holding());
    stop.request_stop();
  });
  const auto outcome = act(Verb::install, stop.get_token());
  canceller.join();
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->result_code, result::cancelled);
  EXPECT_EQ(device_.cancels(), 1);
}

TEST_F(InstallerClientTest, a_cancel_that_comes_too_late_gives_the_success) {
  FakeInstaller installer(device_, socket_);
  device_.hold(0, Verb::apply, true);
  std::stop_source stop;
  std::thread canceller([&] {
    EXPECT_TRUE(device_.wait_until_holding());
    stop.request_stop();
  });
  const auto outcome = act(Verb::apply, stop.get_token());
  canceller.join();
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->result_code, result::apply_ok);
}

TEST_F(InstallerClientTest, the_end_of_the_agent_leaves_the_act_alone) {
  FakeInstaller installer(device_, socket_);
  device_.hold(0, Verb::install);
  std::thread ending([&] {
    EXPECT_TRUE(device_.wait_until_holding());
    client_.abandon();
  });
  const auto left = act(Verb::install);
  ending.join();
  ASSERT_FALSE(left);
  EXPECT_EQ(left.error().code, Code::unavailable);
  EXPECT_EQ(device_.cancels(), 0);
}

TEST_F(InstallerClientTest, nothing_is_asked_after_a_stop) {
  FakeInstaller installer(device_, socket_);
  std::stop_source stop;
  stop.request_stop();
  const auto outcome = act(Verb::install, stop.get_token());
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, Code::cancelled);
  EXPECT_EQ(device_.count(0, Verb::install), 0);
}

}  // namespace
}  // namespace godwit::agent
