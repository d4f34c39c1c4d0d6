// The one thread that writes: takes jobs in order, runs each in a savepoint, commits many at once, then tells
// everybody. submit() from any thread; the rest is the thread's own.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "core/base/clock.hpp"
#include "core/base/log.hpp"
#include "server/store/sqlite/sqlite_records.hpp"

namespace godwit::store::sqlite {

struct BatchLimits {
  std::size_t jobs = 512;
  Duration work{20};  // a batch takes no new job after this much work
};

class Writer {
 public:
  Writer(std::unique_ptr<Connection> connection, const trust::Sealer& sealer, Clock& clock, Log& log,
         BatchLimits limits);
  /// Runs what is queued, then ends the thread.
  ~Writer();
  void submit(Store::Job job, Store::Done done);
  [[nodiscard]] StoreCounters counters() const;

 private:
  struct Task {
    Store::Job job;
    Store::Done done;
    Result<void> outcome{};
    std::vector<std::function<void()>> actions{};
  };

  void run();
  [[nodiscard]] std::optional<Task> take(bool may_wait);
  /// Runs tasks until the queue is empty or a limit is reached; false: the batch as a whole was lost.
  [[nodiscard]] bool run_batch(std::vector<Task>& batch);
  void run_in_savepoint(Task& task);
  void run_alone(Task& task);
  [[nodiscard]] Result<void> call(Task& task);
  void roll_back();
  static void tell(Task& task);
  /// COMMIT, timed and counted.
  [[nodiscard]] Result<void> commit();

  std::unique_ptr<Connection> connection_;
  Clock& clock_;
  Log& log_;
  BatchLimits limits_;
  SqliteRecords records_;

  mutable std::mutex mutex_;  // guards the four below
  std::condition_variable wake_;
  std::deque<Task> queue_;
  bool is_stopping_ = false;
  StoreCounters counters_{};
  std::thread thread_;
};

}  // namespace godwit::store::sqlite
