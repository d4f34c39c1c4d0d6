// The fleet's tables in SQLite (migration_0003.cpp). One transaction's thread at a time.
#pragma once

#include "server/store/fleet_records.hpp"
#include "server/store/sqlite/statement.hpp"

namespace godwit::store::sqlite {

class SqliteFleet final : public FleetRecords {
 public:
  explicit SqliteFleet(Connection& connection) : connection_(connection) {}

  Result<std::optional<FleetDevice>> find_device(const IdentityId& id) override;
  Result<void> save_device(const FleetDevice& device) override;
  Result<bool> remove_device(const IdentityId& id) override;
  Result<std::vector<FleetDevice>> list_devices(const FleetFilter& filter, const std::string& after,
                                                std::size_t limit) override;
  Result<std::vector<FleetCount>> counts(const std::optional<GroupId>& group,
                                         const std::optional<DeviceClassId>& class_id) override;
  Result<std::uint64_t> count_healthy() override;
  Result<std::vector<FleetCount>> recount() override;

  Result<std::optional<FleetClass>> find_class(const DeviceClassId& id) override;
  Result<void> save_class(const FleetClass& value) override;
  Result<bool> remove_class(const DeviceClassId& id) override;
  Result<std::uint64_t> count_classes() override;
  Result<std::vector<FleetClass>> list_classes(const std::optional<std::string>& friendly_name,
                                               const std::string& after, std::size_t limit) override;

  Result<std::optional<FleetGroup>> find_group(const GroupId& id) override;
  Result<void> save_group(const FleetGroup& group) override;
  Result<bool> remove_group(const GroupId& id) override;
  Result<std::uint64_t> count_groups() override;
  Result<std::vector<FleetGroup>> list_groups() override;

  Result<std::optional<FleetSubgroup>> find_subgroup(const GroupId& group, const DeviceClassId& class_id) override;
  Result<void> save_subgroup(const FleetSubgroup& subgroup) override;
  Result<bool> remove_subgroup(const GroupId& group, const DeviceClassId& class_id) override;
  Result<std::vector<FleetSubgroup>> list_subgroups(const std::optional<GroupId>& group,
                                                    const std::optional<DeviceClassId>& class_id) override;

  Result<std::optional<FleetOperation>> find_operation(const std::string& id) override;
  Result<void> save_operation(const FleetOperation& operation) override;
  Result<std::vector<FleetOperation>> list_operations(bool only_unfinished, std::size_t limit) override;
  Result<void> remove_operations_before(WallTime time) override;

 private:
  Connection& connection_;
};

}  // namespace godwit::store::sqlite
