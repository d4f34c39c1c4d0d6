// Shared access policies: named keys with rights, for operators and devices that sign tokens. Part of a transaction,
// see store.hpp. Keys are sealed at rest.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/clock.hpp"
#include "core/base/error.hpp"
#include "core/base/secret.hpp"

namespace godwit::store {

/// Bits; the numbers are stored.
enum class AccessRight : std::uint8_t {
  registry_read = 1,
  registry_write = 2,
  service_connect = 4,
  device_connect = 8
};

struct SharedAccessPolicy {
  std::string name{};       // 1..64, unique in any case
  std::uint8_t rights = 0;  // sum of AccessRight, not 0
  bool is_built_in = false;
  Secret primary_key{};  // raw bytes, 16..64
  Secret secondary_key{};
  WallTime created{};
  WallTime changed{};

  [[nodiscard]] bool has(AccessRight right) const { return (rights & static_cast<std::uint8_t>(right)) != 0; }
};

class PolicyRecords {
 public:
  virtual ~PolicyRecords() = default;
  [[nodiscard]] virtual Result<std::optional<SharedAccessPolicy>> find(const std::string& name) = 0;
  [[nodiscard]] virtual Result<std::vector<SharedAccessPolicy>> list() = 0;  // by name; kept few by limits
  /// Errors: conflict when the name exists, in any case.
  [[nodiscard]] virtual Result<void> insert(const SharedAccessPolicy& policy) = 0;
  /// Rights, keys and `changed` of the one with this name.
  [[nodiscard]] virtual Result<void> update(const SharedAccessPolicy& policy) = 0;
  [[nodiscard]] virtual Result<bool> remove(const std::string& name) = 0;  // false: there was none
};

}  // namespace godwit::store
