#include "server/store/sqlite/devices.hpp"

namespace godwit::store::sqlite {
namespace {

constexpr std::string_view kIdentityColumns =
    "device_id, is_enabled, status_reason, authentication, primary_key, secondary_key, primary_thumbprint, "
    "secondary_thumbprint, managed_by, generation, etag, created, status_updated, keys_sealed";

std::string select_identities(std::string_view condition) {
  return "SELECT " + std::string(kIdentityColumns) + " FROM identities WHERE " + std::string(condition);
}

std::string key_context(std::string_view id, std::string_view which) {
  return "identity/" + std::string(id) + "/" + std::string(which);
}

Bytes sealed(const trust::Sealer& sealer, const Secret& key, std::string_view id, std::string_view which) {
  return sealer.seal(key.reveal(), key_context(id, which));
}

}  // namespace

Result<DeviceIdentity> SqliteDevices::read_identity(Statement& row) const {
  GODWIT_TRY(auto id, IdentityId::parse(row.text_view(0), "stored identity"));
  DeviceIdentity identity{.id = std::move(id),
                          .is_enabled = row.boolean(1),
                          .status_reason = row.text(2),
                          .authentication = static_cast<Authentication>(row.integer(3)),
                          .primary_key = Secret{row.blob(4)},
                          .secondary_key = Secret{row.blob(5)},
                          .primary_thumbprint = row.text(6),
                          .secondary_thumbprint = row.text(7),
                          .managed_by = row.text(8),
                          .generation = row.text(9),
                          .etag = static_cast<std::uint64_t>(row.integer(10)),
                          .created = row.time(11),
                          .status_updated = row.time(12)};
  if (!row.boolean(13)) return identity;
  const std::string& text = identity.id.str();
  auto primary = sealer_.open(identity.primary_key.reveal(), key_context(text, "primary"));
  auto secondary = sealer_.open(identity.secondary_key.reveal(), key_context(text, "secondary"));
  if (!primary || !secondary) return with_context("keys of '" + text + "'", (primary ? secondary : primary).error());
  identity.primary_key = *std::move(primary);
  identity.secondary_key = *std::move(secondary);
  return identity;
}

Result<std::vector<DeviceIdentity>> SqliteDevices::read_identities(Statement row) const {
  std::vector<DeviceIdentity> identities;
  for (;;) {
    GODWIT_TRY(const bool is_there, row.next());
    if (!is_there) return identities;
    GODWIT_TRY(auto identity, read_identity(row));
    identities.push_back(std::move(identity));
  }
}

Result<std::optional<DeviceIdentity>> SqliteDevices::find_identity(const IdentityId& id) {
  static const std::string kSql = select_identities("device_id = ?");
  GODWIT_TRY(auto row, connection_.prepare(kSql));
  GODWIT_TRY(const bool is_there, row.bind(id.str()).next());
  if (!is_there) return std::nullopt;
  GODWIT_TRY(auto identity, read_identity(row));
  return identity;
}

Result<std::vector<DeviceIdentity>> SqliteDevices::list_identities(const std::string& after, std::size_t limit) {
  static const std::string kSql = select_identities("parent = '' AND device_id > ? ORDER BY device_id LIMIT ?");
  GODWIT_TRY(auto row, connection_.prepare(kSql));
  row.bind(after, limit);
  return read_identities(std::move(row));
}

Result<std::vector<DeviceIdentity>> SqliteDevices::list_modules(const DeviceId& device, std::size_t limit) {
  static const std::string kSql = select_identities("parent = ? AND parent <> '' ORDER BY device_id LIMIT ?");
  GODWIT_TRY(auto row, connection_.prepare(kSql));
  row.bind(device.str(), limit);
  return read_identities(std::move(row));
}

Result<IdentityCounts> SqliteDevices::count_identities() {
  IdentityCounts counts;
  GODWIT_TRY(auto row, connection_.prepare("SELECT count(*), coalesce(sum(is_enabled), 0) FROM identities WHERE "
                                           "parent = ''"));
  GODWIT_TRY([[maybe_unused]] const bool is_there, row.next());
  counts.devices = static_cast<std::uint64_t>(row.integer(0));
  counts.enabled = static_cast<std::uint64_t>(row.integer(1));
  GODWIT_TRY(auto connected,
             connection_.prepare("SELECT count(*) FROM sessions WHERE is_connected = 1 AND instr(device_id, '/') = 0"));
  GODWIT_TRY([[maybe_unused]] const bool is_row, connected.next());
  counts.connected = static_cast<std::uint64_t>(connected.integer(0));
  return counts;
}

Result<void> SqliteDevices::insert_identity(const DeviceIdentity& identity, WallTime now) {
  GODWIT_TRY(const auto present, find_identity(identity.id));
  const std::string& text = identity.id.str();
  if (present) return fail(Code::conflict, "device '" + text + "' exists already");
  static const std::string kSql = "INSERT INTO identities (" + std::string(kIdentityColumns) +
                                  ", parent) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?)";
  GODWIT_TRY_VOID(connection_.run(
      kSql, text, identity.is_enabled, identity.status_reason, static_cast<int>(identity.authentication),
      BlobView{sealed(sealer_, identity.primary_key, text, "primary")},
      BlobView{sealed(sealer_, identity.secondary_key, text, "secondary")}, identity.primary_thumbprint,
      identity.secondary_thumbprint, identity.managed_by, identity.generation, identity.etag, identity.created,
      identity.status_updated, identity.id.is_module() ? identity.id.device_text() : std::string_view{}));
  GODWIT_TRY_VOID(
      connection_.run("INSERT INTO sessions (device_id, last_activity) VALUES (?, ?)", text, from_unix_ms(0)));
  const std::string empty_metadata = json::print(json::Object{{"$lastUpdated", format_time_7(now)}});
  return connection_.run(
      "INSERT INTO twins (device_id, version, tags, desired, desired_metadata, desired_version, reported, "
      "reported_metadata, reported_version) VALUES (?, 1, '{}', '{}', ?, 1, '{}', ?, 1)",
      text, empty_metadata, empty_metadata);
}

Result<void> SqliteDevices::update_identity(const DeviceIdentity& identity) {
  const std::string& text = identity.id.str();
  GODWIT_TRY_VOID(connection_.run(
      "UPDATE identities SET is_enabled = ?, status_reason = ?, authentication = ?, primary_key = ?, secondary_key = "
      "?, "
      "primary_thumbprint = ?, secondary_thumbprint = ?, managed_by = ?, generation = ?, etag = ?, status_updated = ?, "
      "keys_sealed = 1 WHERE device_id = ?",
      identity.is_enabled, identity.status_reason, static_cast<int>(identity.authentication),
      BlobView{sealed(sealer_, identity.primary_key, text, "primary")},
      BlobView{sealed(sealer_, identity.secondary_key, text, "secondary")}, identity.primary_thumbprint,
      identity.secondary_thumbprint, identity.managed_by, identity.generation, identity.etag, identity.status_updated,
      text));
  if (connection_.changes() == 0) return fail(Code::not_found, "device '" + text + "' does not exist");
  return {};
}

Result<bool> SqliteDevices::remove_identity(const IdentityId& id) {
  if (!id.is_module())
    GODWIT_TRY_VOID(connection_.run("DELETE FROM identities WHERE parent = ? AND parent <> ''", id.str()));
  GODWIT_TRY_VOID(connection_.run("DELETE FROM identities WHERE device_id = ?", id.str()));
  return connection_.changes() > 0;
}

Result<std::optional<DeviceSession>> SqliteDevices::find_session(const IdentityId& id) {
  GODWIT_TRY(auto row, connection_.prepare("SELECT subscriptions, granted_qos, model_id, is_connected, last_activity, "
                                           "last_disconnect_reason, connection_changed, telemetry_count, "
                                           "queued_messages FROM sessions WHERE device_id = ?"));
  GODWIT_TRY(const bool is_there, row.bind(id.str()).next());
  if (!is_there) return std::nullopt;
  return DeviceSession{.subscriptions = static_cast<std::uint8_t>(row.integer(0)),
                       .granted_qos = static_cast<std::uint8_t>(row.integer(1)),
                       .model_id = row.text(2),
                       .is_connected = row.boolean(3),
                       .connection_changed = row.time(6),
                       .last_activity = row.time(4),
                       .last_disconnect_reason = row.text(5),
                       .telemetry_count = static_cast<std::uint64_t>(row.integer(7)),
                       .queued_messages = static_cast<std::uint64_t>(row.integer(8))};
}

Result<void> SqliteDevices::save_session(const IdentityId& id, const DeviceSession& session) {
  GODWIT_TRY_VOID(connection_.run(
      "UPDATE sessions SET subscriptions = ?, granted_qos = ?, model_id = ?, is_connected = ?, connection_changed = ?, "
      "last_activity = ?, last_disconnect_reason = ? WHERE device_id = ?",
      session.subscriptions, session.granted_qos, session.model_id, session.is_connected, session.connection_changed,
      session.last_activity, session.last_disconnect_reason, id.str()));
  if (connection_.changes() == 0) return fail(Code::not_found, "device '" + id.str() + "' does not exist");
  return {};
}

Result<void> SqliteDevices::save_connection(const IdentityId& id, const ConnectionNews& news) {
  if (news.is_connected)
    return connection_.run(
        "UPDATE sessions SET is_connected = 1, connection_changed = ?, last_activity = ?, telemetry_count = "
        "telemetry_count + ? WHERE device_id = ?",
        news.at, news.last_activity, news.telemetry, id.str());
  return connection_.run(
      "UPDATE sessions SET is_connected = 0, connection_changed = ?, last_activity = ?, last_disconnect_reason = ?, "
      "telemetry_count = telemetry_count + ? WHERE device_id = ?",
      news.at, news.last_activity, news.reason, news.telemetry, id.str());
}

Result<void> SqliteDevices::save_activity(const IdentityId& id, WallTime last_activity, std::uint64_t telemetry) {
  return connection_.run(
      "UPDATE sessions SET last_activity = max(last_activity, ?), telemetry_count = telemetry_count + ? WHERE "
      "device_id = ?",
      last_activity, telemetry, id.str());
}

Result<void> SqliteDevices::mark_all_disconnected(std::string_view reason, WallTime now) {
  return connection_.run(
      "UPDATE sessions SET is_connected = 0, connection_changed = ?, last_disconnect_reason = ? WHERE is_connected = 1",
      now, reason);
}

Result<std::optional<TwinRecord>> SqliteDevices::find_twin(const IdentityId& id) {
  GODWIT_TRY(auto row,
             connection_.prepare("SELECT version, tags, desired, desired_metadata, desired_version, reported, "
                                 "reported_metadata, reported_version FROM twins WHERE device_id = ?"));
  GODWIT_TRY(const bool is_there, row.bind(id.str()).next());
  if (!is_there) return std::nullopt;
  TwinRecord record;
  record.version = static_cast<std::uint64_t>(row.integer(0));
  GODWIT_TRY(record.twin.tags, stored_object(row.text_view(1), "tags"));
  GODWIT_TRY(record.twin.desired.values, stored_object(row.text_view(2), "desired section"));
  GODWIT_TRY(record.twin.desired.metadata, stored_object(row.text_view(3), "desired metadata"));
  record.twin.desired.version = static_cast<std::uint64_t>(row.integer(4));
  GODWIT_TRY(record.twin.reported.values, stored_object(row.text_view(5), "reported section"));
  GODWIT_TRY(record.twin.reported.metadata, stored_object(row.text_view(6), "reported metadata"));
  record.twin.reported.version = static_cast<std::uint64_t>(row.integer(7));
  return record;
}

Result<std::optional<TwinText>> SqliteDevices::find_twin_text(const IdentityId& id) {
  GODWIT_TRY(auto row,
             connection_.prepare(
                 "SELECT desired, desired_version, reported, reported_version FROM twins WHERE device_id = ?"));
  GODWIT_TRY(const bool is_there, row.bind(id.str()).next());
  if (!is_there) return std::nullopt;
  return TwinText{.desired = row.text(0),
                  .desired_version = static_cast<std::uint64_t>(row.integer(1)),
                  .reported = row.text(2),
                  .reported_version = static_cast<std::uint64_t>(row.integer(3))};
}

Result<void> SqliteDevices::save_twin(const IdentityId& id, const TwinRecord& record) {
  const twin::Twin& twin = record.twin;
  GODWIT_TRY_VOID(
      connection_.run("UPDATE twins SET version = ?, tags = ?, desired = ?, desired_metadata = ?, desired_version = ?, "
                      "reported = ?, reported_metadata = ?, reported_version = ? WHERE device_id = ?",
                      record.version, json::print(twin.tags), json::print(twin.desired.values),
                      json::print(twin.desired.metadata), twin.desired.version, json::print(twin.reported.values),
                      json::print(twin.reported.metadata), twin.reported.version, id.str()));
  if (connection_.changes() == 0) return fail(Code::not_found, "device '" + id.str() + "' does not exist");
  return {};
}

Result<std::optional<TwinRecord>> SqliteDevices::find_reported(const IdentityId& id) {
  GODWIT_TRY(auto row, connection_.prepare("SELECT version, tags, desired_version, reported, reported_metadata, "
                                           "reported_version FROM twins WHERE device_id = ?"));
  GODWIT_TRY(const bool is_there, row.bind(id.str()).next());
  if (!is_there) return std::nullopt;
  TwinRecord record;
  record.version = static_cast<std::uint64_t>(row.integer(0));
  GODWIT_TRY(record.twin.tags, stored_object(row.text_view(1), "tags"));
  record.twin.desired.version = static_cast<std::uint64_t>(row.integer(2));
  GODWIT_TRY(record.twin.reported.values, stored_object(row.text_view(3), "reported section"));
  GODWIT_TRY(record.twin.reported.metadata, stored_object(row.text_view(4), "reported metadata"));
  record.twin.reported.version = static_cast<std::uint64_t>(row.integer(5));
  return record;
}

Result<void> SqliteDevices::save_reported(const IdentityId& id, const TwinRecord& record) {
  const twin::Section& reported = record.twin.reported;
  GODWIT_TRY_VOID(connection_.run(
      "UPDATE twins SET version = ?, reported = ?, reported_metadata = ?, reported_version = ? WHERE "
      "device_id = ?",
      record.version, json::print(reported.values), json::print(reported.metadata), reported.version, id.str()));
  if (connection_.changes() == 0) return fail(Code::not_found, "device '" + id.str() + "' does not exist");
  return {};
}

Result<void> seal_plain_keys(Connection& connection, const trust::Sealer& sealer) {
  constexpr int kChunk = 1000;
  for (;;) {
    struct Plain {
      std::string id;
      Secret primary, secondary;
    };
    std::vector<Plain> plain;
    {
      GODWIT_TRY(auto row, connection.prepare("SELECT device_id, primary_key, secondary_key FROM identities WHERE "
                                              "keys_sealed = 0 LIMIT ?"));
      row.bind(kChunk);
      for (;;) {
        GODWIT_TRY(const bool is_there, row.next());
        if (!is_there) break;
        plain.push_back({.id = row.text(0), .primary = Secret{row.blob(1)}, .secondary = Secret{row.blob(2)}});
      }
    }
    if (plain.empty()) return {};
    GODWIT_TRY_VOID(connection.run_script("BEGIN IMMEDIATE"));
    for (const Plain& one : plain)
      GODWIT_TRY_VOID(connection.run(
          "UPDATE identities SET primary_key = ?, secondary_key = ?, keys_sealed = 1 WHERE device_id = ?",
          BlobView{sealed(sealer, one.primary, one.id, "primary")},
          BlobView{sealed(sealer, one.secondary, one.id, "secondary")}, one.id));
    GODWIT_TRY_VOID(connection.run_script("COMMIT"));
  }
}

}  // namespace godwit::store::sqlite
