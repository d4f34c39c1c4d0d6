#include "server/hub/provisioning/decision.hpp"

namespace godwit::hub {
namespace {

using store::EnrollmentKind;
using store::RegistrationStatus;
using store::RegistrationSubstatus;
using store::ReprovisionPolicy;

Decision refuse(RegistrationStatus status, std::int64_t code, std::string message, bool is_recorded = true) {
  return {.status = status, .error_code = code, .error_message = std::move(message), .is_recorded = is_recorded};
}

Decision fail_with(std::int64_t code, std::string message, bool is_recorded = true) {
  return refuse(RegistrationStatus::failed, code, std::move(message), is_recorded);
}

bool is_of_another_enrollment(const ProvisioningFacts& facts) {
  return facts.registration && (facts.registration->enrollment_kind != facts.enrollment.kind ||
                                facts.registration->enrollment_id != facts.enrollment.id);
}

/// Assigned before, and to the device that is meant now.
bool is_assigned(const ProvisioningFacts& facts, const std::string& device) {
  return facts.registration && !facts.registration->device_id.empty() && facts.registration->device_id == device;
}

Decision assign(Act act, RegistrationSubstatus substatus, const std::string& device) {
  return {.act = act, .substatus = substatus, .device_id = device};
}

/// A device came for the first time and its identity is there: made by hand, or left over from a registration that was
/// removed.
Decision adopt(const ProvisioningFacts& facts, const std::string& device) {
  if (facts.has_same_credential) return assign(Act::nothing, RegistrationSubstatus::initial_assignment, device);
  // Who holds the credential of a group can choose any registration id: that must not give them another's device.
  if (facts.enrollment.kind == EnrollmentKind::group)
    return fail_with(
        provisioning_code::conflict,
        "device '" + device +
            "' exists with another credential; an enrollment group does not replace it (delete the device, "
            "or make an individual enrollment for it)");
  return assign(Act::renew, RegistrationSubstatus::initial_assignment, device);
}

Decision reprovision(const ProvisioningFacts& facts, const std::string& device) {
  switch (facts.enrollment.policy) {
    case ReprovisionPolicy::never: return assign(Act::nothing, facts.registration->substatus, device);
    case ReprovisionPolicy::reset: return assign(Act::start_over, RegistrationSubstatus::data_reset, device);
    case ReprovisionPolicy::migrate: break;
  }
  return assign(facts.has_same_credential ? Act::nothing : Act::renew, RegistrationSubstatus::data_migrated, device);
}

}  // namespace

std::string target_device(const ProvisioningFacts& facts) {
  const bool is_same_enrollment = facts.registration && !is_of_another_enrollment(facts);
  const bool is_fixed = is_same_enrollment && !facts.registration->device_id.empty() &&
                        (facts.enrollment.device_id.empty() || facts.enrollment.policy == ReprovisionPolicy::never);
  if (is_fixed) return facts.registration->device_id;
  return facts.enrollment.device_id.empty() ? facts.registration_id : facts.enrollment.device_id;
}

Decision decide(const ProvisioningFacts& facts) {
  const std::string device = target_device(facts);
  const bool is_elsewhere = is_of_another_enrollment(facts);
  if (!facts.enrollment.is_enabled)
    return refuse(RegistrationStatus::disabled, provisioning_code::disabled,
                  "enrollment '" + facts.enrollment.id + "' is disabled", !is_elsewhere);
  // An individual enrollment is an operator's word about this one device; a group's member only claims a name.
  if (is_elsewhere && facts.enrollment.kind == EnrollmentKind::group)
    return fail_with(provisioning_code::conflict,
                     "the device was registered through enrollment '" + facts.registration->enrollment_id +
                         "'; remove that registration before another group takes it over",
                     false);
  const bool was_assigned = is_assigned(facts, device);
  if (!facts.has_identity) {
    if (was_assigned && !is_elsewhere && facts.enrollment.policy == ReprovisionPolicy::never)
      return fail_with(provisioning_code::not_found,
                       "device '" + device + "' was removed from the hub, and its enrollment never provisions again");
    return assign(Act::create, RegistrationSubstatus::initial_assignment, device);
  }
  if (!facts.is_identity_enabled)
    return refuse(RegistrationStatus::disabled, provisioning_code::disabled,
                  "device '" + device + "' is disabled in the hub");
  if (!was_assigned) return adopt(facts, device);
  return reprovision(facts, device);
}

}  // namespace godwit::hub
