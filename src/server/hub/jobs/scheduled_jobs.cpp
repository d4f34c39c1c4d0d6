#include "server/hub/jobs/scheduled_jobs.hpp"

#include <algorithm>

#include "server/hub/method_form.hpp"

namespace godwit::hub::jobs {
namespace {

constexpr std::size_t kRemovedAtATime = 10;
constexpr Duration kCleanupInterval = std::chrono::minutes(10);
constexpr std::string_view kInterrupted =
    "the service was stopped before the device answered; the method is not called a second time";

tl::unexpected<Error> no_such(const std::string& id) {
  return fail(Code::not_found, "there is no job '" + id.substr(0, 64) + "'");
}

Result<store::ScheduledJob> need(store::Records& records, const std::string& id) {
  GODWIT_TRY(auto job, records.jobs().find_job(id));
  if (!job) return no_such(id);
  return *std::move(job);
}

Result<ScheduledJobs::View> view_of(store::Records& records, store::ScheduledJob job) {
  GODWIT_TRY(const store::JobCounts counts, records.jobs().count_job_devices(job.id));
  return ScheduledJobs::View{.job = std::move(job), .counts = counts};
}

/// What one device did wrong ends with that device; trouble of the store ends the transaction.
bool is_of_the_device(Code code) {
  return code == Code::not_found || code == Code::invalid_argument || code == Code::too_large;
}

std::string sentence_of(const Error& error) { return error.message.substr(0, 512); }

}  // namespace

ScheduledJobs::ScheduledJobs(store::Store& store, Clock& clock, Log& log, const Registry& registry, JobPorts ports,
                             JobLimits limits, MethodLimits methods)
    : store_(store),
      clock_(clock),
      log_(log),
      registry_(registry),
      ports_(std::move(ports)),
      limits_(limits),
      methods_(methods) {}

// ---- use cases -----------------------------------------------------------------------------------------------------

Result<void> ScheduledJobs::audit(store::Records& records, const std::string& caller, const char* action,
                                  const std::string& id) const {
  return records.access().append_audit(
      store::AuditEvent{.at = clock_.now(), .actor = caller, .action = action, .subject = id});
}

Result<ScheduledJobs::View> ScheduledJobs::create(const std::string& id, const json::Object& body,
                                                  const std::string& caller) {
  GODWIT_TRY(store::ScheduledJob job, read_job(id, body, clock_.now(), limits_, methods_));
  if (const auto checked = ports_.check_condition(job.condition); !checked)
    return with_context("queryCondition", checked.error());
  if (job.kind == store::JobKind::update_twin) {
    GODWIT_TRY(const json::Object work, json::parse_object(job.work));
    GODWIT_TRY(const TwinChange change, read_twin_work(work));
    GODWIT_TRY_VOID(registry_.check_change({}, change));
  }
  const auto transaction = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY(const auto open, records.jobs().list_open_jobs());
    if (open.size() >= limits_.open)
      return fail(Code::too_many, std::to_string(open.size()) + " jobs are open already; wait for one to end");
    GODWIT_TRY_VOID(records.jobs().insert_job(job));
    return audit(records, caller, "job.created", id);
  };
  GODWIT_TRY_VOID(store_.write(transaction));
  {
    const std::lock_guard lock(inbox_->mutex);
    inbox_->is_awake = true;
  }
  inbox_->changed.notify_all();
  return View{.job = std::move(job)};
}

Result<ScheduledJobs::View> ScheduledJobs::find(const std::string& id) const {
  View view;
  const auto reading = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY(auto job, need(records, id));
    GODWIT_TRY(view, view_of(records, std::move(job)));
    return {};
  };
  GODWIT_TRY_VOID(store_.read(reading));
  return view;
}

Result<std::vector<ScheduledJobs::View>> ScheduledJobs::list(const store::JobFilter& filter, const std::string& after,
                                                             std::size_t limit) const {
  std::vector<View> views;
  const auto reading = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY(auto jobs, records.jobs().list_jobs(filter, after, limit));
    for (store::ScheduledJob& job : jobs) {
      GODWIT_TRY(auto view, view_of(records, std::move(job)));
      views.push_back(std::move(view));
    }
    return {};
  };
  GODWIT_TRY_VOID(store_.read(reading));
  return views;
}

