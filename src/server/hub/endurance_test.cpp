// Goal: one device cannot hurt the others: a slow reader, a flood, a store that hangs, many at once, a stop in the
// middle.
#include <condition_variable>
#include <future>

#include "server/hub/test_hub.hpp"

namespace godwit::hub {
namespace {

using namespace std::chrono_literals;
using mqtt::ConnectReturn;

class Endurance : public HubTest {
 protected:
  /// Holds the writer until it goes out of scope.
  class Hold {
   public:
    explicit Hold(store::Store& store) {
      store.submit(
          [this](store::Records&) -> Result<void> {
            std::unique_lock lock(mutex_);
            changed_.wait(lock, [this] { return is_released_; });
            return {};
          },
          [this](const Result<void>&) {
            const std::lock_guard lock(mutex_);
            is_done_ = true;
            changed_.notify_all();
          });
    }
    ~Hold() { release(); }
    void release() {
      std::unique_lock lock(mutex_);
      is_released_ = true;
      changed_.notify_all();
      changed_.wait(lock, [this] { return is_done_; });
    }

   private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool is_released_ = false;
    bool is_done_ = false;
  };
};

TEST_F(Endurance, a_device_that_does_not_read_is_dropped_and_others_go_on) {
  options_.limits.outgoing_bytes = 200 * 1024;
  start();
  add_device("slow");
  add_device("good");
  TestDevice slow = device("slow");
  ASSERT_EQ(slow.connect({.receive_buffer = 4096}).code, ConnectReturn::accepted);
  slow.subscribe_twin();
  TestDevice good = device("good");
  good.connect();
  // Pushes are not asked for, so only the buffer's bound stops them; nobody reads on the other side.
  for (int i = 0; i < 2000 && hub_->counters().devices == 2; ++i) {
    hub_->push_desired(device_id("slow"), std::string(30'000, 'x'), 2);
    if (i % 50 == 0) {
      ASSERT_TRUE(good.is_quiet());
    }
  }
  EXPECT_TRUE(eventually([&] {
    return session_of("slow").last_disconnect_reason.starts_with("the device reads too slowly");
  })) << log_.text();
  EXPECT_TRUE(good.is_quiet());
}

TEST_F(Endurance, a_device_that_takes_no_byte_for_long_is_dropped_below_the_bound_too) {
  options_.limits.outgoing_bytes = 64 * 1024 * 1024;
  start();
  add_device("slow");
  TestDevice slow = device("slow");
  ASSERT_EQ(slow.connect({.keep_alive_seconds = 0, .receive_buffer = 4096}).code, ConnectReturn::accepted);
  slow.subscribe_twin();
  // More than the kernel's buffers of both sides hold.
  for (int i = 0; i < 400; ++i) hub_->push_desired(device_id("slow"), std::string(30'000, 'x'), 2);
  ASSERT_TRUE(eventually([&] { return hub_->counters().desired_pushes == 400; }));
  std::this_thread::sleep_for(100ms);
  ASSERT_EQ(hub_->counters().devices, 1U);
  clock_.advance(options_.limits.write_stall_time + 1s);
  EXPECT_TRUE(
      eventually([&] { return session_of("slow").last_disconnect_reason == "the device takes no more bytes"; }));
}

TEST_F(Endurance, a_device_that_floods_requests_is_held_back_and_served_in_the_end) {
  options_.limits.in_flight_per_device = 4;
  start();
  add_device("dev1");
  TestDevice device = this->device("dev1");
  device.connect();
  device.subscribe({{.filter = "$iothub/twin/res/#", .qos = 0}});
  constexpr int kRequests = 300;
  {
    Hold hold(*store_);
    std::string burst;
    for (int i = 0; i < kRequests; ++i)
      burst += mqtt::encode(mqtt::Publish{.topic = "$iothub/twin/PATCH/properties/reported/?$rid=" + std::to_string(i),
                                          .payload = R"({"a":1})"});
    ASSERT_TRUE(device.peer.write(burst));
    ASSERT_TRUE(eventually([&] { return hub_->counters().reported_patches == 4; }));
    std::this_thread::sleep_for(100ms);
    EXPECT_EQ(hub_->counters().reported_patches, 4U) << "more was read than the bound allows";
  }
  for (int i = 0; i < kRequests; ++i)
    ASSERT_EQ(device.take_publish(),
              "$iothub/twin/res/204/?$rid=" + std::to_string(i) + "&$version=" + std::to_string(i + 2) + "|");
  EXPECT_TRUE(device.is_quiet());
}

TEST_F(Endurance, too_many_connects_at_a_time_are_answered_with_code_3) {
  options_.limits.connects_in_flight = 2;
  start();
  for (const char* id : {"a", "b", "c"}) add_device(id);
  TestDevice a = device("a"), b = device("b"), c = device("c");
  {
    Hold hold(*store_);
    ASSERT_TRUE(a.open());
    ASSERT_TRUE(b.open());
    std::this_thread::sleep_for(100ms);
    EXPECT_EQ(c.connect().code, ConnectReturn::unavailable);
  }
  EXPECT_EQ(a.take<mqtt::ConnectAck>()->code, ConnectReturn::accepted);
  EXPECT_EQ(b.take<mqtt::ConnectAck>()->code, ConnectReturn::accepted);
}

TEST_F(Endurance, a_store_that_hangs_lets_connects_time_out) {
  start();
  add_device("dev1");
  TestDevice device = this->device("dev1");
  Hold hold(*store_);
  ASSERT_TRUE(device.open());
  ASSERT_TRUE(eventually([&] { return hub_->counters().connections == 1; }));
  std::this_thread::sleep_for(100ms);
  clock_.advance(options_.limits.authentication_time + 1s);
  EXPECT_TRUE(device.is_closed_by_hub());
  hold.release();
  // The late transaction stored the new model; nobody was ever connected.
  EXPECT_TRUE(eventually([&] { return !session_of("dev1").model_id.empty(); })) << log_.text();
  std::this_thread::sleep_for(4 * options_.limits.connection_news_delay);
  EXPECT_FALSE(session_of("dev1").is_connected);
  EXPECT_EQ(hub_->counters().devices, 0U);
}

TEST_F(Endurance, a_device_changed_while_it_connects_is_judged_by_the_change) {
  start();
  const NewIdentity changes[] = {
      {.id = device_id("disabled"), .is_enabled = false},
      {.id = device_id("rekeyed"), .primary_key = "a-new-key-0123456", .secondary_key = "and-another-012345"}};
  for (const NewIdentity& change : changes) {
    add_device(change.id.str());
    TestDevice device = this->device(change.id.str());
    std::promise<void> changed;
    {
      Hold hold(*store_);
      store_->submit(
          [&](store::Records& records) -> Result<void> {
            GODWIT_TRY(const auto identity, hub_->registry().update(records, change, std::nullopt));
            return {};
          },
          [&](const Result<void>&) { changed.set_value(); });
      ASSERT_TRUE(device.open());
      std::this_thread::sleep_for(100ms);  // the key was tried on the old snapshot
    }
    changed.get_future().get();
    EXPECT_EQ(device.take<mqtt::ConnectAck>()->code, ConnectReturn::not_authorized) << change.id.str();
  }
}

TEST_F(Endurance, many_devices_at_once_get_their_own_answers) {
  start();
  constexpr int kDevices = 40;
  for (int i = 0; i < kDevices; ++i) add_device("dev" + std::to_string(i));
  std::vector<std::thread> threads;
  std::atomic<int> served{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = t; i < kDevices; i += 4) {
        const std::string id = "dev" + std::to_string(i);
        TestDevice device = this->device(id);
        if (device.connect().code != ConnectReturn::accepted) continue;
        device.subscribe_twin();
        device.publish("$iothub/twin/PATCH/properties/reported/?$rid=r", R"({"me":")" + id + "\"}");
        if (device.take_publish() != "$iothub/twin/res/204/?$rid=r&$version=2|") continue;
        device.publish("$iothub/twin/GET/?$rid=g");
        if (device.take_publish().find(R"("me":")" + id + "\"") != std::string::npos) ++served;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(served, kDevices);
  EXPECT_EQ(hub_->counters().connects, static_cast<std::uint64_t>(kDevices));
}

TEST_F(Endurance, a_stop_in_the_middle_of_everything_ends_cleanly) {
  start();
  for (int i = 0; i < 4; ++i) add_device("dev" + std::to_string(i));
  std::atomic<bool> is_over{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i, port = hub_->port()] {
      const std::string id = "dev" + std::to_string(i);
      while (!is_over) {
        TestDevice device(port, id, key_of(id));
        if (!device.open() || !device.take<mqtt::ConnectAck>(500ms)) continue;
        for (int n = 0; n < 50 && !is_over; ++n)
          if (!device.publish("$iothub/twin/PATCH/properties/reported/?$rid=1", R"({"a":1})") ||
              !device.publish("$iothub/twin/GET/?$rid=2"))
            break;
      }
    });
  }
  EXPECT_TRUE(eventually([&] { return hub_->counters().reported_patches > 100; }));
  hub_->stop();
  hub_->stop();
  is_over = true;
  for (std::thread& thread : threads) thread.join();
  for (int i = 0; i < 4; ++i) EXPECT_FALSE(session_of("dev" + std::to_string(i)).is_connected);
}

}  // namespace
}  // namespace godwit::hub
