// Carries out what decision.hpp decides: identity, twin and registration in one transaction. Writer thread (inside
// store jobs).
#pragma once

#include "server/hub/provisioning/attestation.hpp"
#include "server/hub/provisioning/decision.hpp"
#include "server/hub/registry.hpp"

namespace godwit::hub {

class Provisioner {
 public:
  /// Both outlive the provisioner.
  Provisioner(Clock& clock, const Registry& registry) : clock_(clock), registry_(registry) {}

  /// Gives what became of the device; a refusal is a registration too. `attested` was found in a snapshot before.
  /// Errors: unauthorized (its enrollment was changed since), too_large (the initial twin), database_failed.
  [[nodiscard]] Result<store::RegistrationRecord> provision(store::Records& records, const Attested& attested,
                                                            const std::string& registration_id) const;

 private:
  [[nodiscard]] Result<void> carry_out(store::Records& records, const Attested& attested, const Decision& decision,
                                       const std::optional<store::DeviceIdentity>& present) const;

  Clock& clock_;
  const Registry& registry_;
};

}  // namespace godwit::hub
