#include "server/store/sqlite/migrations.hpp"

namespace godwit::store::sqlite {

// Modules are identities whose key is "device/module"; `parent` names their device and is '' for a device.
// authentication: 0 symmetric keys, 1 certificate by thumbprint, 2 certificate by authority.
// Keys of rows with keys_sealed = 0 are plain; the store seals them when it is opened.
Migration migration_0004() {
  return {4, "modules, certificates, sealed keys", R"sql(
ALTER TABLE identities ADD COLUMN parent TEXT NOT NULL DEFAULT '';
ALTER TABLE identities ADD COLUMN authentication INTEGER NOT NULL DEFAULT 0;
ALTER TABLE identities ADD COLUMN primary_thumbprint TEXT NOT NULL DEFAULT '';
ALTER TABLE identities ADD COLUMN secondary_thumbprint TEXT NOT NULL DEFAULT '';
ALTER TABLE identities ADD COLUMN managed_by TEXT NOT NULL DEFAULT '';
ALTER TABLE identities ADD COLUMN status_updated INTEGER NOT NULL DEFAULT 0;
ALTER TABLE identities ADD COLUMN keys_sealed INTEGER NOT NULL DEFAULT 0;
CREATE INDEX identities_devices ON identities(device_id, is_enabled) WHERE parent = '';
CREATE INDEX identities_modules ON identities(parent, device_id) WHERE parent <> '';
CREATE INDEX identities_unsealed ON identities(device_id) WHERE keys_sealed = 0;

ALTER TABLE sessions ADD COLUMN connection_changed INTEGER NOT NULL DEFAULT 0;
)sql"};
}

}  // namespace godwit::store::sqlite
