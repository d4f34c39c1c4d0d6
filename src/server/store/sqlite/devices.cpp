#include "server/store/sqlite/devices.hpp"

namespace godwit::store::sqlite {
namespace {

constexpr std::string_view kIdentityColumns =
    "device_id, is_enabled, status_reason, primary_key, secondary_key, generation, etag, created";

Result<DeviceIdentity> read_identity(Statement& row) {
  GODWIT_TRY(auto id, DeviceId::parse(row.text_view(0), "stored device id"));
  return DeviceIdentity{.id = std::move(id),
                        .is_enabled = row.boolean(1),
                        .status_reason = row.text(2),
                        .primary_key = Secret{row.blob(3)},
                        .secondary_key = Secret{row.blob(4)},
                        .generation = row.text(5),
                        .etag = static_cast<std::uint64_t>(row.integer(6)),
                        .created = row.time(7)};
}

}  // namespace

Result<std::optional<DeviceIdentity>> SqliteDevices::find_identity(const DeviceId& id) {
  GODWIT_TRY(auto row, connection_.prepare("SELECT device_id, is_enabled, status_reason, primary_key, secondary_key, "
                                           "generation, etag, created FROM identities WHERE device_id = ?"));
  GODWIT_TRY(const bool is_there, row.bind(id.str()).next());
  if (!is_there) return std::nullopt;
  GODWIT_TRY(auto identity, read_identity(row));
  return identity;
}

Result<std::vector<DeviceIdentity>> SqliteDevices::list_identities(const std::string& after, std::size_t limit) {
  GODWIT_TRY(auto row, connection_.prepare("SELECT " + std::string(kIdentityColumns) +
                                           " FROM identities WHERE device_id > ? ORDER BY device_id LIMIT ?"));
  row.bind(after, limit);
  std::vector<DeviceIdentity> identities;
  for (;;) {
    GODWIT_TRY(const bool is_there, row.next());
    if (!is_there) return identities;
    GODWIT_TRY(auto identity, read_identity(row));
    identities.push_back(std::move(identity));
  }
}

Result<std::uint64_t> SqliteDevices::count_identities() {
  GODWIT_TRY(auto row, connection_.prepare("SELECT count(*) FROM identities"));
  GODWIT_TRY(const bool is_there, row.next());
  return is_there ? static_cast<std::uint64_t>(row.integer(0)) : 0U;
}

Result<void> SqliteDevices::insert_identity(const DeviceIdentity& identity, WallTime now) {
  GODWIT_TRY(const auto present, find_identity(identity.id));
  if (present) return fail(Code::conflict, "device '" + identity.id.str() + "' exists already");
  GODWIT_TRY_VOID(connection_.run(
      "INSERT INTO identities (device_id, is_enabled, status_reason, primary_key, secondary_key, generation, etag, "
      "created) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
      identity.id.str(), identity.is_enabled, identity.status_reason, BlobView{identity.primary_key.reveal()},
      BlobView{identity.secondary_key.reveal()}, identity.generation, identity.etag, identity.created));
  GODWIT_TRY_VOID(connection_.run("INSERT INTO sessions (device_id, last_activity) VALUES (?, ?)", identity.id.str(),
                                  from_unix_ms(0)));
  const std::string empty_metadata = json::print(json::Object{{"$lastUpdated", format_time_7(now)}});
  return connection_.run(
      "INSERT INTO twins (device_id, version, tags, desired, desired_metadata, desired_version, reported, "
      "reported_metadata, reported_version) VALUES (?, 1, '{}', '{}', ?, 1, '{}', ?, 1)",
      identity.id.str(), empty_metadata, empty_metadata);
}

Result<void> SqliteDevices::update_identity(const DeviceIdentity& identity) {
  GODWIT_TRY_VOID(connection_.run(
      "UPDATE identities SET is_enabled = ?, status_reason = ?, primary_key = ?, secondary_key = ?, generation = ?, "
      "etag = ? WHERE device_id = ?",
      identity.is_enabled, identity.status_reason, BlobView{identity.primary_key.reveal()},
      BlobView{identity.secondary_key.reveal()}, identity.generation, identity.etag, identity.id.str()));
  if (connection_.changes() == 0) return fail(Code::not_found, "device '" + identity.id.str() + "' does not exist");
  return {};
}

Result<bool> SqliteDevices::remove_identity(const DeviceId& id) {
  GODWIT_TRY_VOID(connection_.run("DELETE FROM identities WHERE device_id = ?", id.str()));
  return connection_.changes() > 0;
}

Result<std::optional<DeviceSession>> SqliteDevices::find_session(const DeviceId& id) {
  GODWIT_TRY(auto row, connection_.prepare("SELECT subscriptions, granted_qos, model_id, is_connected, last_activity, "
                                           "last_disconnect_reason FROM sessions WHERE device_id = ?"));
  GODWIT_TRY(const bool is_there, row.bind(id.str()).next());
  if (!is_there) return std::nullopt;
  return DeviceSession{.subscriptions = static_cast<std::uint8_t>(row.integer(0)),
                       .granted_qos = static_cast<std::uint8_t>(row.integer(1)),
                       .model_id = row.text(2),
                       .is_connected = row.boolean(3),
                       .last_activity = row.time(4),
                       .last_disconnect_reason = row.text(5)};
}

Result<void> SqliteDevices::save_session(const DeviceId& id, const DeviceSession& session) {
  GODWIT_TRY_VOID(
      connection_.run("UPDATE sessions SET subscriptions = ?, granted_qos = ?, model_id = ?, is_connected = ?, "
                      "last_activity = ?, last_disconnect_reason = ? WHERE device_id = ?",
                      session.subscriptions, session.granted_qos, session.model_id, session.is_connected,
                      session.last_activity, session.last_disconnect_reason, id.str()));
  if (connection_.changes() == 0) return fail(Code::not_found, "device '" + id.str() + "' does not exist");
  return {};
}

Result<void> SqliteDevices::mark_all_disconnected(std::string_view reason) {
  return connection_.run("UPDATE sessions SET is_connected = 0, last_disconnect_reason = ? WHERE is_connected = 1",
                         reason);
}

Result<std::optional<TwinRecord>> SqliteDevices::find_twin(const DeviceId& id) {
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

Result<void> SqliteDevices::save_twin(const DeviceId& id, const TwinRecord& record) {
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

}  // namespace godwit::store::sqlite