Result<ScheduledJobs::View> ScheduledJobs::cancel(const std::string& id, const std::string& caller) {
  View view;
  const auto transaction = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY(auto job, need(records, id));
    if (has_ended(job.state)) return fail(Code::conflict, "job '" + id + "' has ended and cannot be cancelled");
    GODWIT_TRY_VOID(happen(records, job, Event::was_cancelled));
    GODWIT_TRY_VOID(audit(records, caller, "job.cancelled", id));
    GODWIT_TRY(view, view_of(records, std::move(job)));
    return {};
  };
  GODWIT_TRY_VOID(store_.write(transaction));
  return view;
}

// ---- the table at work ---------------------------------------------------------------------------------------------

/// Stores the new state and what it means for the devices that have no end yet. An event that means nothing in this
/// state changes nothing.
Result<void> ScheduledJobs::happen(store::Records& records, store::ScheduledJob& job, Event event,
                                   const std::string& reason) const {
  using enum store::JobDeviceState;
  const auto row = next(job.state, event);
  if (!row) return {};
  job.state = row->to;
  if (row->to == State::running && !job.began) job.began = clock_.now();
  if (has_ended(row->to)) job.ended = clock_.now();
  if (!reason.empty()) job.reason = reason;
  GODWIT_TRY_VOID(records.jobs().save_job(job));
  const auto end_all = [&](store::JobDeviceState from, store::JobDeviceState to, std::string_view why) {
    return records.jobs().end_job_devices(job.id, from, to, std::string(why), clock_.now());
  };
  switch (row->effect) {
    case Do::nothing:
    case Do::work: return {};
    case Do::settle: return end_all(running, failed, kInterrupted);
    case Do::give_up:
      GODWIT_TRY_VOID(end_all(running, failed, "the job ended before the device answered"));
      return end_all(pending, failed, "the job ended before it came to the device");
    case Do::call_off:
      GODWIT_TRY_VOID(end_all(running, cancelled, "the job was cancelled before the device answered"));
      return end_all(pending, cancelled, "the job was cancelled");
  }
  return {};
}

Result<void> ScheduledJobs::wake_up() {
  return store_.write([&](store::Records& records) -> Result<void> {
    GODWIT_TRY(auto open, records.jobs().list_open_jobs());
    for (store::ScheduledJob& job : open) GODWIT_TRY_VOID(happen(records, job, Event::woke_up));
    return {};
  });
}

/// Most of the time there is nothing to do, and then the writer is not troubled.
Result<bool> ScheduledJobs::is_idle() {
  bool has_open = false;
  const auto reading = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY(const auto open, records.jobs().list_open_jobs());
    has_open = !open.empty();
    return {};
  };
  GODWIT_TRY_VOID(store_.read(reading));
  if (has_open || clock_.monotonic() < next_cleanup_) return !has_open;
  std::size_t removed = 0;
  const auto transaction = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY(removed, records.jobs().remove_jobs_ended_before(clock_.now() - limits_.kept, kRemovedAtATime));
    return {};
  };
  GODWIT_TRY_VOID(store_.write(transaction));
  if (removed < kRemovedAtATime) next_cleanup_ = clock_.monotonic() + kCleanupInterval;
  return true;
}

Result<bool> ScheduledJobs::run_round() {
  GODWIT_TRY_VOID(take_answers());
  GODWIT_TRY(const bool idle, is_idle());
  if (idle) return false;
  std::vector<std::pair<std::string, State>> due;
  std::size_t running = 0;
  const auto transaction = [&](store::Records& records) -> Result<void> {
    due.clear();
    running = 0;
    GODWIT_TRY(auto open, records.jobs().list_open_jobs());
    for (store::ScheduledJob& job : open) {
      if (job.starts <= clock_.now()) GODWIT_TRY_VOID(happen(records, job, Event::came_due));
      if (clock_.now() >= job.starts + job.time_limit)
        GODWIT_TRY_VOID(happen(records, job, Event::ran_out, "the job was not done within maxExecutionTimeInSeconds"));
      if (job.state == State::running) ++running;
      if (job.state == State::running || job.state == State::enqueued) due.emplace_back(job.id, job.state);
    }
    return {};
  };
  GODWIT_TRY_VOID(store_.write(transaction));
  bool has_more = false;
  for (const auto& [id, state] : due) {
    const bool has_turn = state == State::enqueued && running < limits_.running;
    if (has_turn) ++running;
    const auto more = step(id, has_turn);
    if (!more) log_.warning("jobs.step_failed", {{"job", id}, {"error", more.error().message}});
    has_more = has_more || more.value_or(false);
  }
  return has_more;
}

