// The tables of deployments in SQLite (migration_0003.cpp): rollout.cpp has deployments and subgroups,
// rollout_devices.cpp devices and counters, rollout_reports.cpp the log. One transaction's thread at a time.
#pragma once

#include "server/store/rollout_records.hpp"
#include "server/store/sqlite/fleet_columns.hpp"
#include "server/store/sqlite/statement.hpp"

namespace godwit::store::sqlite {

class SqliteRollout final : public RolloutRecords {
 public:
  explicit SqliteRollout(Connection& connection) : connection_(connection) {}

  Result<std::int64_t> insert_deployment(const DeploymentRecord& deployment) override;
  Result<std::optional<DeploymentRecord>> find_deployment(const GroupId& group, const DeploymentId& id) override;
  Result<std::optional<DeploymentRecord>> find_deployment_by_number(std::int64_t number) override;
  Result<std::vector<DeploymentRecord>> list_deployments(const GroupId& group,
                                                         const std::optional<DeviceClassId>& class_id, ListOrder order,
                                                         std::size_t offset, std::size_t limit) override;
  Result<std::uint64_t> count_deployments() override;
  Result<void> remove_deployment(std::int64_t number) override;
  Result<bool> is_update_in_use(const UpdateId& update) override;

  Result<void> save_subgroup(const SubgroupDeployment& subgroup) override;
  Result<std::optional<SubgroupDeployment>> find_subgroup(std::int64_t deployment,
                                                          const DeviceClassId& class_id) override;
  Result<std::vector<SubgroupDeployment>> list_subgroups(std::int64_t deployment) override;
  Result<std::optional<SubgroupDeployment>> find_active(const GroupId& group, const DeviceClassId& class_id) override;
  Result<std::vector<SubgroupDeployment>> list_live(const GroupId& group,
                                                    const std::optional<DeviceClassId>& class_id) override;
  Result<std::uint64_t> count_live() override;
  Result<void> remove_subgroup(std::int64_t deployment, const DeviceClassId& class_id) override;
  Result<std::vector<SubgroupDeployment>> list_due(WallTime now, std::size_t limit) override;
  Result<std::vector<SubgroupDeployment>> list_sweeping(std::size_t limit) override;

  Result<void> save_device(const DeploymentDevice& row) override;
  Result<std::optional<DeploymentDevice>> find_device(std::int64_t deployment, const IdentityId& device) override;
  Result<std::optional<DeploymentDevice>> find_by_workflow(const IdentityId& device,
                                                           const std::string& workflow_id) override;
  Result<std::vector<DeploymentDevice>> list_devices(std::int64_t deployment, const DeploymentDeviceFilter& filter,
                                                     const std::string& after, std::size_t limit) override;
  Result<std::vector<DeploymentDevice>> list_expiring(WallTime time, std::size_t limit) override;
  Result<void> end_urls() override;
  Result<std::vector<DeploymentDevice>> list_overdue(WallTime now, std::size_t limit) override;
  Result<void> remove_device(const IdentityId& device) override;
  Result<std::vector<DeploymentCount>> counts(std::int64_t deployment) override;
  Result<std::vector<DeploymentCount>> recount() override;
  Result<std::vector<DeploymentCount>> all_counts() override;

  Result<DeploymentSpan> span(std::int64_t deployment) override;
  Result<std::vector<DeploymentStep>> steps(std::int64_t deployment, WallTime from, Duration step) override;

  Result<void> append_report(const ReportRecord& report, std::size_t keep) override;
  Result<std::vector<ReportRecord>> list_reports(const IdentityId& device, std::size_t limit) override;

 private:
  struct Part {
    std::string class_id;
    std::int64_t state = 0;
  };
  [[nodiscard]] Result<std::vector<DeploymentDevice>> list_range(std::int64_t deployment, const Part* part,
                                                                 const TextRange& range, std::size_t limit);

  Connection& connection_;
};

}  // namespace godwit::store::sqlite
