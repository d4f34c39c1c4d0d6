// What a job is asked to do, as values: read from a request, checked once, and read again from the store.
// Pure; safe from any thread.
#pragma once

#include <string>
#include <variant>

#include "core/base/json.hpp"
#include "server/hub/methods.hpp"
#include "server/hub/registry.hpp"
#include "server/store/job_records.hpp"

namespace godwit::hub::jobs {

struct JobLimits {
  std::size_t id_bytes = 64;
  std::size_t work_bytes = 160 * 1024;  // a method payload and what stands around it
  Duration shortest{10'000};
  Duration longest = std::chrono::hours(48);
  Duration default_time = std::chrono::hours(1);
  Duration farthest_start = std::chrono::hours(24 * 366);
  std::size_t open = 100;   // jobs that have not ended
  std::size_t running = 4;  // jobs at a time; others wait for their turn
  std::size_t selected_at_a_time = 500;
  std::size_t twins_at_a_time = 100;            // in one transaction
  std::size_t calls_at_a_time = 100;            // methods of one job that wait for an answer
  Duration kept = std::chrono::hours(24 * 30);  // after its end
  Duration round{1'000};
};

/// {"tags"?,"properties"?:{"desired"?}} with at least one of them. Errors: invalid_argument.
[[nodiscard]] Result<TwinChange> read_twin_work(const json::Object& work);

/// A whole job from {"jobId"?,"type","queryCondition","updateTwin"|"cloudToDeviceMethod","startTime"?,
/// "maxExecutionTimeInSeconds"?}. The condition is checked elsewhere. Errors: invalid_argument, too_large, bad_json.
[[nodiscard]] Result<store::ScheduledJob> read_job(const std::string& id, const json::Object& body, WallTime now,
                                                   const JobLimits& limits, const MethodLimits& methods);

}  // namespace godwit::hub::jobs
