// Root keys: the trust anchors on a device and the signed package that names, adds and disables keys.
// Format: docs/reference/formats/root-key-package.md. Values; safe from any thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.hpp"
#include "core/base/error.hpp"
#include "core/model/outcome.hpp"
#include "core/trust/keys.hpp"

namespace godwit::trust {

/// The keys a device believes without asking anybody: kid -> key. A root-owned file on the device.
struct TrustAnchors {
  std::map<std::string, PublicKey> keys;
  bool is_test = false;  // test anchors accept test packages only, and the other way round

  /// {"isTest":false,"rootKeys":{"<kid>":{"keyType":"RSA","n":"...","e":65537}}}. 1..8 keys. Errors: bad_json,
  /// crypto_failed.
  [[nodiscard]] static Result<TrustAnchors> parse(std::string_view text);
  [[nodiscard]] std::string print() const;
};

/// So long before the end of a package service and doctor warn.
inline constexpr Duration kRootKeysNotice = std::chrono::days(30);

struct RootKeyPackage {
  bool is_test = false;
  std::int64_t version = 1;
  std::int64_t published = 0;  // unix seconds
  std::int64_t expires = 0;    // unix seconds, after `published`; 0: never
  std::vector<std::string> disabled_root_keys;
  std::vector<Bytes> disabled_signing_keys;                  // fingerprints
  std::vector<std::pair<std::string, PublicKey>> root_keys;  // in file order: signature i belongs to key i

  /// A package that stands past its end is withheld or forgotten: who goes by it does not hear of disabled keys.
  [[nodiscard]] bool has_expired(WallTime now) const;

  /// Signs with one private key for each root key, in the same order; gives the whole document.
  [[nodiscard]] Result<std::string> sign(const std::vector<const PrivateKey*>& keys) const;
};

/// Reads a package without believing it: for whoever made it, or has verified these bytes before. Errors: bad_json.
[[nodiscard]] Result<RootKeyPackage> read_root_key_package(std::string_view text);

/// Why a package was refused: the extended code that a device reports, and the sentence.
struct RootPackageProblem {
  ExtendedCode code = 0;
  Error error;
};
/// As verify_root_key_package(), with the extended code.
[[nodiscard]] tl::expected<RootKeyPackage, RootPackageProblem> check_root_key_package(std::string_view text,
                                                                                      const TrustAnchors& anchors,
                                                                                      std::int64_t oldest_version);

/// Verifies that every anchor is listed and that its signature holds; `oldest_version` refuses a rollback.
/// Errors: bad_signature, refused (isTest, rollback), bad_json.
[[nodiscard]] Result<RootKeyPackage> verify_root_key_package(std::string_view text, const TrustAnchors& anchors,
                                                             std::int64_t oldest_version);

}  // namespace godwit::trust
