#include "server/store/sqlite/migrations.hpp"

namespace godwit::store::sqlite {

// A device in progress is looked at when its time is over. Rows of before are looked at by the first tick, which gives
// them their time from now on. Lists of healthy devices, in all, by group, and by group and state, walk an index in id
// order.
Migration migration_0013() {
  return {13, "deadlines of deployments", R"sql(
ALTER TABLE deployment_devices ADD COLUMN began INTEGER NOT NULL DEFAULT 0;
ALTER TABLE deployment_devices ADD COLUMN give_up INTEGER NOT NULL DEFAULT 0;
UPDATE deployment_devices SET began = CAST(strftime('%s', 'now') AS INTEGER) * 1000 WHERE state = 1;
CREATE INDEX deployment_devices_give_up ON deployment_devices (give_up) WHERE state = 1;
CREATE INDEX fleet_devices_healthy ON fleet_devices (id) WHERE class_id <> '';
CREATE INDEX fleet_devices_by_group ON fleet_devices (group_id, id) WHERE class_id <> '';
CREATE INDEX fleet_devices_by_state ON fleet_devices (group_id, state, id) WHERE class_id <> '';
)sql"};
}

}  // namespace godwit::store::sqlite
