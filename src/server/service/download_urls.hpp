// Expiring, signed URLs for payloads: https://HOST/download/SHA256HEX/FILENAME?se=UNIX&sig=BASE64URL. The signature is
// HMAC-SHA256 over "SHA256HEX\nUNIX" with the installation's URL key. The URL may lie, the digest in the manifest may
// not; the signature only keeps strangers from fetching. Immutable; safe from any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/base/bytes.hpp"
#include "core/base/clock.hpp"
#include "core/base/error.hpp"
#include "core/base/secret.hpp"

namespace godwit::service {

class DownloadUrls {
 public:
  /// `base_url`: "https://host:port" without a trailing slash, as devices reach it. `lifetime` at least an hour.
  DownloadUrls(std::string base_url, Secret key, Duration lifetime);
  [[nodiscard]] std::string payload(const Bytes& sha256, std::string_view file_name, WallTime now) const;
  [[nodiscard]] std::string root_key_package(
      std::int64_t version) const;  // BASE/rootkeys/rootkeypackage-VERSION.json, unsigned: the content is
  /// The version in the name "rootkeypackage-VERSION.json"; nullopt for any other.
  [[nodiscard]] static std::optional<std::int64_t> root_key_package_version(std::string_view file);
  /// Checks hex digest, expiry and signature. Errors: forbidden ("the link expired at ..."), invalid_argument.
  [[nodiscard]] Result<Bytes> check(std::string_view sha256_hex, std::string_view expiry, std::string_view signature,
                                    WallTime now) const;
  [[nodiscard]] Duration lifetime() const { return lifetime_; }

 private:
  std::string base_url_;
  Secret key_;
  Duration lifetime_;
};

}  // namespace godwit::service
