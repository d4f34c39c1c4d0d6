// Whether a device that asks to be provisioned is one that an operator expects: its token or its certificate against
// individual enrollments first, then against groups. Reads records, changes nothing; any thread.
#pragma once

#include <optional>
#include <string>

#include "core/base/clock.hpp"
#include "core/trust/sas.hpp"
#include "server/hub/provisioning/trust_cache.hpp"

namespace godwit::hub {

/// What a device showed at CONNECT; one of the two is set.
struct Evidence {
  std::string registration_id{};  // as written
  std::optional<trust::SasToken> token{};
  std::optional<ClientCertificates> certificates{};
};

/// What the identity in the hub is to accept from then on.
struct DeviceCredential {
  store::Authentication kind = store::Authentication::sas;
  Bytes primary_key{};  // raw
  Bytes secondary_key{};
  std::string primary_thumbprint{};  // lower-case hex
  std::string secondary_thumbprint{};
};

struct Attested {
  store::EnrollmentRecord enrollment{};
  DeviceCredential credential{};
};

/// Errors: unauthorized (the device's fault), unavailable (a revocation list has expired), database_failed.
[[nodiscard]] Result<Attested> attest(store::Records& records, const Trust& trust, const Evidence& evidence,
                                      WallTime now);

}  // namespace godwit::hub
