// Identities, sessions and twins: the records the hub stands on. Part of a transaction, see store.hpp.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/clock.hpp"
#include "core/base/error.hpp"
#include "core/base/secret.hpp"
#include "core/model/ids.hpp"
#include "core/twin/twin.hpp"

namespace godwit::store {

struct DeviceIdentity {
  DeviceId id;
  bool is_enabled = true;
  std::string status_reason{};
  Secret primary_key{};  // raw bytes, 16..64
  Secret secondary_key{};
  std::string generation{};  // changes when an id is deleted and made again
  std::uint64_t etag = 1;    // + 1 at each change of the identity
  WallTime created{};
};

/// What must outlive a connection and a restart.
struct DeviceSession {
  std::uint8_t subscriptions = 0;  // bit mask of hub::Subscription
  std::uint8_t granted_qos = 0;    // same bits: 1 = QoS 1
  std::string model_id{};          // from the last CONNECT
  bool is_connected = false;
  WallTime last_activity{};
  std::string last_disconnect_reason{};
};

struct TwinRecord {
  twin::Twin twin;
  std::uint64_t version = 1;  // + 1 at any change; the twin's etag
};

class DeviceRecords {
 public:
  virtual ~DeviceRecords() = default;
  [[nodiscard]] virtual Result<std::optional<DeviceIdentity>> find_identity(const DeviceId& id) = 0;
  /// In id order, after `after` ("" = from the start), at most `limit`.
  [[nodiscard]] virtual Result<std::vector<DeviceIdentity>> list_identities(const std::string& after,
                                                                            std::size_t limit) = 0;
  [[nodiscard]] virtual Result<std::uint64_t> count_identities() = 0;
  /// Makes identity, session and an empty twin. Errors: conflict.
  [[nodiscard]] virtual Result<void> insert_identity(const DeviceIdentity& identity, WallTime now) = 0;
  [[nodiscard]] virtual Result<void> update_identity(const DeviceIdentity& identity) = 0;
  [[nodiscard]] virtual Result<bool> remove_identity(const DeviceId& id) = 0;  // false: there was none

  [[nodiscard]] virtual Result<std::optional<DeviceSession>> find_session(const DeviceId& id) = 0;
  [[nodiscard]] virtual Result<void> save_session(const DeviceId& id, const DeviceSession& session) = 0;
  /// After a restart nobody is connected.
  [[nodiscard]] virtual Result<void> mark_all_disconnected(std::string_view reason) = 0;

  [[nodiscard]] virtual Result<std::optional<TwinRecord>> find_twin(const DeviceId& id) = 0;
  [[nodiscard]] virtual Result<void> save_twin(const DeviceId& id, const TwinRecord& record) = 0;
};

}  // namespace godwit::store
