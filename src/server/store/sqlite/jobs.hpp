// Scheduled jobs in SQLite. One connection, one thread.
#pragma once

#include "server/store/job_records.hpp"
#include "server/store/sqlite/statement.hpp"

namespace godwit::store::sqlite {

class SqliteJobs final : public JobRecords {
 public:
  explicit SqliteJobs(Connection& connection) : connection_(connection) {}
  Result<void> insert_job(const ScheduledJob& job) override;
  Result<std::optional<ScheduledJob>> find_job(const std::string& id) override;
  Result<std::vector<ScheduledJob>> list_jobs(const JobFilter& filter, const std::string& after,
                                              std::size_t limit) override;
  Result<std::vector<ScheduledJob>> list_open_jobs() override;
  Result<void> save_job(const ScheduledJob& job) override;
  Result<std::size_t> remove_jobs_ended_before(WallTime time, std::size_t limit) override;
  Result<void> add_job_devices(const std::string& job, const std::vector<std::string>& devices) override;
  Result<std::vector<JobDevice>> list_job_devices(const std::string& job, JobDeviceState state,
                                                  std::size_t limit) override;
  Result<void> save_job_device(const std::string& job, const JobDevice& device) override;
  Result<void> end_job_devices(const std::string& job, JobDeviceState from, JobDeviceState to, const std::string& error,
                               WallTime now) override;
  Result<JobCounts> count_job_devices(const std::string& job) override;
  Result<std::vector<DeviceLine>> list_device_lines(std::size_t limit) override;

 private:
  Connection& connection_;
};

}  // namespace godwit::store::sqlite
