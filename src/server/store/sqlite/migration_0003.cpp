#include "server/store/sqlite/migrations.hpp"

namespace godwit::store::sqlite {
namespace {

// "" stands for "none" in text columns and -1 in state columns, because NULL is never equal to NULL in a primary key.
// The counters are kept by triggers: whatever changes a device changes its counter in the same statement. They use
// upserts, because INSERT OR IGNORE inside a trigger takes over the conflict rule of the statement that fired it
// (sqlite.org/lang_createtrigger.html).
constexpr std::string_view kSql = R"sql(
CREATE TABLE fleet_devices (
  id TEXT PRIMARY KEY NOT NULL,
  group_id TEXT NOT NULL,
  class_id TEXT NOT NULL,
  failed_check TEXT NOT NULL,
  health_problem TEXT NOT NULL,
  model_id TEXT NOT NULL,
  installed TEXT NOT NULL,
  attempted TEXT NOT NULL,
  deployment INTEGER NOT NULL,
  last_deployment_id TEXT NOT NULL,
  state INTEGER NOT NULL,
  result_json TEXT NOT NULL,
  created INTEGER NOT NULL,
  updated INTEGER NOT NULL
);
CREATE INDEX fleet_devices_by_subgroup ON fleet_devices (group_id, class_id, id);
CREATE INDEX fleet_devices_by_class ON fleet_devices (class_id, id);

CREATE TABLE fleet_counts (
  group_id TEXT NOT NULL,
  class_id TEXT NOT NULL,
  installed TEXT NOT NULL,
  attempted TEXT NOT NULL,
  state INTEGER NOT NULL,
  devices INTEGER NOT NULL,
  PRIMARY KEY (group_id, class_id, installed, attempted, state)
) WITHOUT ROWID;
CREATE TRIGGER fleet_devices_inserted AFTER INSERT ON fleet_devices BEGIN
  INSERT INTO fleet_counts VALUES (NEW.group_id, NEW.class_id, NEW.installed, NEW.attempted, NEW.state, 1)
    ON CONFLICT (group_id, class_id, installed, attempted, state) DO UPDATE SET devices = devices + 1;
END;
CREATE TRIGGER fleet_devices_deleted AFTER DELETE ON fleet_devices BEGIN
  UPDATE fleet_counts SET devices = devices - 1 WHERE group_id = OLD.group_id AND class_id = OLD.class_id
    AND installed = OLD.installed AND attempted = OLD.attempted AND state = OLD.state;
  DELETE FROM fleet_counts WHERE group_id = OLD.group_id AND class_id = OLD.class_id
    AND installed = OLD.installed AND attempted = OLD.attempted AND state = OLD.state AND devices = 0;
END;
CREATE TRIGGER fleet_devices_moved AFTER UPDATE OF group_id, class_id, installed, attempted, state ON fleet_devices
WHEN OLD.group_id <> NEW.group_id OR OLD.class_id <> NEW.class_id OR OLD.installed <> NEW.installed
  OR OLD.attempted <> NEW.attempted OR OLD.state <> NEW.state BEGIN
  UPDATE fleet_counts SET devices = devices - 1 WHERE group_id = OLD.group_id AND class_id = OLD.class_id
    AND installed = OLD.installed AND attempted = OLD.attempted AND state = OLD.state;
  DELETE FROM fleet_counts WHERE group_id = OLD.group_id AND class_id = OLD.class_id
    AND installed = OLD.installed AND attempted = OLD.attempted AND state = OLD.state AND devices = 0;
  INSERT INTO fleet_counts VALUES (NEW.group_id, NEW.class_id, NEW.installed, NEW.attempted, NEW.state, 1)
    ON CONFLICT (group_id, class_id, installed, attempted, state) DO UPDATE SET devices = devices + 1;
END;

CREATE TABLE fleet_classes (
  id TEXT PRIMARY KEY NOT NULL,
  compatibility TEXT NOT NULL,
  contract INTEGER NOT NULL,
  friendly_name TEXT NOT NULL,
  created INTEGER NOT NULL
);
CREATE TABLE fleet_groups (id TEXT PRIMARY KEY NOT NULL, created INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO fleet_groups VALUES ('$default', CAST(strftime('%s', 'now') AS INTEGER) * 1000);  -- the group without a tag is always there
CREATE TABLE fleet_subgroups (
  group_id TEXT NOT NULL,
  class_id TEXT NOT NULL,
  created INTEGER NOT NULL,
  PRIMARY KEY (group_id, class_id)
) WITHOUT ROWID;
CREATE INDEX fleet_subgroups_by_class ON fleet_subgroups (class_id);

CREATE TABLE fleet_operations (
  id TEXT PRIMARY KEY NOT NULL,
  status INTEGER NOT NULL,
  kind TEXT NOT NULL,
  after TEXT NOT NULL,
  error_code TEXT NOT NULL,
  error_message TEXT NOT NULL,
  etag INTEGER NOT NULL,
  created INTEGER NOT NULL,
  last_action INTEGER NOT NULL
);
CREATE INDEX fleet_operations_by_time ON fleet_operations (created);

CREATE TABLE deployments (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  group_id TEXT NOT NULL,
  id TEXT NOT NULL,
  update_id TEXT NOT NULL,
  start INTEGER NOT NULL,
  created INTEGER NOT NULL,
  rollback_update TEXT NOT NULL,
  rollback_percentage INTEGER NOT NULL,
  rollback_count INTEGER NOT NULL,
  is_rollback INTEGER NOT NULL,
  UNIQUE (group_id, id)
);
CREATE INDEX deployments_by_start ON deployments (group_id, start, number);

CREATE TABLE subgroup_deployments (
  deployment INTEGER NOT NULL,
  class_id TEXT NOT NULL,
  group_id TEXT NOT NULL,
  state INTEGER NOT NULL,
  start INTEGER NOT NULL,
  is_retried INTEGER NOT NULL,
  sweep INTEGER NOT NULL,
  sweep_after TEXT NOT NULL,
  retry_timestamp TEXT NOT NULL,
  error_code TEXT NOT NULL,
  error_message TEXT NOT NULL,
  PRIMARY KEY (deployment, class_id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX subgroup_deployments_one_active ON subgroup_deployments (group_id, class_id) WHERE state = 1;
CREATE INDEX subgroup_deployments_by_subgroup ON subgroup_deployments (group_id, class_id, state);
CREATE INDEX subgroup_deployments_scheduled ON subgroup_deployments (start) WHERE state = 0;
CREATE INDEX subgroup_deployments_sweeping ON subgroup_deployments (sweep) WHERE sweep <> 0;

CREATE TABLE deployment_devices (
  deployment INTEGER NOT NULL,
  device_id TEXT NOT NULL,
  group_id TEXT NOT NULL,
  class_id TEXT NOT NULL,
  workflow_id TEXT NOT NULL,
  state INTEGER NOT NULL,
  retry_count INTEGER NOT NULL,
  retry_timestamp TEXT NOT NULL,
  moved_on INTEGER NOT NULL,
  rounds INTEGER NOT NULL,
  heard INTEGER NOT NULL,
  result_json TEXT NOT NULL,
  urls_expire_at INTEGER NOT NULL,
  created INTEGER NOT NULL,
  updated INTEGER NOT NULL,
  UNIQUE (deployment, device_id)
);
CREATE INDEX deployment_devices_by_device ON deployment_devices (device_id, workflow_id);
CREATE INDEX deployment_devices_by_state ON deployment_devices (deployment, class_id, state, device_id);
CREATE INDEX deployment_devices_expiring ON deployment_devices (urls_expire_at) WHERE state = 1;

CREATE TABLE deployment_counts (
  deployment INTEGER NOT NULL,
  class_id TEXT NOT NULL,
  state INTEGER NOT NULL,
  devices INTEGER NOT NULL,
  PRIMARY KEY (deployment, class_id, state)
) WITHOUT ROWID;
CREATE TRIGGER deployment_devices_inserted AFTER INSERT ON deployment_devices BEGIN
  INSERT INTO deployment_counts VALUES (NEW.deployment, NEW.class_id, NEW.state, 1)
    ON CONFLICT (deployment, class_id, state) DO UPDATE SET devices = devices + 1;
END;
CREATE TRIGGER deployment_devices_deleted AFTER DELETE ON deployment_devices BEGIN
  UPDATE deployment_counts SET devices = devices - 1 WHERE deployment = OLD.deployment AND class_id = OLD.class_id AND state = OLD.state;
  DELETE FROM deployment_counts WHERE deployment = OLD.deployment AND class_id = OLD.class_id AND state = OLD.state AND devices = 0;
END;
CREATE TRIGGER deployment_devices_moved AFTER UPDATE OF class_id, state ON deployment_devices
WHEN OLD.class_id <> NEW.class_id OR OLD.state <> NEW.state BEGIN
  UPDATE deployment_counts SET devices = devices - 1 WHERE deployment = OLD.deployment AND class_id = OLD.class_id AND state = OLD.state;
  DELETE FROM deployment_counts WHERE deployment = OLD.deployment AND class_id = OLD.class_id AND state = OLD.state AND devices = 0;
  INSERT INTO deployment_counts VALUES (NEW.deployment, NEW.class_id, NEW.state, 1)
    ON CONFLICT (deployment, class_id, state) DO UPDATE SET devices = devices + 1;
END;

CREATE TABLE device_reports (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  device_id TEXT NOT NULL,
  time INTEGER NOT NULL,
  workflow_id TEXT NOT NULL,
  deployment INTEGER NOT NULL,
  verdict TEXT NOT NULL,
  report_json TEXT NOT NULL
);
CREATE INDEX device_reports_by_device ON device_reports (device_id, sequence);
)sql";

}  // namespace

Migration migration_0003() { return {.version = 3, .name = "fleet and rollout", .sql = kSql}; }

}  // namespace godwit::store::sqlite
