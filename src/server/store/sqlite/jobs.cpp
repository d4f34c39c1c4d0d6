#include "server/store/sqlite/jobs.hpp"

#include "server/store/sqlite/rows.hpp"

namespace godwit::store::sqlite {
namespace {

constexpr std::string_view kJobColumns =
    "j.job_id, j.kind, j.state, j.condition, j.work, j.created, j.starts, j.began, j.ended, j.time_limit, j.cursor, "
    "j.is_gathered, j.reason";
constexpr int kJobColumnCount = 13;

std::string select_jobs(std::string_view rest) {
  return "SELECT " + std::string(kJobColumns) + " FROM jobs j " + std::string(rest);
}

Result<ScheduledJob> read_job(Statement& row) {
  return ScheduledJob{.id = row.text(0),
                      .kind = static_cast<JobKind>(row.integer(1)),
                      .state = static_cast<JobState>(row.integer(2)),
                      .condition = row.text(3),
                      .work = row.text(4),
                      .created = row.time(5),
                      .starts = row.time(6),
                      .began = row.time_or_nothing(7),
                      .ended = row.time_or_nothing(8),
                      .time_limit = Duration{row.integer(9)},
                      .cursor = row.text(10),
                      .is_gathered = row.boolean(11),
                      .reason = row.text(12)};
}

Result<JobDevice> read_device(Statement& row, int first) {
  return JobDevice{.device = row.text(first),
                   .state = static_cast<JobDeviceState>(row.integer(first + 1)),
                   .began = row.time_or_nothing(first + 2),
                   .ended = row.time_or_nothing(first + 3),
                   .outcome = row.text(first + 4),
                   .error = row.text(first + 5)};
}

template <class Enum>
std::optional<int> number(const std::optional<Enum>& value) {
  return value ? std::optional<int>(static_cast<int>(*value)) : std::nullopt;
}

}  // namespace

Result<void> SqliteJobs::insert_job(const ScheduledJob& job) {
  GODWIT_TRY(const auto present, find_job(job.id));
  if (present) return fail(Code::conflict, "job '" + job.id + "' exists already");
  return connection_.run(
      "INSERT INTO jobs (job_id, kind, state, condition, work, created, starts, began, ended, time_limit, cursor, "
      "is_gathered, reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      job.id, static_cast<int>(job.kind), static_cast<int>(job.state), job.condition, job.work, job.created, job.starts,
      job.began, job.ended, job.time_limit.count(), job.cursor, job.is_gathered, job.reason);
}

Result<std::optional<ScheduledJob>> SqliteJobs::find_job(const std::string& id) {
  static const std::string kSql = select_jobs("WHERE j.job_id = ?");
  GODWIT_TRY(auto row, connection_.prepare(kSql));
  row.bind(id);
  return one(row, read_job);
}

Result<std::vector<ScheduledJob>> SqliteJobs::list_jobs(const JobFilter& filter, const std::string& after,
                                                        std::size_t limit) {
  static const std::string kSql = select_jobs(
      "WHERE j.job_id > ?1 AND (?2 IS NULL OR j.kind = ?2) AND (?3 IS NULL OR j.state = ?3) ORDER BY j.job_id LIMIT "
      "?4");
  GODWIT_TRY(auto rows, connection_.prepare(kSql));
  rows.bind(after, number(filter.kind), number(filter.state), limit);
  return all(rows, read_job);
}

Result<std::vector<ScheduledJob>> SqliteJobs::list_open_jobs() {
  static const std::string kSql = select_jobs("WHERE j.ended IS NULL ORDER BY j.starts, j.created, j.job_id");
  GODWIT_TRY(auto rows, connection_.prepare(kSql));
  return all(rows, read_job);
}

Result<void> SqliteJobs::save_job(const ScheduledJob& job) {
  return connection_.run(
      "UPDATE jobs SET state = ?, began = ?, ended = ?, cursor = ?, is_gathered = ?, reason = ? WHERE job_id = ?",
      static_cast<int>(job.state), job.began, job.ended, job.cursor, job.is_gathered, job.reason, job.id);
}

Result<std::size_t> SqliteJobs::remove_jobs_ended_before(WallTime time, std::size_t limit) {
  GODWIT_TRY_VOID(connection_.run(
      "DELETE FROM jobs WHERE job_id IN (SELECT job_id FROM jobs WHERE ended < ? ORDER BY ended LIMIT ?)", time,
      limit));
  return static_cast<std::size_t>(connection_.changes());
}

Result<void> SqliteJobs::add_job_devices(const std::string& job, const std::vector<std::string>& devices) {
  for (const std::string& device : devices)
    GODWIT_TRY_VOID(
        connection_.run("INSERT OR IGNORE INTO job_devices (job_id, device, state) VALUES (?, ?, 0)", job, device));
  return {};
}

Result<std::vector<JobDevice>> SqliteJobs::list_job_devices(const std::string& job, JobDeviceState state,
                                                            std::size_t limit) {
  GODWIT_TRY(auto rows, connection_.prepare("SELECT device, state, began, ended, outcome, error FROM job_devices "
                                            "WHERE job_id = ? AND state = ? ORDER BY device LIMIT ?"));
  rows.bind(job, static_cast<int>(state), limit);
  return all(rows, [](Statement& row) { return read_device(row, 0); });
}

Result<void> SqliteJobs::save_job_device(const std::string& job, const JobDevice& device) {
  return connection_.run(
      "UPDATE job_devices SET state = ?, began = ?, ended = ?, outcome = ?, error = ? WHERE job_id = ? AND device = ?",
      static_cast<int>(device.state), device.began, device.ended, device.outcome, device.error, job, device.device);
}

Result<void> SqliteJobs::end_job_devices(const std::string& job, JobDeviceState from, JobDeviceState to,
                                         const std::string& error, WallTime now) {
  return connection_.run("UPDATE job_devices SET state = ?, ended = ?, error = ? WHERE job_id = ? AND state = ?",
                         static_cast<int>(to), now, error, job, static_cast<int>(from));
}

Result<JobCounts> SqliteJobs::count_job_devices(const std::string& job) {
  JobCounts counts;
  GODWIT_TRY(auto rows, connection_.prepare("SELECT state, count(*) FROM job_devices WHERE job_id = ? GROUP BY state"));
  rows.bind(job);
  for (;;) {
    GODWIT_TRY(const bool is_there, rows.next());
    if (!is_there) return counts;
    const auto count = static_cast<std::uint64_t>(rows.integer(1));
    switch (static_cast<JobDeviceState>(rows.integer(0))) {
      case JobDeviceState::pending: counts.pending = count; break;
      case JobDeviceState::running: counts.running = count; break;
      case JobDeviceState::succeeded: counts.succeeded = count; break;
      case JobDeviceState::failed: counts.failed = count; break;
      case JobDeviceState::cancelled: counts.cancelled = count; break;
    }
  }
}

Result<std::vector<JobRecords::DeviceLine>> SqliteJobs::list_device_lines(std::size_t limit) {
  static const std::string kSql =
      "SELECT " + std::string(kJobColumns) +
      ", d.device, d.state, d.began, d.ended, d.outcome, d.error FROM jobs j JOIN job_devices d ON d.job_id = j.job_id "
      "ORDER BY j.created DESC, j.job_id, d.device LIMIT ?";
  GODWIT_TRY(auto rows, connection_.prepare(kSql));
  rows.bind(limit);
  return all(rows, [](Statement& row) -> Result<DeviceLine> {
    GODWIT_TRY(auto job, read_job(row));
    GODWIT_TRY(auto device, read_device(row, kJobColumnCount));
    return DeviceLine{.job = std::move(job), .device = std::move(device)};
  });
}

}  // namespace godwit::store::sqlite
