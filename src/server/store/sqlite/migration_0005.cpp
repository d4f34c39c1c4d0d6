#include "server/store/sqlite/migrations.hpp"

namespace godwit::store::sqlite {

// rights: 1 registry read, 2 registry write, 4 service connect, 8 device connect. Keys are sealed. Names that differ in
// case only would be told apart by nobody.
Migration migration_0005() {
  return {5, "shared access policies", R"sql(
CREATE TABLE shared_access_policies (
  name TEXT PRIMARY KEY COLLATE NOCASE,
  rights INTEGER NOT NULL,
  is_built_in INTEGER NOT NULL,
  primary_key BLOB NOT NULL,
  secondary_key BLOB NOT NULL,
  created INTEGER NOT NULL,
  changed INTEGER NOT NULL
) WITHOUT ROWID;
)sql"};
}

}  // namespace godwit::store::sqlite
