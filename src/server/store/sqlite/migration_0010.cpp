#include "server/store/sqlite/migrations.hpp"

namespace godwit::store::sqlite {

// {"<sha256 in hex>": ["<result>", "<details>"]}
Migration migration_0010() {
  return {10, "malware scans", R"sql(
ALTER TABLE updates ADD COLUMN file_scans TEXT NOT NULL DEFAULT '{}';
)sql"};
}

}  // namespace godwit::store::sqlite