Result<bool> ScheduledJobs::step(const std::string& id, bool has_turn) {
  store::ScheduledJob job;
  const auto transaction = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY(job, need(records, id));
    return has_turn ? happen(records, job, Event::got_turn) : Result<void>{};
  };
  GODWIT_TRY_VOID(store_.write(transaction));
  if (job.state != State::running) return false;
  bool has_more = false;
  if (!job.is_gathered) {
    GODWIT_TRY(has_more, gather(job));
  }
  GODWIT_TRY(const bool did, job.kind == store::JobKind::update_twin ? change_twins(job) : call_methods(job));
  GODWIT_TRY_VOID(finish_if_done(id));
  return has_more || did;
}

/// The next devices of the condition. They are read from a snapshot, so that a long look does not hold the writer, and
/// noted together with where it ended. True: there are more.
Result<bool> ScheduledJobs::gather(const store::ScheduledJob& job) {
  Selection selection;
  const auto selected = store_.read([&](store::Records& records) -> Result<void> {
    GODWIT_TRY(selection, ports_.select(records, job.condition, job.cursor, limits_.selected_at_a_time));
    return {};
  });
  const auto transaction = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY(auto present, need(records, job.id));
    if (present.state != State::running) return {};
    if (!selected && selected.error().code != Code::database_failed)
      return happen(records, present, Event::broke, "queryCondition: " + sentence_of(selected.error()));
    if (!selected) return selected;
    GODWIT_TRY_VOID(records.jobs().add_job_devices(job.id, selection.ids));
    present.cursor = selection.after;
    present.is_gathered = selection.after.empty();
    return records.jobs().save_job(present);
  };
  GODWIT_TRY_VOID(store_.write(transaction));
  return selected.has_value() && !selection.after.empty();
}

Result<bool> ScheduledJobs::change_twins(const store::ScheduledJob& job) {
  GODWIT_TRY(const json::Object work, json::parse_object(job.work, {.bytes = limits_.work_bytes, .depth = 32}));
  GODWIT_TRY(const TwinChange change, read_twin_work(work));
  std::size_t done = 0;
  const auto transaction = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY(const auto present, need(records, job.id));
    if (present.state != State::running) return {};
    GODWIT_TRY(auto devices,
               records.jobs().list_job_devices(job.id, store::JobDeviceState::pending, limits_.twins_at_a_time));
    for (store::JobDevice& device : devices) {
      device.began = device.ended = clock_.now();
      GODWIT_TRY(const IdentityId id, IdentityId::parse(device.device));
      const auto twin = registry_.change_twin(records, id, change);
      if (!twin && !is_of_the_device(twin.error().code)) return tl::unexpected<Error>{twin.error()};
      device.state = twin ? store::JobDeviceState::succeeded : store::JobDeviceState::failed;
      if (!twin) device.error = sentence_of(twin.error());
      GODWIT_TRY_VOID(records.jobs().save_job_device(job.id, device));
    }
    done = devices.size();
    return {};
  };
  GODWIT_TRY_VOID(store_.write(transaction));
  return done == limits_.twins_at_a_time;
}

/// Notes devices as running, then calls them. What the note says is believed after a restart: see Do::settle.
Result<bool> ScheduledJobs::call_methods(const store::ScheduledJob& job) {
  std::vector<store::JobDevice> chosen;
  const auto transaction = [&](store::Records& records) -> Result<void> {
    chosen.clear();
    GODWIT_TRY(const auto present, need(records, job.id));
    if (present.state != State::running) return {};
    GODWIT_TRY(const store::JobCounts counts, records.jobs().count_job_devices(job.id));
    if (counts.running >= limits_.calls_at_a_time) return {};
    GODWIT_TRY(chosen, records.jobs().list_job_devices(job.id, store::JobDeviceState::pending,
                                                       limits_.calls_at_a_time - counts.running));
    for (store::JobDevice& device : chosen) {
      device.state = store::JobDeviceState::running;
      device.began = clock_.now();
      GODWIT_TRY_VOID(records.jobs().save_job_device(job.id, device));
    }
    return {};
  };
  GODWIT_TRY_VOID(store_.write(transaction));
  if (chosen.empty()) return false;
  GODWIT_TRY(const json::Object work, json::parse_object(job.work, {.bytes = limits_.work_bytes, .depth = 34}));
  for (const store::JobDevice& device : chosen) {
    GODWIT_TRY(const IdentityId id, IdentityId::parse(device.device));
    GODWIT_TRY(MethodCall call, read_method_call(work, id));
    ports_.invoke(std::move(call),
                  [inbox = inbox_, name = job.id, device = device.device](Result<MethodAnswer> outcome) {
                    {
                      const std::lock_guard lock(inbox->mutex);
                      inbox->answers.push_back({.job = name, .device = device, .outcome = std::move(outcome)});
                      inbox->is_awake = true;
                    }
                    inbox->changed.notify_all();
                  });
  }
  return false;  // answers wake the thread
}

