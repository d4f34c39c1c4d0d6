#include "server/store/sqlite/migrations.hpp"

namespace godwit::store::sqlite {

// Twins live apart from identities: they change thousands of times as often, and a session changes at each connection.
Migration migration_0001() {
  return {1, "devices, twins, sessions, access", R"sql(
CREATE TABLE identities (
  device_id TEXT PRIMARY KEY,
  is_enabled INTEGER NOT NULL,
  status_reason TEXT NOT NULL,
  primary_key BLOB NOT NULL,
  secondary_key BLOB NOT NULL,
  generation TEXT NOT NULL,
  etag INTEGER NOT NULL,
  created INTEGER NOT NULL
);

CREATE TABLE sessions (
  device_id TEXT PRIMARY KEY REFERENCES identities(device_id) ON DELETE CASCADE,
  subscriptions INTEGER NOT NULL DEFAULT 0,
  granted_qos INTEGER NOT NULL DEFAULT 0,
  model_id TEXT NOT NULL DEFAULT '',
  is_connected INTEGER NOT NULL DEFAULT 0,
  last_activity INTEGER NOT NULL,
  last_disconnect_reason TEXT NOT NULL DEFAULT ''
);
CREATE INDEX sessions_connected ON sessions(device_id) WHERE is_connected = 1;

CREATE TABLE twins (
  device_id TEXT PRIMARY KEY REFERENCES identities(device_id) ON DELETE CASCADE,
  version INTEGER NOT NULL,
  tags TEXT NOT NULL,
  desired TEXT NOT NULL,
  desired_metadata TEXT NOT NULL,
  desired_version INTEGER NOT NULL,
  reported TEXT NOT NULL,
  reported_metadata TEXT NOT NULL,
  reported_version INTEGER NOT NULL
);

CREATE TABLE tokens (
  sha256 BLOB PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  role TEXT NOT NULL,
  created INTEGER NOT NULL,
  expires INTEGER
) WITHOUT ROWID;

CREATE TABLE settings (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE audit_events (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  at INTEGER NOT NULL,
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  subject TEXT NOT NULL,
  details TEXT NOT NULL
);
)sql"};
}

}  // namespace godwit::store::sqlite
