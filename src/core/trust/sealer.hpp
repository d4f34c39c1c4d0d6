// Keeps secrets unreadable at rest: AES-256-GCM under one key of the installation, each secret bound to a context (what
// it is and whose), so that a sealed value moved to another row does not open there.
// Format: one byte 1, 12 bytes nonce, ciphertext, 16 bytes tag. Immutable; safe from any thread.
#pragma once

#include <string_view>

#include "core/base/bytes.hpp"
#include "core/base/error.hpp"
#include "core/base/secret.hpp"

namespace godwit::trust {

class Sealer {
 public:
  static constexpr std::size_t kKeyBytes = 32;
  static constexpr std::size_t kOverhead = 1 + 12 + 16;  // bytes that sealing adds

  /// Errors: invalid_argument when the key has not kKeyBytes bytes.
  [[nodiscard]] static Result<Sealer> from_key(const Secret& key);

  /// `context` is authenticated, not stored: the same one must be given to open().
  [[nodiscard]] Bytes seal(std::string_view plain, std::string_view context) const;
  /// Errors: crypto_failed when `sealed` was changed, cut, sealed under another key or for another context.
  [[nodiscard]] Result<Secret> open(std::string_view sealed, std::string_view context) const;

 private:
  explicit Sealer(Secret key) : key_(std::move(key)) {}
  Secret key_;
};

}  // namespace godwit::trust
