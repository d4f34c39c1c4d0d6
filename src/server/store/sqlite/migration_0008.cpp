#include "server/store/sqlite/migrations.hpp"

namespace godwit::store::sqlite {

// sessions.queued_messages is kept by triggers, since it is asked for at each connect and in every list of twins.
// acknowledgement: 0 none, 1 positive, 2 negative, 3 full. ended: 0 success, 1 expired, 2 delivery count exceeded,
// 3 rejected, 4 purged.
Migration migration_0008() {
  return {8, "messages for devices", R"sql(
ALTER TABLE sessions ADD COLUMN telemetry_count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN queued_messages INTEGER NOT NULL DEFAULT 0;

CREATE TABLE cloud_messages (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  device_id TEXT NOT NULL REFERENCES identities(device_id) ON DELETE CASCADE,
  message_id TEXT NOT NULL,
  properties TEXT NOT NULL,
  payload BLOB NOT NULL,
  enqueued INTEGER NOT NULL,
  expires INTEGER NOT NULL,
  deliveries INTEGER NOT NULL,
  acknowledgement INTEGER NOT NULL
);
CREATE INDEX cloud_messages_by_device ON cloud_messages(device_id, sequence);
CREATE INDEX cloud_messages_by_expiry ON cloud_messages(expires);

CREATE TRIGGER cloud_messages_added AFTER INSERT ON cloud_messages BEGIN
  UPDATE sessions SET queued_messages = queued_messages + 1 WHERE device_id = NEW.device_id;
END;
CREATE TRIGGER cloud_messages_removed AFTER DELETE ON cloud_messages BEGIN
  UPDATE sessions SET queued_messages = queued_messages - 1 WHERE device_id = OLD.device_id;
END;

CREATE TABLE message_feedback (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  device TEXT NOT NULL,
  generation TEXT NOT NULL,
  message_id TEXT NOT NULL,
  ended INTEGER NOT NULL,
  at INTEGER NOT NULL
);
)sql"};
}

}  // namespace godwit::store::sqlite
