// The certificates of a TLS peer, and whether they prove an identity of the hub. The TLS layer let any pass: all
// judgement is here. Pure; safe from any thread.
#pragma once

#include <vector>

#include "core/trust/certificate_chain.hpp"
#include "server/store/device_records.hpp"

namespace godwit::hub {

struct ClientCertificates {
  trust::Certificate leaf;
  std::vector<trust::Certificate> intermediates{};
};

/// `shown`: DER, the peer's own first. Errors: unauthorized.
[[nodiscard]] Result<ClientCertificates> parse_client_certificates(const std::vector<Bytes>& shown);

/// By thumbprint, or by a chain to one of `authorities` and the common name of the identity. Errors: unauthorized (the
/// device's fault), unavailable (a revocation list has expired).
[[nodiscard]] Result<void> check_certificate(const store::DeviceIdentity& identity, const ClientCertificates& shown,
                                             const trust::TrustedAuthorities& authorities, WallTime now);

/// A problem of a chain as an error: an expired revocation list is an operator's omission and not the device's fault.
[[nodiscard]] Error chain_error(const trust::ChainProblem& problem);

}  // namespace godwit::hub
