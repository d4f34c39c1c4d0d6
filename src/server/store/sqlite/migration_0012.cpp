#include "server/store/sqlite/migrations.hpp"

namespace godwit::store::sqlite {

// status: 0 not started, 1 running, 2 succeeded, 3 failed. agent: "device" or "device/module", as text: it may be
// removed while a collection remembers it. stored: the file's name in the folder of its container.
Migration migration_0012() {
  return {12, "log collections", R"sql(
CREATE TABLE log_collections (
  id TEXT PRIMARY KEY,
  description TEXT NOT NULL,
  actor TEXT NOT NULL,
  created INTEGER NOT NULL,
  changed INTEGER NOT NULL,
  deadline INTEGER NOT NULL
);
CREATE INDEX log_collections_by_change ON log_collections(changed);

CREATE TABLE log_agents (
  collection_id TEXT NOT NULL REFERENCES log_collections(id) ON DELETE CASCADE,
  agent TEXT NOT NULL,
  status INTEGER NOT NULL,
  container TEXT NOT NULL UNIQUE,
  code INTEGER,
  details TEXT NOT NULL,
  PRIMARY KEY (collection_id, agent)
) WITHOUT ROWID;
CREATE INDEX log_agents_open ON log_agents(agent) WHERE status < 2;

CREATE TABLE log_files (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  container TEXT NOT NULL REFERENCES log_agents(container) ON DELETE CASCADE,
  name TEXT NOT NULL,
  stored TEXT NOT NULL,
  size INTEGER NOT NULL,
  sha256 BLOB NOT NULL,
  received INTEGER NOT NULL,
  UNIQUE (container, name)
);
)sql"};
}

}  // namespace godwit::store::sqlite
