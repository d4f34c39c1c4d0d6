// The record groups over one connection, and the actions that wait for its commit.
#pragma once

#include <functional>
#include <vector>

#include "server/store/sqlite/access.hpp"
#include "server/store/sqlite/catalog.hpp"
#include "server/store/sqlite/devices.hpp"
#include "server/store/sqlite/figures.hpp"
#include "server/store/sqlite/fleet.hpp"
#include "server/store/sqlite/jobs.hpp"
#include "server/store/sqlite/logs.hpp"
#include "server/store/sqlite/messages.hpp"
#include "server/store/sqlite/policies.hpp"
#include "server/store/sqlite/provisioning.hpp"
#include "server/store/sqlite/rollout.hpp"
#include "server/store/store.hpp"

namespace godwit::store::sqlite {

class SqliteRecords final : public Records {
 public:
  SqliteRecords(Connection& connection, const trust::Sealer& sealer)
      : devices_(connection, sealer),
        catalog_(connection),
        fleet_(connection),
        rollout_(connection),
        messages_(connection),
        jobs_(connection),
        access_(connection),
        policies_(connection, sealer),
        logs_(connection),
        figures_(connection),
        provisioning_(connection, sealer) {}
  DeviceRecords& devices() override { return devices_; }
  CatalogRecords& catalog() override { return catalog_; }
  FleetRecords& fleet() override { return fleet_; }
  RolloutRecords& rollout() override { return rollout_; }
  MessageRecords& messages() override { return messages_; }
  JobRecords& jobs() override { return jobs_; }
  AccessRecords& access() override { return access_; }
  PolicyRecords& policies() override { return policies_; }
  LogRecords& logs() override { return logs_; }
  FigureRecords& figures() override { return figures_; }
  ProvisioningRecords& provisioning() override { return provisioning_; }
  void after_commit(std::function<void()> action) override { actions_.push_back(std::move(action)); }
  /// What was registered since the last call.
  [[nodiscard]] std::vector<std::function<void()>> take_actions() { return std::exchange(actions_, {}); }

 private:
  SqliteDevices devices_;
  SqliteCatalog catalog_;
  SqliteFleet fleet_;
  SqliteRollout rollout_;
  SqliteMessages messages_;
  SqliteJobs jobs_;
  SqliteAccess access_;
  SqlitePolicies policies_;
  SqliteLogs logs_;
  SqliteFigures figures_;
  SqliteProvisioning provisioning_;
  std::vector<std::function<void()>> actions_{};
};

}  // namespace godwit::store::sqlite