/// What one answer means; kept by note_answers().
Result<void> ScheduledJobs::note_answer(store::Records& records, const Answered& answer) const {
  GODWIT_TRY(const auto job, records.jobs().find_job(answer.job));
  // A job that was cancelled or ran out has written its ends already.
  if (!job || job->state != State::running) return {};
  // The hub stops: what it cut off is settled at the next start, as after a kill.
  if (!answer.outcome && answer.outcome.error().code == Code::cancelled) return {};
  store::JobDevice device{.device = answer.device, .ended = clock_.now()};
  if (answer.outcome) {
    device.state = store::JobDeviceState::succeeded;
    json::Object outcome{{"status", answer.outcome->status}};
    outcome["payload"] =
        answer.outcome->payload.empty() ? json::Value(nullptr) : json::parse(answer.outcome->payload).value_or(nullptr);
    device.outcome = json::print(outcome);
  } else {
    device.state = store::JobDeviceState::failed;
    device.error = sentence_of(answer.outcome.error());
  }
  return records.jobs().save_job_device(answer.job, device);
}

Result<void> ScheduledJobs::take_answers() {
  std::vector<Answered> answers;
  {
    const std::lock_guard lock(inbox_->mutex);
    answers.swap(inbox_->answers);
  }
  if (answers.empty()) return {};
  const auto transaction = [&](store::Records& records) -> Result<void> {
    for (const Answered& answer : answers) GODWIT_TRY_VOID(note_answer(records, answer));
    return {};
  };
  std::set<std::string> touched;
  for (const Answered& answer : answers) touched.insert(answer.job);
  if (const auto noted = store_.write(transaction); !noted) {
    // Kept for the next round: a device that answered is not to be told as one that did not.
    const std::lock_guard lock(inbox_->mutex);
    inbox_->answers.insert(inbox_->answers.begin(), std::make_move_iterator(answers.begin()),
                           std::make_move_iterator(answers.end()));
    return noted;
  }
  for (const std::string& id : touched) GODWIT_TRY_VOID(finish_if_done(id));
  return {};
}

Result<void> ScheduledJobs::finish_if_done(const std::string& id) {
  return store_.write([&](store::Records& records) -> Result<void> {
    GODWIT_TRY(auto job, records.jobs().find_job(id));
    if (!job || job->state != State::running || !job->is_gathered) return {};
    GODWIT_TRY(const store::JobCounts counts, records.jobs().count_job_devices(id));
    if (counts.pending + counts.running > 0) return {};
    return happen(records, *job, Event::ended_all);
  });
}

// ---- the thread ----------------------------------------------------------------------------------------------------

void ScheduledJobs::start() {
  if (auto woken = wake_up(); !woken) log_.error("jobs.store_failed", {{"error", woken.error().message}});
  thread_ = std::thread([this] { run(); });
}

void ScheduledJobs::stop() {
  {
    const std::lock_guard lock(inbox_->mutex);
    inbox_->is_stopping = true;
  }
  inbox_->changed.notify_all();
  if (thread_.joinable()) thread_.join();
}

void ScheduledJobs::run() {
  for (;;) {
    {
      const std::lock_guard lock(inbox_->mutex);
      if (inbox_->is_stopping) return;
      inbox_->is_awake = false;
    }
    const auto round = run_round();
    if (!round) log_.warning("jobs.store_failed", {{"error", round.error().message}, {"remedy", "it is tried again"}});
    if (round && *round) continue;
    std::unique_lock lock(inbox_->mutex);
    inbox_->changed.wait_for(lock, limits_.round, [this] { return inbox_->is_awake || inbox_->is_stopping; });
  }
}

}  // namespace godwit::hub::jobs
