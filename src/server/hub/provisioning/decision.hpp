// What happens to a device that asks to be provisioned: a pure function from what is known to what to do. The rim
// (provisioner.hpp) carries it out in the same transaction. Pure; safe from any thread.
#pragma once

#include <optional>
#include <string>

#include "server/store/provisioning_records.hpp"

namespace godwit::hub {

/// What is known when an attested device asks.
struct ProvisioningFacts {
  std::string registration_id{};  // as written
  store::EnrollmentRecord enrollment{};
  std::optional<store::RegistrationRecord> registration{};
  // Of the identity that target_device() names:
  bool has_identity = false;
  bool is_identity_enabled = true;
  bool has_same_credential = false;  // the identity accepts already what the device was attested with
};

enum class Act : std::uint8_t {
  nothing,     // the identity stays as it is
  create,      // a new identity with the initial twin
  renew,       // the credential of the identity is replaced, its twin stays
  start_over,  // the identity is removed and made anew with the initial twin
};

/// Numbers in the manner of the original: the status in front, three digits behind.
namespace provisioning_code {
inline constexpr std::int64_t bad_request = 400001, unauthorized = 401002, disabled = 403001, not_found = 404001,
                              conflict = 409001, throttled = 429001, internal = 500001, unavailable = 503001;
}

struct Decision {
  Act act = Act::nothing;
  store::RegistrationStatus status = store::RegistrationStatus::assigned;
  store::RegistrationSubstatus substatus = store::RegistrationSubstatus::initial_assignment;
  std::string device_id{};      // "" unless assigned
  std::int64_t error_code = 0;  // provisioning_code; 0: assigned
  std::string error_message{};
  bool is_recorded = true;  // false: the registration belongs to another enrollment and stays as it is
};

/// The device a registration leads to: what was assigned before stays, unless an operator named another since.
[[nodiscard]] std::string target_device(const ProvisioningFacts& facts);
[[nodiscard]] Decision decide(const ProvisioningFacts& facts);

}  // namespace godwit::hub
