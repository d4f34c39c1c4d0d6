// Identities, sessions and twins in SQLite; keys are sealed on the way in and opened on the way out.
// One connection, one thread.
#pragma once

#include "core/trust/sealer.hpp"
#include "server/store/device_records.hpp"
#include "server/store/sqlite/statement.hpp"

namespace godwit::store::sqlite {

class SqliteDevices final : public DeviceRecords {
 public:
  SqliteDevices(Connection& connection, const trust::Sealer& sealer) : connection_(connection), sealer_(sealer) {}
  Result<std::optional<DeviceIdentity>> find_identity(const IdentityId& id) override;
  Result<std::vector<DeviceIdentity>> list_identities(const std::string& after, std::size_t limit) override;
  Result<std::vector<DeviceIdentity>> list_modules(const DeviceId& device, std::size_t limit) override;
  Result<IdentityCounts> count_identities() override;
  Result<void> insert_identity(const DeviceIdentity& identity, WallTime now) override;
  Result<void> update_identity(const DeviceIdentity& identity) override;
  Result<bool> remove_identity(const IdentityId& id) override;
  Result<std::optional<DeviceSession>> find_session(const IdentityId& id) override;
  Result<void> save_session(const IdentityId& id, const DeviceSession& session) override;
  Result<void> save_connection(const IdentityId& id, const ConnectionNews& news) override;
  Result<void> save_activity(const IdentityId& id, WallTime last_activity, std::uint64_t telemetry) override;
  Result<void> mark_all_disconnected(std::string_view reason, WallTime now) override;
  Result<void> scan_twins(const TwinScan& scan, const TwinVisitor& visit) override;  // device_scan.cpp
  Result<std::optional<TwinRecord>> find_twin(const IdentityId& id) override;
  Result<std::optional<TwinText>> find_twin_text(const IdentityId& id) override;
  Result<void> save_twin(const IdentityId& id, const TwinRecord& record) override;
  Result<std::optional<TwinRecord>> find_reported(const IdentityId& id) override;
  Result<void> save_reported(const IdentityId& id, const TwinRecord& record) override;

 private:
  [[nodiscard]] Result<DeviceIdentity> read_identity(Statement& row) const;
  [[nodiscard]] Result<std::vector<DeviceIdentity>> read_identities(Statement row) const;

  Connection& connection_;
  const trust::Sealer& sealer_;
};

/// Seals the keys that an older schema kept plain. Inside no transaction; repeats harmlessly.
[[nodiscard]] Result<void> seal_plain_keys(Connection& connection, const trust::Sealer& sealer);

}  // namespace godwit::store::sqlite
