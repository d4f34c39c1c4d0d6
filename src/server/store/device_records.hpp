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
#include "server/store/twin_scan.hpp"

namespace godwit::store {

/// How an identity proves itself; stored, so never renumbered.
enum class Authentication : std::uint8_t { sas = 0, self_signed = 1, certificate_authority = 2 };

struct DeviceIdentity {
  IdentityId id;
  bool is_enabled = true;
  std::string status_reason{};
  Authentication authentication = Authentication::sas;
  Secret primary_key{};  // raw bytes, 16..64; sealed at rest
  Secret secondary_key{};
  std::string primary_thumbprint{};  // lower-case hex of SHA-1 or SHA-256 of the certificate, "" = none
  std::string secondary_thumbprint{};
  std::string managed_by{};  // of a module: who looks after it, free text
  std::string generation{};  // changes when an id is deleted and made again
  std::uint64_t etag = 1;    // + 1 at each change of the identity
  WallTime created{};
  WallTime status_updated{};  // when it was last enabled or disabled; 1970: never
};

/// What must outlive a connection and a restart.
struct DeviceSession {
  std::uint8_t subscriptions = 0;  // bit mask of hub::Subscription
  std::uint8_t granted_qos = 0;    // same bits: 1 = QoS 1
  std::string model_id{};          // from the last CONNECT
  bool is_connected = false;
  WallTime connection_changed{};  // when it last connected or disconnected; 1970: never
  WallTime last_activity{};
  std::string last_disconnect_reason{};
  std::uint64_t telemetry_count = 0;  // messages ever, as last written down; save_session() leaves it alone
  std::uint64_t queued_messages = 0;  // that wait for it; kept by the store
};

/// How a connection began or ended.
struct ConnectionNews {
  bool is_connected = false;
  WallTime at{};
  WallTime last_activity{};
  std::string reason{};         // why it ended; kept as it was while connected
  std::uint64_t telemetry = 0;  // messages that were not counted yet
};

struct IdentityCounts {
  std::uint64_t devices = 0;
  std::uint64_t enabled = 0;
  std::uint64_t connected = 0;
};

/// The two sections as a device sees them, without metadata, as JSON text.
struct TwinText {
  std::string desired{};
  std::uint64_t desired_version = 1;
  std::string reported{};
  std::uint64_t reported_version = 1;
};

struct TwinRecord {
  twin::Twin twin;
  std::uint64_t version = 1;  // + 1 at any change; the twin's etag
};

class DeviceRecords {
 public:
  virtual ~DeviceRecords() = default;
  [[nodiscard]] virtual Result<std::optional<DeviceIdentity>> find_identity(const IdentityId& id) = 0;
  /// Devices in id order, after `after` ("" = from the start), at most `limit`.
  [[nodiscard]] virtual Result<std::vector<DeviceIdentity>> list_identities(const std::string& after,
                                                                            std::size_t limit) = 0;
  /// Modules of one device, in id order, at most `limit`.
  [[nodiscard]] virtual Result<std::vector<DeviceIdentity>> list_modules(const DeviceId& device, std::size_t limit) = 0;
  /// Devices only.
  [[nodiscard]] virtual Result<IdentityCounts> count_identities() = 0;
  /// Makes identity, session and an empty twin. Errors: conflict.
  [[nodiscard]] virtual Result<void> insert_identity(const DeviceIdentity& identity, WallTime now) = 0;
  [[nodiscard]] virtual Result<void> update_identity(const DeviceIdentity& identity) = 0;
  /// A device goes with its modules. False: there was none.
  [[nodiscard]] virtual Result<bool> remove_identity(const IdentityId& id) = 0;

  [[nodiscard]] virtual Result<std::optional<DeviceSession>> find_session(const IdentityId& id) = 0;
  [[nodiscard]] virtual Result<void> save_session(const IdentityId& id, const DeviceSession& session) = 0;
  /// Only the connection's part of a session. An identity that is gone is no error.
  [[nodiscard]] virtual Result<void> save_connection(const IdentityId& id, const ConnectionNews& news) = 0;
  /// `telemetry`: messages that were not counted yet.
  [[nodiscard]] virtual Result<void> save_activity(const IdentityId& id, WallTime last_activity,
                                                   std::uint64_t telemetry = 0) = 0;
  /// After a restart nobody is connected.
  [[nodiscard]] virtual Result<void> mark_all_disconnected(std::string_view reason, WallTime now) = 0;

  /// Shows twins to `visit` in the order of their ids until it says false or there are no more. `visit` may read
  /// records of the same transaction. Errors: those of `visit`, database_failed.
  [[nodiscard]] virtual Result<void> scan_twins(const TwinScan& scan, const TwinVisitor& visit) = 0;
  [[nodiscard]] virtual Result<std::optional<TwinRecord>> find_twin(const IdentityId& id) = 0;
  /// What a device asks for, without parsing it.
  [[nodiscard]] virtual Result<std::optional<TwinText>> find_twin_text(const IdentityId& id) = 0;
  [[nodiscard]] virtual Result<void> save_twin(const IdentityId& id, const TwinRecord& record) = 0;
  /// What a report needs and changes: versions, tags and the reported section; the desired section stays empty.
  [[nodiscard]] virtual Result<std::optional<TwinRecord>> find_reported(const IdentityId& id) = 0;
  /// Only the reported section and the twin's version.
  [[nodiscard]] virtual Result<void> save_reported(const IdentityId& id, const TwinRecord& record) = 0;
};

}  // namespace godwit::store
