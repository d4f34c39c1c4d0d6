// Scheduled jobs: something done once to every device that a condition selects, and how far it is with each. Part of a
// transaction, see store.hpp. The meaning of states is hub/jobs/job_life.hpp.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/clock.hpp"
#include "core/base/error.hpp"

namespace godwit::store {

/// Stored, so never renumbered.
enum class JobKind : std::uint8_t { update_twin = 0, device_method = 1 };
enum class JobState : std::uint8_t {
  scheduled = 0,
  enqueued = 1,
  running = 2,
  completed = 3,
  failed = 4,
  cancelled = 5
};
enum class JobDeviceState : std::uint8_t { pending = 0, running = 1, succeeded = 2, failed = 3, cancelled = 4 };

struct ScheduledJob {
  std::string id;
  JobKind kind = JobKind::update_twin;
  JobState state = JobState::scheduled;
  std::string condition{};  // of a query, as it was written
  std::string work{};       // JSON object: the twin patch or the method
  WallTime created{};
  WallTime starts{};
  std::optional<WallTime> began{};
  std::optional<WallTime> ended{};
  Duration time_limit{};
  std::string cursor{};      // devices up to this id were selected
  bool is_gathered = false;  // all of them
  std::string reason{};      // why it failed
};

struct JobDevice {
  std::string device;
  JobDeviceState state = JobDeviceState::pending;
  std::optional<WallTime> began{};
  std::optional<WallTime> ended{};
  std::string outcome{};  // JSON object: what the device answered
  std::string error{};    // sentence
};

struct JobCounts {
  std::uint64_t pending = 0, running = 0, succeeded = 0, failed = 0, cancelled = 0;
  [[nodiscard]] std::uint64_t all() const { return pending + running + succeeded + failed + cancelled; }
};

struct JobFilter {
  std::optional<JobKind> kind{};
  std::optional<JobState> state{};
};

class JobRecords {
 public:
  virtual ~JobRecords() = default;
  /// Errors: conflict.
  [[nodiscard]] virtual Result<void> insert_job(const ScheduledJob& job) = 0;
  [[nodiscard]] virtual Result<std::optional<ScheduledJob>> find_job(const std::string& id) = 0;
  /// By id, behind `after` ("" = from the start), at most `limit`.
  [[nodiscard]] virtual Result<std::vector<ScheduledJob>> list_jobs(const JobFilter& filter, const std::string& after,
                                                                    std::size_t limit) = 0;
  /// Those that have not ended, in the order in which they start.
  [[nodiscard]] virtual Result<std::vector<ScheduledJob>> list_open_jobs() = 0;
  [[nodiscard]] virtual Result<void> save_job(const ScheduledJob& job) = 0;
  /// With their devices; at most `limit` jobs. Returns how many.
  [[nodiscard]] virtual Result<std::size_t> remove_jobs_ended_before(WallTime time, std::size_t limit) = 0;

  /// A device that is there already is left as it is.
  [[nodiscard]] virtual Result<void> add_job_devices(const std::string& job,
                                                     const std::vector<std::string>& devices) = 0;
  [[nodiscard]] virtual Result<std::vector<JobDevice>> list_job_devices(const std::string& job, JobDeviceState state,
                                                                        std::size_t limit) = 0;
  [[nodiscard]] virtual Result<void> save_job_device(const std::string& job, const JobDevice& device) = 0;
  /// All devices of a job that are in `from`.
  [[nodiscard]] virtual Result<void> end_job_devices(const std::string& job, JobDeviceState from, JobDeviceState to,
                                                     const std::string& error, WallTime now) = 0;
  [[nodiscard]] virtual Result<JobCounts> count_job_devices(const std::string& job) = 0;

  /// One line of what jobs did to devices.
  struct DeviceLine {
    ScheduledJob job;
    JobDevice device;
  };
  /// Over all jobs, the newest jobs first, at most `limit`.
  [[nodiscard]] virtual Result<std::vector<DeviceLine>> list_device_lines(std::size_t limit) = 0;
};

}  // namespace godwit::store
