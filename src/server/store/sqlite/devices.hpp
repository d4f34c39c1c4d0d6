// Identities, sessions and twins in SQLite. One connection, one thread.
#pragma once

#include "server/store/device_records.hpp"
#include "server/store/sqlite/statement.hpp"

namespace godwit::store::sqlite {

class SqliteDevices final : public DeviceRecords {
 public:
  explicit SqliteDevices(Connection& connection) : connection_(connection) {}
  Result<std::optional<DeviceIdentity>> find_identity(const DeviceId& id) override;
  Result<std::vector<DeviceIdentity>> list_identities(const std::string& after, std::size_t limit) override;
  Result<std::uint64_t> count_identities() override;
  Result<void> insert_identity(const DeviceIdentity& identity, WallTime now) override;
  Result<void> update_identity(const DeviceIdentity& identity) override;
  Result<bool> remove_identity(const DeviceId& id) override;
  Result<std::optional<DeviceSession>> find_session(const DeviceId& id) override;
  Result<void> save_session(const DeviceId& id, const DeviceSession& session) override;
  Result<void> mark_all_disconnected(std::string_view reason) override;
  Result<std::optional<TwinRecord>> find_twin(const DeviceId& id) override;
  Result<void> save_twin(const DeviceId& id, const TwinRecord& record) override;

 private:
  Connection& connection_;
};

}  // namespace godwit::store::sqlite
