// Who may do what: roles times permissions as one table. docs/reference/rest.md prints it. Values; safe from any
// thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "server/api/http.hpp"

namespace godwit::api {

enum class Role : std::uint8_t {
  administrator,
  reader,
  content_administrator,
  content_reader,
  deployments_administrator,
  deployments_reader,
  hub_administrator
};

[[nodiscard]] constexpr std::uint32_t bit(Permission permission) { return 1U << static_cast<unsigned>(permission); }

struct RoleRow {
  Role role;
  std::string_view name;  // as stored and as in configuration
  std::uint32_t permissions;
};

// clang-format off
inline constexpr auto kRoles = [] {
  using enum Permission;
  constexpr std::uint32_t updates = bit(updates_read) | bit(updates_write) | bit(updates_delete);
  constexpr std::uint32_t management = bit(management_read) | bit(management_write) | bit(management_delete);
  constexpr std::uint32_t hub = bit(registry_read) | bit(registry_write) | bit(hub_read) | bit(hub_write) | bit(device_connect);
  return std::to_array<RoleRow>({
      {Role::administrator,             "administrator",             updates | management | hub | bit(access_write)},
      {Role::reader,                    "reader",                    bit(updates_read) | bit(management_read) | bit(registry_read) | bit(hub_read)},
      {Role::content_administrator,     "content-administrator",     updates},
      {Role::content_reader,            "content-reader",            bit(updates_read)},
      {Role::deployments_administrator, "deployments-administrator", bit(updates_read) | management | bit(registry_read) | bit(hub_read)},
      {Role::deployments_reader,        "deployments-reader",        bit(updates_read) | bit(management_read)},
      {Role::hub_administrator,         "hub-administrator",         hub},
  });
}();
// clang-format on

[[nodiscard]] constexpr bool allows(Role role, Permission permission) {
  if (permission == Permission::none) return true;
  for (const RoleRow& row : kRoles)
    if (row.role == role) return (row.permissions & bit(permission)) != 0;
  return false;
}

[[nodiscard]] constexpr std::string_view role_name(Role role) {
  for (const RoleRow& row : kRoles)
    if (row.role == role) return row.name;
  return "unknown";
}

[[nodiscard]] constexpr std::optional<Role> parse_role(std::string_view name) {
  for (const RoleRow& row : kRoles)
    if (row.name == name) return row.role;
  return std::nullopt;
}

/// As 403 answers name it: "updates/write".
[[nodiscard]] constexpr std::string_view permission_name(Permission permission) {
  switch (permission) {
    case Permission::none: return "none";
    case Permission::updates_read: return "updates/read";
    case Permission::updates_write: return "updates/write";
    case Permission::updates_delete: return "updates/delete";
    case Permission::management_read: return "management/read";
    case Permission::management_write: return "management/write";
    case Permission::management_delete: return "management/delete";
    case Permission::hub_read: return "hub/read";
    case Permission::hub_write: return "hub/write";
    case Permission::access_write: return "access/write";
    case Permission::registry_read: return "registry/read";
    case Permission::registry_write: return "registry/write";
    case Permission::device_connect: return "device/connect";
  }
  return "unknown";
}

static_assert(allows(Role::content_reader, Permission::updates_read) &&
              !allows(Role::content_reader, Permission::management_read));
static_assert(allows(Role::deployments_reader, Permission::updates_read),
              "who sees deployments must see what they deploy");

}  // namespace godwit::api
