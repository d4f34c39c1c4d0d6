// RSA keys for signing manifests: make, load, save, sign, verify; JWK form. RS256 only (RSASSA-PKCS1-v1_5, SHA-256).
// Immutable after construction; safe from any thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/base/bytes.hpp"
#include "core/base/error.hpp"
#include "core/base/json.hpp"
#include "core/base/secret.hpp"

namespace godwit::trust {

class PublicKey {
 public:
  /// `n` and `e` are big-endian bytes. Accepts 2048..8192 bit moduli and e = 65537 only. Errors: crypto_failed.
  [[nodiscard]] static Result<PublicKey> from_numbers(const Bytes& n, const Bytes& e);
  [[nodiscard]] static Result<PublicKey> from_jwk(const json::Object& jwk);  // kty RSA; n in either base64 alphabet
  [[nodiscard]] json::Object to_jwk(std::string_view kid) const;             // kty, n, e, alg, kid
  [[nodiscard]] const Bytes& modulus() const { return n_; }
  [[nodiscard]] bool verify(std::string_view data, std::string_view signature) const;
  /// SHA-256 over the DER PKCS#1 RSAPublicKey: how root key packages name a disabled signing key.
  [[nodiscard]] Bytes fingerprint() const;

 private:
  Bytes n_;
  std::shared_ptr<void> key_;  // EVP_PKEY
};

class PrivateKey {
 public:
  [[nodiscard]] static Result<PrivateKey> generate(int bits = 3072);
  [[nodiscard]] static Result<PrivateKey> from_pem(std::string_view pem);  // PKCS#8
  [[nodiscard]] Result<Secret> to_pem() const;
  [[nodiscard]] const PublicKey& public_key() const { return public_; }
  [[nodiscard]] Result<Bytes> sign(std::string_view data) const;

 private:
  PublicKey public_;
  std::shared_ptr<void> key_;
};

}  // namespace godwit::trust
