#include "server/store/sqlite/migrations.hpp"

namespace godwit::store::sqlite {
namespace {

// trust_revision is kept by triggers, so that no way of changing a credential can forget it.
constexpr std::string_view kSql = R"sql(
CREATE TABLE hub_authorities (
  name TEXT PRIMARY KEY NOT NULL,
  certificate BLOB NOT NULL,
  subject TEXT NOT NULL,
  sha256 TEXT NOT NULL UNIQUE,
  not_after INTEGER NOT NULL,
  is_enabled INTEGER NOT NULL,
  revocation_list BLOB NOT NULL,
  revocation_list_made INTEGER NOT NULL,
  revocation_list_expires INTEGER,
  revoked INTEGER NOT NULL,
  etag INTEGER NOT NULL,
  created INTEGER NOT NULL,
  updated INTEGER NOT NULL
);

CREATE TABLE enrollments (
  kind INTEGER NOT NULL,
  id TEXT NOT NULL,
  is_enabled INTEGER NOT NULL,
  attestation INTEGER NOT NULL,
  primary_key BLOB NOT NULL,   -- sealed
  secondary_key BLOB NOT NULL, -- sealed
  primary_certificate TEXT NOT NULL,
  secondary_certificate TEXT NOT NULL,
  device_id TEXT NOT NULL,
  policy INTEGER NOT NULL,
  initial_twin TEXT NOT NULL,
  etag INTEGER NOT NULL,
  created INTEGER NOT NULL,
  updated INTEGER NOT NULL,
  PRIMARY KEY (kind, id)
) WITHOUT ROWID;
CREATE INDEX enrollments_by_authority ON enrollments(primary_certificate) WHERE attestation = 3;
CREATE INDEX enrollments_by_second_authority ON enrollments(secondary_certificate) WHERE attestation = 3;

CREATE TABLE registrations (
  id TEXT PRIMARY KEY NOT NULL,
  enrollment_kind INTEGER NOT NULL,
  enrollment_id TEXT NOT NULL,
  device_id TEXT NOT NULL,
  status INTEGER NOT NULL,
  substatus INTEGER NOT NULL,
  error_code INTEGER NOT NULL,
  error_message TEXT NOT NULL,
  etag INTEGER NOT NULL,
  created INTEGER NOT NULL,
  updated INTEGER NOT NULL,
  FOREIGN KEY (enrollment_kind, enrollment_id) REFERENCES enrollments(kind, id) ON DELETE CASCADE
);
CREATE INDEX registrations_by_enrollment ON registrations(enrollment_kind, enrollment_id, id);

CREATE TABLE trust_revision (id INTEGER PRIMARY KEY CHECK (id = 1), revision INTEGER NOT NULL);
INSERT INTO trust_revision VALUES (1, 1);
CREATE TRIGGER hub_authorities_inserted AFTER INSERT ON hub_authorities BEGIN UPDATE trust_revision SET revision = revision + 1; END;
CREATE TRIGGER hub_authorities_updated AFTER UPDATE ON hub_authorities BEGIN UPDATE trust_revision SET revision = revision + 1; END;
CREATE TRIGGER hub_authorities_deleted AFTER DELETE ON hub_authorities BEGIN UPDATE trust_revision SET revision = revision + 1; END;
CREATE TRIGGER enrollment_groups_inserted AFTER INSERT ON enrollments WHEN NEW.kind = 1 BEGIN UPDATE trust_revision SET revision = revision + 1; END;
CREATE TRIGGER enrollment_groups_updated AFTER UPDATE ON enrollments WHEN NEW.kind = 1 BEGIN UPDATE trust_revision SET revision = revision + 1; END;
CREATE TRIGGER enrollment_groups_deleted AFTER DELETE ON enrollments WHEN OLD.kind = 1 BEGIN UPDATE trust_revision SET revision = revision + 1; END;
)sql";

}  // namespace

Migration migration_0007() { return {.version = 7, .name = "certificates and provisioning", .sql = kSql}; }

}  // namespace godwit::store::sqlite
