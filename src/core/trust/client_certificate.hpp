// A certificate that a device shows, or one of the authorities and revocation lists it is judged by: parsed within
// bounds, its facts as values. Whether a chain holds is decided in certificate_chain.hpp.
// Immutable after construction; safe from any thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/base/clock.hpp"
#include "core/base/error.hpp"

namespace godwit::trust {

inline constexpr std::size_t kCertificateBytes = 16 * 1024;            // DER
inline constexpr std::size_t kCertificatesInText = 8;                  // PEM blocks of one text
inline constexpr std::size_t kRevocationListBytes = 2 * 1024 * 1024;   // DER; about 60,000 entries
inline constexpr std::size_t kCertificateTextBytes = 3 * 1024 * 1024;  // PEM of any of these

/// What people and rules need to know of a certificate.
struct CertificateFacts {
  std::string subject{};      // as RFC 2253 writes it: "CN=device-1,O=Contoso"
  std::string issuer{};       // the same
  std::string common_name{};  // of the subject; "" when there is none, more than one, or a NUL in it
  std::string serial{};       // lower-case hex
  std::string sha1{};         // over the DER, lower-case hex
  std::string sha256{};       // the same
  WallTime not_before{};
  WallTime not_after{};
  int version = 3;
  bool is_authority = false;  // basic constraints say CA
};

class Certificate {
 public:
  /// One certificate and nothing behind it. Errors: too_large, invalid_argument.
  [[nodiscard]] static Result<Certificate> from_der(std::string_view der);
  /// Exactly one PEM block. Errors: as from_der().
  [[nodiscard]] static Result<Certificate> from_pem(std::string_view pem);
  /// One to kCertificatesInText blocks, in the order of the text.
  [[nodiscard]] static Result<std::vector<Certificate>> list_from_pem(std::string_view pem);

  [[nodiscard]] const CertificateFacts& facts() const { return facts_; }
  [[nodiscard]] const Bytes& der() const { return der_; }
  [[nodiscard]] std::string to_pem() const;
  [[nodiscard]] void* native() const { return x509_.get(); }  // X509*, for this room

 private:
  Certificate() = default;
  CertificateFacts facts_{};
  Bytes der_{};
  std::shared_ptr<void> x509_{};
};

class RevocationList {
 public:
  /// Delta lists and lists of only some kinds of certificates are refused: they cannot answer "is it revoked?" alone.
  /// Errors: too_large, invalid_argument, unsupported.
  [[nodiscard]] static Result<RevocationList> from_der(std::string_view der);
  [[nodiscard]] static Result<RevocationList> from_pem(std::string_view pem);

  /// Nothing when `issuer` made and signed this list. Errors: bad_signature.
  [[nodiscard]] Result<void> check_issuer(const Certificate& issuer) const;

  [[nodiscard]] const std::string& issuer() const { return issuer_; }
  [[nodiscard]] WallTime made() const { return made_; }
  [[nodiscard]] std::optional<WallTime> next() const { return next_; }  // nullopt: the list does not end
  [[nodiscard]] std::size_t entries() const { return entries_; }
  [[nodiscard]] const Bytes& der() const { return der_; }
  [[nodiscard]] void* native() const { return crl_.get(); }  // X509_CRL*, for this room

 private:
  RevocationList() = default;
  std::string issuer_{};
  WallTime made_{};
  std::optional<WallTime> next_{};
  std::size_t entries_ = 0;
  Bytes der_{};
  std::shared_ptr<void> crl_{};
};

/// "AB:CD.." or "abcd.." as lower-case hex without colons. Errors: invalid_argument when it is neither SHA-1 nor
/// SHA-256.
[[nodiscard]] Result<std::string> parse_thumbprint(std::string_view text);

}  // namespace godwit::trust
