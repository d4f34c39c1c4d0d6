#include "server/api/worker_pool.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

namespace godwit::api {
namespace {

TEST(WorkerPool, refuses_when_the_queue_is_full_but_takes_a_next_step) {
  WorkerPool pool(1, 2);
  std::promise<void> gate;
  std::promise<void> running;
  ASSERT_TRUE(pool.try_post([&] {
    running.set_value();
    gate.get_future().wait();
  }));
  running.get_future().wait();
  std::atomic<int> ran = 0;
  EXPECT_TRUE(pool.try_post([&] { ++ran; }));
  EXPECT_TRUE(pool.try_post([&] { ++ran; }));
  EXPECT_FALSE(pool.try_post([&] { ++ran; }));
  EXPECT_TRUE(pool.post_next_step([&] { ++ran; }));
  gate.set_value();
  pool.stop();
  EXPECT_EQ(ran, 3) << "what was taken is done before the end";
  EXPECT_FALSE(pool.try_post([] {}));
  EXPECT_FALSE(pool.post_next_step([] {}));
}

}  // namespace
}  // namespace godwit::api
