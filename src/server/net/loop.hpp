// One event loop on one thread: sockets and timers that belong to it are touched only there.
// post(), start() and stop() are safe from any thread; stop() joins and is never called from the loop itself.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "server/net/asio.hpp"

namespace godwit::net {

class Loop {
 public:
  /// `name` is the thread's name in ps and gdb (at most 15 bytes are kept).
  explicit Loop(std::string name);
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  void start();
  /// Ends the thread; work that is still queued is kept and destroyed with the loop, not run. Idempotent.
  void stop();
  /// Runs `work` on the loop's thread, later, in order of arrival. What arrives while earlier work waits shares its
  /// wake-up. An exception that leaves `work` is a bug of ours and ends the process.
  void post(std::function<void()> work);
  /// post() and wait until `work` has run. Runs it at once when the loop is not running or this is its thread.
  void run_and_wait(const std::function<void()>& work);
  [[nodiscard]] bool is_current() const;
  [[nodiscard]] asio::io_context& context() { return context_; }

 private:
  void run_posted();

  std::string name_;
  asio::io_context context_{1};
  asio::executor_work_guard<asio::io_context::executor_type> guard_;
  std::thread thread_;
  std::atomic<std::thread::id> thread_id_{};
  std::mutex mutex_;  // guards posted_
  std::vector<std::function<void()>> posted_;
};

}  // namespace godwit::net
