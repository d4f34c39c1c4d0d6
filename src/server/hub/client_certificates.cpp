#include "server/hub/client_certificates.hpp"

namespace godwit::hub {
namespace {

bool is_thumbprint_of(const std::string& thumbprint, const trust::CertificateFacts& facts) {
  return !thumbprint.empty() && (thumbprint == facts.sha256 || thumbprint == facts.sha1);
}

}  // namespace

Result<ClientCertificates> parse_client_certificates(const std::vector<Bytes>& shown) {
  std::vector<trust::Certificate> parsed;
  if (shown.empty()) return fail(Code::unauthorized, "no client certificate was shown");
  if (shown.size() > trust::kIntermediatesLimit + 1)
    return fail(Code::unauthorized, std::to_string(shown.size()) + " certificates were shown; " +
                                        std::to_string(trust::kIntermediatesLimit + 1) + " are allowed");
  for (const Bytes& der : shown) {
    auto certificate = trust::Certificate::from_der(der);
    if (!certificate) return fail(Code::unauthorized, "client certificate: " + certificate.error().message);
    parsed.push_back(*std::move(certificate));
  }
  ClientCertificates certificates{.leaf = parsed.front()};
  certificates.intermediates.assign(parsed.begin() + 1, parsed.end());
  return certificates;
}

Error chain_error(const trust::ChainProblem& problem) {
  const bool is_ours = problem.fault == trust::ChainFault::revocation_list_expired;
  return Error{is_ours ? Code::unavailable : Code::unauthorized, problem.message};
}

Result<void> check_certificate(const store::DeviceIdentity& identity, const ClientCertificates& shown,
                               const trust::TrustedAuthorities& authorities, WallTime now) {
  const trust::CertificateFacts& facts = shown.leaf.facts();
  switch (identity.authentication) {
    case store::Authentication::sas:
      return fail(Code::unauthorized, "the device is registered with keys, and no token came");
    case store::Authentication::self_signed:
      // The operator named this very certificate: its issuer and its end mean nothing here.
      if (!is_thumbprint_of(identity.primary_thumbprint, facts) &&
          !is_thumbprint_of(identity.secondary_thumbprint, facts))
        return fail(Code::unauthorized, "the thumbprint of the client certificate is not one of this device");
      break;
    case store::Authentication::certificate_authority: {
      if (facts.common_name != identity.id.str())
        return fail(Code::unauthorized, "the common name of the client certificate is not the id of the device");
      const auto chain = authorities.verify(shown.leaf, shown.intermediates, now);
      if (!chain) return tl::unexpected<Error>{chain_error(chain.error())};
      break;
    }
  }
  if (!identity.is_enabled) return fail(Code::unauthorized, "the device is disabled");
  return {};
}

}  // namespace godwit::hub
