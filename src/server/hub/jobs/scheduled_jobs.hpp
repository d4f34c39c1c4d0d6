// Scheduled jobs: one twin change or one direct method for every device that a condition selects, at a time, within a
// time, surviving any end of the process. A thread of its own goes through the open jobs; what it decides is stored
// before it is done. A twin change and its note are one transaction. A method is noted as sent before it is sent: one
// that was cut off counts as failed and is not sent again.
// The use cases are safe from any thread. Blocks on the store: never call from an io loop.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "core/base/log.hpp"
#include "server/hub/jobs/job_form.hpp"
#include "server/hub/jobs/job_life.hpp"
#include "server/store/store.hpp"

namespace godwit::hub::jobs {

/// The next devices that a condition selects, in id order.
struct Selection {
  std::vector<std::string> ids{};
  std::string after{};  // where to go on; "" at the end
};

struct JobPorts {
  /// Errors: invalid_argument, too_large.
  std::function<Result<void>(const std::string& condition)> check_condition{};
  /// Inside a transaction. Errors: invalid_argument (the condition), database_failed.
  std::function<Result<Selection>(store::Records& records, const std::string& condition, const std::string& after,
                                  std::size_t size)>
      select{};
  std::function<void(MethodCall call, MethodDone done)> invoke{};
};

class ScheduledJobs {
 public:
  ScheduledJobs(store::Store& store, Clock& clock, Log& log, const Registry& registry, JobPorts ports,
                JobLimits limits = {}, MethodLimits methods = {});
  ~ScheduledJobs() { stop(); }
  ScheduledJobs(const ScheduledJobs&) = delete;
  ScheduledJobs& operator=(const ScheduledJobs&) = delete;

  /// Wakes what was open and begins to work. Once.
  void start();
  /// Ends the thread; calls on their way are left to their devices and to the next start. Idempotent.
  void stop();

  struct View {
    store::ScheduledJob job;
    store::JobCounts counts{};
  };
  /// Errors: those of read_job() and of the condition, conflict, too_many.
  [[nodiscard]] Result<View> create(const std::string& id, const json::Object& body, const std::string& caller);
  /// Errors: not_found.
  [[nodiscard]] Result<View> find(const std::string& id) const;
  [[nodiscard]] Result<std::vector<View>> list(const store::JobFilter& filter, const std::string& after,
                                               std::size_t limit) const;
  /// Errors: not_found, conflict (it has ended).
  [[nodiscard]] Result<View> cancel(const std::string& id, const std::string& caller);

  /// What a condition selects, for others who change many devices; inside a transaction. Errors: as of the port.
  [[nodiscard]] Result<Selection> select(store::Records& records, const std::string& condition,
                                         const std::string& after, std::size_t size) const {
    GODWIT_TRY_VOID(ports_.check_condition(condition));
    return ports_.select(records, condition, after, size);
  }

  // What the thread does, for tests without one.
  [[nodiscard]] Result<void> wake_up();
  /// One step of every open job. True: there is more to do at once.
  [[nodiscard]] Result<bool> run_round();

 private:
  struct Answered {
    std::string job;
    std::string device;
    Result<MethodAnswer> outcome;
  };

  void run();
  [[nodiscard]] Result<void> happen(store::Records& records, store::ScheduledJob& job, Event event,
                                    const std::string& reason = {}) const;
  [[nodiscard]] Result<bool> is_idle();
  [[nodiscard]] Result<bool> step(const std::string& id, bool has_turn);
  [[nodiscard]] Result<bool> gather(const store::ScheduledJob& job);
  [[nodiscard]] Result<bool> change_twins(const store::ScheduledJob& job);
  [[nodiscard]] Result<bool> call_methods(const store::ScheduledJob& job);
  [[nodiscard]] Result<void> finish_if_done(const std::string& id);
  [[nodiscard]] Result<void> take_answers();
  [[nodiscard]] Result<void> note_answer(store::Records& records, const Answered& answer) const;
  [[nodiscard]] Result<void> audit(store::Records& records, const std::string& caller, const char* action,
                                   const std::string& id) const;

  store::Store& store_;
  Clock& clock_;
  Log& log_;
  const Registry& registry_;
  const JobPorts ports_;
  const JobLimits limits_;
  const MethodLimits methods_;

  /// Outlives this object where a call of the hub still holds it.
  struct Inbox {
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<Answered> answers{};
    bool is_awake = false;  // there is something to do
    bool is_stopping = false;
  };
  std::shared_ptr<Inbox> inbox_ = std::make_shared<Inbox>();
  Duration next_cleanup_{};  // the thread's
  std::thread thread_;
};

}  // namespace godwit::hub::jobs
