// Certificates for a self-made installation: a CA and server certificates (ECDSA P-256, X.509 v3). Blocking, pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/base/error.hpp"
#include "core/base/secret.hpp"

namespace godwit::trust {

struct CertificatePair {
  std::string certificate_pem;
  Secret key_pem;
};
[[nodiscard]] Result<CertificatePair> make_ca(std::string_view common_name, int days);
/// `names`: DNS names and IP addresses for subjectAltName; the first is the common name.
[[nodiscard]] Result<CertificatePair> issue_server_certificate(const CertificatePair& ca,
                                                               const std::vector<std::string>& names, int days);
/// SHA-256 of the first certificate in `pem`: 32 bytes, what other tools call its fingerprint. Errors:
/// invalid_argument.
[[nodiscard]] Result<Bytes> certificate_fingerprint(std::string_view pem);
/// A name or an address that the first certificate in `pem` was made for, the first of its subjectAltName; an IPv6
/// address in brackets, as it stands in a URL. Errors: invalid_argument.
[[nodiscard]] Result<std::string> certificate_name(std::string_view pem);

}  // namespace godwit::trust
