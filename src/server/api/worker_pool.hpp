// A fixed number of threads and a bounded queue: where route handlers run and may block on the store or the disk.
// try_post() is safe from any thread and never blocks.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace godwit::api {

class WorkerPool {
 public:
  WorkerPool(std::size_t threads, std::size_t queue_limit);
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  /// False when the queue is full or the pool has stopped: the job was not taken.
  [[nodiscard]] bool try_post(std::function<void()> job);
  /// As try_post(), but over the limit: for the next step of work that was taken before and is bounded elsewhere (an
  /// upload's next chunk). False only after stop().
  [[nodiscard]] bool post_next_step(std::function<void()> job);
  /// Jobs that wait for a thread.
  [[nodiscard]] std::size_t queued() const;
  /// Lets the jobs that were taken end, then joins. Not from a worker. Idempotent.
  void stop();

 private:
  [[nodiscard]] bool post(std::function<void()> job, std::size_t limit);
  void run();

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> jobs_;
  std::size_t queue_limit_;
  bool is_stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace godwit::api
