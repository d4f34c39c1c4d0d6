// Who may use the API, settings of the installation, and the audit trail. Part of a transaction, see store.hpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/base/clock.hpp"
#include "core/base/error.hpp"

namespace godwit::store {

/// A bearer token as it is kept: the token itself is shown once and never stored.
struct TokenRecord {
  Bytes sha256{};      // of the token's text; 32 bytes
  std::string name{};  // 1..64, unique; appears in the audit trail
  std::string role{};  // api/permissions.hpp knows which exist
  WallTime created{};
  std::optional<WallTime> expires{};  // nullopt: never
  std::string instance{};             // the only instance it opens; "": all
  std::string made_by{};              // name of the token that made it; "": the installation
  std::optional<WallTime> last_used{};
};

/// One line of "who did what to what". Appended, never changed.
struct AuditEvent {
  std::int64_t id = 0;  // given by the store, rising
  WallTime at{};
  std::string actor{};    // token name, or "system"
  std::string action{};   // "deployment.created", "update.deleted"
  std::string subject{};  // what it was done to: an id
  std::string details{};  // JSON object text or empty; holds no secrets
};

class AccessRecords {
 public:
  virtual ~AccessRecords() = default;
  [[nodiscard]] virtual Result<std::optional<TokenRecord>> find_token(const Bytes& sha256) = 0;
  [[nodiscard]] virtual Result<std::optional<TokenRecord>> find_token_named(const std::string& name) = 0;
  [[nodiscard]] virtual Result<std::vector<TokenRecord>> list_tokens() = 0;  // by name
  /// Errors: conflict when the name or the token exists.
  [[nodiscard]] virtual Result<void> insert_token(const TokenRecord& token) = 0;
  [[nodiscard]] virtual Result<bool> remove_token(const std::string& name) = 0;  // false: there was none
  /// A token that is gone is success.
  [[nodiscard]] virtual Result<void> note_token_use(const Bytes& sha256, WallTime at) = 0;

  [[nodiscard]] virtual Result<std::optional<std::string>> find_setting(std::string_view key) = 0;
  [[nodiscard]] virtual Result<void> save_setting(std::string_view key, std::string_view value) = 0;

  [[nodiscard]] virtual Result<void> append_audit(const AuditEvent& event) = 0;  // `id` is ignored
  /// Newest first, ids below `before` (0 = from the newest), at most `limit`.
  [[nodiscard]] virtual Result<std::vector<AuditEvent>> list_audit(std::int64_t before, std::size_t limit) = 0;
};

}  // namespace godwit::store
