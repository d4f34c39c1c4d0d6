// Direct methods through a real hub.
#include <future>

#include "server/hub/test_hub.hpp"

namespace godwit::hub {
namespace {

class MethodFlow : public HubTest {
 protected:
  MethodFlow() { start(); }
  /// "status payload", or the name of the code.
  std::future<std::string> invoke(MethodCall call) {
    const auto promise = std::make_shared<std::promise<std::string>>();
    hub_->invoke(std::move(call), [promise](Result<MethodAnswer> outcome) {
      promise->set_value(outcome ? std::to_string(outcome->status) + " " + outcome->payload
                                 : std::string(code_name(outcome.error().code)));
    });
    return promise->get_future();
  }
  static std::string end_of(std::future<std::string>& future) {
    return future.wait_for(std::chrono::seconds(5)) == std::future_status::ready ? future.get() : "nothing";
  }
  static bool is_pending(std::future<std::string>& future) {
    return future.wait_for(std::chrono::milliseconds(50)) != std::future_status::ready;
  }
  static std::string rid_of(const std::string& publish) {
    return publish.substr(publish.find("$rid=") + 5, publish.find('|') - publish.find("$rid=") - 5);
  }
  static void listen(TestDevice& device) { device.subscribe({{.filter = "$iothub/methods/POST/#", .qos = 0}}); }
};

TEST_F(MethodFlow, a_device_is_called_and_its_answer_comes_back) {
  add_device("dev1");
  auto dev1 = device("dev1");
  dev1.connect();
  listen(dev1);
  auto answer = invoke({.id = device_id("dev1"), .method = "reboot", .payload = R"({"in":5})"});
  const std::string called = dev1.take_publish();
  EXPECT_TRUE(called.starts_with("$iothub/methods/POST/reboot/?$rid=")) << called;
  EXPECT_TRUE(called.ends_with(R"(|{"in":5})")) << called;
  dev1.publish("$iothub/methods/res/207/?$rid=" + rid_of(called), R"({"ok":1})");
  EXPECT_EQ(end_of(answer), R"(207 {"ok":1})");
  dev1.publish("$iothub/methods/res/200/?$rid=" + rid_of(called));
  EXPECT_TRUE(dev1.is_quiet());
  EXPECT_EQ(hub_->counters().method_calls, 1U);
  EXPECT_EQ(hub_->counters().method_answers, 1U);
  EXPECT_EQ(hub_->counters().stray_answers, 1U) << "the second answer";
}

TEST_F(MethodFlow, a_device_that_is_away_or_does_not_listen_cannot_be_called) {
  add_device("dev1");
  auto absent = invoke({.id = device_id("dev1"), .method = "m"});
  EXPECT_EQ(end_of(absent), "unavailable");
  auto dev1 = device("dev1");
  dev1.connect();
  auto deaf = invoke({.id = device_id("dev1"), .method = "m"});
  EXPECT_EQ(end_of(deaf), "unavailable");
  auto bad = invoke({.id = device_id("dev1"), .method = "a/b"});
  EXPECT_EQ(end_of(bad), "invalid_argument");
}

TEST_F(MethodFlow, a_call_waits_for_its_device_until_it_listens) {
  add_device("dev1");
  auto answer = invoke({.id = device_id("dev1"), .method = "m", .connect_time = Duration{60'000}});
  auto dev1 = device("dev1");
  dev1.connect();
  EXPECT_TRUE(dev1.is_quiet());
  listen(dev1);
  const std::string called = dev1.take_publish();
  ASSERT_TRUE(called.starts_with("$iothub/methods/POST/m/")) << called;
  dev1.publish("$iothub/methods/res/1/?$rid=" + rid_of(called));
  EXPECT_EQ(end_of(answer), "1 ");

  // A kept session has its subscription back with CONNACK.
  dev1.send(mqtt::Disconnect{});
  ASSERT_TRUE(eventually([&] { return hub_->counters().devices == 0; }));
  auto later = invoke({.id = device_id("dev1"), .method = "n", .connect_time = Duration{60'000}});
  auto back = device("dev1");
  back.connect();
  EXPECT_TRUE(back.take_publish().starts_with("$iothub/methods/POST/n/"));
  EXPECT_TRUE(is_pending(later));
}

TEST_F(MethodFlow, times_run_out_with_their_own_codes) {
  add_device("dev1");
  add_device("dev2");
  auto dev1 = device("dev1");
  dev1.connect({.keep_alive_seconds = 600});
  listen(dev1);
  auto silent = invoke({.id = device_id("dev1"), .method = "m", .response_time = Duration{5'000}});
  auto absent = invoke({.id = device_id("dev2"), .method = "m", .connect_time = Duration{5'000}});
  EXPECT_FALSE(dev1.take_publish().empty());
  EXPECT_TRUE(is_pending(silent));
  clock_.advance(Duration{5'000});
  EXPECT_EQ(end_of(silent), "timed_out");
  EXPECT_EQ(end_of(absent), "unavailable");
}

TEST_F(MethodFlow, a_device_that_renews_its_connection_may_answer_on_the_new_one) {
  add_device("dev1");
  auto before = device("dev1");
  before.connect();
  listen(before);
  auto kept = invoke({.id = device_id("dev1"), .method = "m"});
  auto lost = invoke({.id = device_id("dev1"), .method = "m"});
  const std::string called = before.take_publish();
  before.peer.cut();
  ASSERT_TRUE(eventually([&] { return hub_->counters().devices == 0; }));
  auto after = device("dev1");
  after.connect();
  EXPECT_TRUE(after.is_quiet()) << "a call that was sent is not sent again";
  after.publish("$iothub/methods/res/200/?$rid=" + rid_of(called));
  EXPECT_EQ(end_of(kept), "200 ");
  after.peer.cut();
  ASSERT_TRUE(eventually([&] { return hub_->counters().devices == 0; }));
  EXPECT_TRUE(is_pending(lost));
  clock_.advance(options_.limits.methods.absence);
  EXPECT_EQ(end_of(lost), "timed_out");
}

TEST_F(MethodFlow, another_device_cannot_answer_and_a_module_is_called_like_a_device) {
  add_device("dev1");
  add_device("dev2");
  auto dev1 = device("dev1");
  auto dev2 = device("dev2");
  dev1.connect();
  dev2.connect();
  listen(dev1);
  auto answer = invoke({.id = device_id("dev1"), .method = "m"});
  const std::string called = dev1.take_publish();
  dev2.publish("$iothub/methods/res/200/?$rid=" + rid_of(called), R"("mine")");
  EXPECT_TRUE(dev2.is_quiet());
  EXPECT_TRUE(is_pending(answer));
  dev1.publish("$iothub/methods/res/200/?$rid=" + rid_of(called), R"("yours")");
  EXPECT_EQ(end_of(answer), R"(200 "yours")");
}

TEST_F(MethodFlow, a_stop_ends_every_call) {
  add_device("dev1");
  auto dev1 = device("dev1");
  dev1.connect();
  listen(dev1);
  auto sent = invoke({.id = device_id("dev1"), .method = "m"});
  auto waiting = invoke({.id = device_id("dev2"), .method = "m", .connect_time = Duration{60'000}});
  EXPECT_FALSE(dev1.take_publish().empty());
  hub_->stop();
  EXPECT_EQ(end_of(sent), "cancelled");
  EXPECT_EQ(end_of(waiting), "cancelled");
}

}  // namespace
}  // namespace godwit::hub
