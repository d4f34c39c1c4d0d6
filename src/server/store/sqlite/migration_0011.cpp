#include "server/store/sqlite/migrations.hpp"

namespace godwit::store::sqlite {

// instance: the only one that a token opens, '' for all. made_by: the token that made it, '' for the installation.
Migration migration_0011() {
  return {11, "scoped tokens", R"sql(
ALTER TABLE tokens ADD COLUMN instance TEXT NOT NULL DEFAULT '';
ALTER TABLE tokens ADD COLUMN made_by TEXT NOT NULL DEFAULT '';
ALTER TABLE tokens ADD COLUMN last_used INTEGER;
)sql"};
}

}  // namespace godwit::store::sqlite
