// Whether a device's certificate leads to an authority that is trusted here: chain, time, purpose, strength and
// revocation, judged by OpenSSL's own verifier and told in sentences. The TLS layer verifies nothing.
// Immutable after construction; safe from any thread.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/trust/client_certificate.hpp"

namespace godwit::trust {

inline constexpr std::size_t kIntermediatesLimit = 5;  // between the leaf and the trusted authority

enum class ChainFault : std::uint8_t {
  expired,
  not_yet_valid,
  unknown_issuer,
  bad_signature,
  revoked,
  revocation_list_expired,  // ours, not the device's: an operator has to upload a newer list
  not_for_clients,          // extended key usage or key usage exclude it
  bad_authority,            // an issuer that may not issue
  too_weak,                 // below 112 bits, or a broken digest
  too_long,
  other,
};
struct ChainProblem {
  ChainFault fault = ChainFault::other;
  std::string message;  // one sentence that names the certificate
};

/// A chain that holds: SHA-256 in hex of each certificate, the leaf first, the trusted one last.
using VerifiedChain = std::vector<std::string>;

/// Authorities (roots or intermediates, each trusted by itself) with their revocation lists. A certificate whose issuer
/// has a list here must not be on it, and the list must be of today; where there is no list nothing is revoked.
class TrustedAuthorities {
 public:
  TrustedAuthorities() = default;  // trusts nobody
  [[nodiscard]] static Result<TrustedAuthorities> make(const std::vector<Certificate>& authorities,
                                                       const std::vector<RevocationList>& lists);

  /// `intermediates`: what the peer sent besides its leaf, in any order; believed only as far as signatures go.
  [[nodiscard]] tl::expected<VerifiedChain, ChainProblem> verify(const Certificate& leaf,
                                                                 const std::vector<Certificate>& intermediates,
                                                                 WallTime now) const;
  [[nodiscard]] bool empty() const { return is_empty_; }

 private:
  std::shared_ptr<void> store_{};         // X509_STORE
  std::set<std::string> listed_issuers_;  // DER of the names that have a revocation list
  bool is_empty_ = true;
};

}  // namespace godwit::trust
