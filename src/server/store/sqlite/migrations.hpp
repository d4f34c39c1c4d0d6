// Numbered changes of the schema, each applied once, in its own transaction, in order. Never edit one that was
// released. 0001: devices, twins, sessions, access. 0002: catalog. 0003: fleet and rollout. 0004: modules,
// certificates, sealed keys. 0005: shared access policies. 0006: index of tags. 0007: certificates and provisioning.
// 0008: messages to devices. 0009: jobs. 0010: malware scans. 0011: scoped tokens.
// 0012: log collections.
#pragma once

#include <span>
#include <string_view>

#include "server/store/sqlite/statement.hpp"

namespace godwit::store::sqlite {

struct Migration {
  int version;
  std::string_view name;
  std::string_view sql;  // several statements, no BEGIN or COMMIT
};

/// Each is defined in a file of its own, migration_NNNN.cpp.
[[nodiscard]] Migration migration_0001();
[[nodiscard]] Migration migration_0002();
[[nodiscard]] Migration migration_0003();
[[nodiscard]] Migration migration_0004();
[[nodiscard]] Migration migration_0005();
[[nodiscard]] Migration migration_0006();
[[nodiscard]] Migration migration_0007();
[[nodiscard]] Migration migration_0008();
[[nodiscard]] Migration migration_0009();
[[nodiscard]] Migration migration_0010();
[[nodiscard]] Migration migration_0011();
[[nodiscard]] Migration migration_0012();
[[nodiscard]] Migration migration_0013();

/// All of them, version 1 upwards without gaps.
[[nodiscard]] std::span<const Migration> all_migrations();

/// The version of the database, 0 for an empty one.
[[nodiscard]] Result<int> schema_version(Connection& connection);
/// Brings the database up to the last of `migrations`. Errors: unsupported when it is newer than that.
[[nodiscard]] Result<void> migrate(Connection& connection, std::span<const Migration> migrations, WallTime now);

}  // namespace godwit::store::sqlite
