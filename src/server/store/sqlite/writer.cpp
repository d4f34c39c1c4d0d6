#include "server/store/sqlite/writer.hpp"

#include <algorithm>
#include <chrono>
#include <exception>

#include "server/store/writer_thread.hpp"

namespace godwit::store::sqlite {

Writer::Writer(std::unique_ptr<Connection> connection, const trust::Sealer& sealer, Clock& clock, Log& log,
               BatchLimits limits)
    : connection_(std::move(connection)),
      clock_(clock),
      log_(log),
      limits_(limits),
      records_(*connection_, sealer),
      thread_([this] { run(); }) {}

Writer::~Writer() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void Writer::submit(Store::Job job, Store::Done done) {
  {
    const std::lock_guard lock(mutex_);
    if (!is_stopping_) {
      queue_.push_back(Task{.job = std::move(job), .done = std::move(done)});
      job = nullptr;
    }
  }
  if (job) {
    done(fail(Code::unavailable, "the store is shutting down"));
    return;
  }
  wake_.notify_one();
}

std::optional<Writer::Task> Writer::take(bool may_wait) {
  std::unique_lock lock(mutex_);
  if (may_wait) wake_.wait(lock, [this] { return !queue_.empty() || is_stopping_; });
  if (queue_.empty()) return std::nullopt;
  Task task = std::move(queue_.front());
  queue_.pop_front();
  ++counters_.jobs;
  return task;
}

void Writer::run() {
  mark_writer_thread();
  for (;;) {
    std::vector<Task> batch;
    if (auto first = take(true))
      batch.push_back(*std::move(first));
    else
      return;
    if (!run_batch(batch))
      for (Task& task : batch) run_alone(task);
    for (Task& task : batch) tell(task);
  }
}

bool Writer::run_batch(std::vector<Task>& batch) {
  if (auto begun = connection_->run_script("BEGIN IMMEDIATE"); !begun) {
    log_.warning("store.begin_failed", {{"why", begun.error().message}});
    return false;
  }
  const Duration end = clock_.monotonic() + limits_.work;
  for (std::size_t at = 0;; ++at) {
    run_in_savepoint(batch[at]);
    // Some errors (a full disk, an I/O error) make SQLite roll back the whole transaction, earlier jobs included.
    if (!connection_->is_in_transaction()) return false;
    if (batch.size() >= limits_.jobs || clock_.monotonic() >= end) break;
    auto next = take(false);
    if (!next) break;
    batch.push_back(*std::move(next));
  }
  if (auto committed = commit(); !committed) {
    log_.warning("store.commit_failed", {{"jobs", batch.size()}, {"why", committed.error().message}});
    roll_back();
    return false;
  }
  return true;
}

Result<void> Writer::call(Task& task) {
  try {
    task.outcome = task.job(records_);
  } catch (const std::exception& thrown) {
    task.outcome = fail(Code::internal, std::string("a store job threw: ") + thrown.what());
  }
  task.actions = records_.take_actions();
  if (!task.outcome) task.actions.clear();
  return task.outcome;
}

void Writer::run_in_savepoint(Task& task) {
  if (auto opened = connection_->run("SAVEPOINT job"); !opened) {
    task.outcome = std::move(opened);
    roll_back();
    return;
  }
  Result<void> outcome = call(task);
  if (!connection_->is_in_transaction()) return;
  Result<void> closed;
  if (!outcome) closed = connection_->run("ROLLBACK TO job");
  if (closed) closed = connection_->run("RELEASE job");
  if (!closed) roll_back();
}

void Writer::run_alone(Task& task) {
  task.actions.clear();
  task.outcome = connection_->run_script("BEGIN IMMEDIATE");
  if (!task.outcome) return;
  if (call(task)) task.outcome = commit();
  if (task.outcome) return;
  task.actions.clear();
  roll_back();
}

Result<void> Writer::commit() {
  const auto begin = std::chrono::steady_clock::now();  // the port's clock is too coarse to measure with
  auto outcome = connection_->run_script("COMMIT");
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  const auto bound = std::lower_bound(kCommitBounds.begin(), kCommitBounds.end(), took.count());
  const std::lock_guard lock(mutex_);
  ++(outcome ? counters_.commits : counters_.failed_commits);
  counters_.commit_seconds += took.count();
  ++counters_.commit_buckets[static_cast<std::size_t>(bound - kCommitBounds.begin())];
  return outcome;
}

StoreCounters Writer::counters() const {
  const std::lock_guard lock(mutex_);
  StoreCounters now = counters_;
  now.queued = queue_.size();
  return now;
}

void Writer::roll_back() {
  if (!connection_->is_in_transaction()) return;
  if (auto rolled_back = connection_->run_script("ROLLBACK"); !rolled_back)
    log_.error("store.rollback_failed", {{"why", rolled_back.error().message}});
}

void Writer::tell(Task& task) {
  for (auto& action : task.actions) action();
  if (task.done) task.done(std::move(task.outcome));
}

}  // namespace godwit::store::sqlite
