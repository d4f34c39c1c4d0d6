#include "server/store/sqlite/migrations.hpp"

namespace godwit::store::sqlite {

// version_key writes each part of a version with ten digits, so that text order is version order.
Migration migration_0002() {
  return {2, "catalog", R"sql(
CREATE TABLE updates (
  update_key INTEGER PRIMARY KEY,
  provider TEXT NOT NULL,
  name TEXT NOT NULL,
  version TEXT NOT NULL,
  version_key TEXT NOT NULL,
  description TEXT NOT NULL,
  friendly_name TEXT NOT NULL,
  is_deployable INTEGER NOT NULL,
  compatibility TEXT NOT NULL,
  import_manifest TEXT NOT NULL,
  scan_result TEXT NOT NULL,
  scan_details TEXT NOT NULL,
  etag TEXT NOT NULL,
  imported INTEGER NOT NULL,
  UNIQUE (provider, name, version_key)
);

CREATE TABLE update_compatibility (
  update_key INTEGER NOT NULL REFERENCES updates(update_key) ON DELETE CASCADE,
  set_text TEXT NOT NULL,
  PRIMARY KEY (set_text, update_key)
) WITHOUT ROWID;
CREATE INDEX update_compatibility_update ON update_compatibility(update_key);

-- A child cannot go while a parent refers to it.
CREATE TABLE update_references (
  parent_key INTEGER NOT NULL REFERENCES updates(update_key) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  child_key INTEGER NOT NULL REFERENCES updates(update_key) ON DELETE RESTRICT,
  PRIMARY KEY (parent_key, position)
) WITHOUT ROWID;
CREATE INDEX update_references_child ON update_references(child_key);

CREATE TABLE update_blobs (
  sha256 BLOB NOT NULL,
  update_key INTEGER NOT NULL REFERENCES updates(update_key) ON DELETE CASCADE,
  PRIMARY KEY (sha256, update_key)
) WITHOUT ROWID;
CREATE INDEX update_blobs_update ON update_blobs(update_key);

CREATE TABLE update_offers (
  update_key INTEGER NOT NULL REFERENCES updates(update_key) ON DELETE CASCADE,
  manifest_version INTEGER NOT NULL,
  whole_manifest TEXT NOT NULL,
  manifest TEXT NOT NULL,
  signature TEXT NOT NULL,
  files TEXT NOT NULL,
  PRIMARY KEY (update_key, manifest_version)
);

CREATE TABLE update_operations (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  kind INTEGER NOT NULL,
  status INTEGER NOT NULL,
  request TEXT NOT NULL,
  provider TEXT,
  name TEXT,
  version TEXT,
  update_description TEXT NOT NULL,
  update_friendly_name TEXT NOT NULL,
  error TEXT NOT NULL,
  trace_id TEXT NOT NULL,
  etag TEXT NOT NULL,
  created INTEGER NOT NULL,
  last_action INTEGER NOT NULL
);
CREATE INDEX update_operations_unfinished ON update_operations(sequence) WHERE status < 2;
CREATE INDEX update_operations_finished ON update_operations(last_action) WHERE status >= 2;
)sql"};
}

}  // namespace godwit::store::sqlite
