// The loop of a server as far as other rooms may reach it: answers and events that come late go in here. It is shut
// when the server has stopped, and from then on whatever comes is dropped, so that nobody must be waited for.
// Safe from any thread.
#pragma once

#include <functional>
#include <mutex>

#include "server/net/loop.hpp"

namespace godwit::api {

class LoopDoor {
 public:
  explicit LoopDoor(net::Loop& loop) : loop_(&loop) {}

  /// Runs `work` on the loop, later; drops it after shut().
  void post(std::function<void()> work) {
    const std::lock_guard lock(mutex_);
    if (loop_ != nullptr) loop_->post(std::move(work));
  }
  /// After it returns the loop may go away.
  void shut() {
    const std::lock_guard lock(mutex_);
    loop_ = nullptr;
  }

 private:
  std::mutex mutex_;
  net::Loop* loop_;
};

}  // namespace godwit::api
