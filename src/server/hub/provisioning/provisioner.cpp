#include "server/hub/provisioning/provisioner.hpp"

#include "server/hub/provisioning/registration_id.hpp"

namespace godwit::hub {
namespace {

bool accepts_already(const store::DeviceIdentity& identity, const DeviceCredential& credential) {
  if (identity.authentication != credential.kind) return false;
  switch (credential.kind) {
    case store::Authentication::sas:
      return identity.primary_key.reveal() == credential.primary_key &&
             identity.secondary_key.reveal() == credential.secondary_key;
    case store::Authentication::self_signed: return identity.primary_thumbprint == credential.primary_thumbprint;
    case store::Authentication::certificate_authority: return true;
  }
  return false;
}

NewIdentity with_credential(const DeviceId& id, const DeviceCredential& credential) {
  return {.id = id,
          .authentication = credential.kind,
          .primary_key = credential.primary_key,
          .secondary_key = credential.secondary_key,
          .primary_thumbprint = credential.primary_thumbprint,
          .secondary_thumbprint = credential.secondary_thumbprint};
}

/// {"tags":{..},"properties":{"desired":{..}}}, checked when the enrollment was made.
Result<TwinChange> initial_change(const std::string& text) {
  TwinChange change;
  if (text.empty()) return change;
  GODWIT_TRY(const json::Object twin, json::parse_object(text));
  if (const json::Object* tags = json::object_or_null(twin, "tags")) change.tags = *tags;
  if (const json::Object* properties = json::object_or_null(twin, "properties"))
    if (const json::Object* desired = json::object_or_null(*properties, "desired")) change.desired = *desired;
  return change;
}

}  // namespace

Result<store::RegistrationRecord> Provisioner::provision(store::Records& records, const Attested& attested,
                                                         const std::string& registration_id) const {
  store::ProvisioningRecords& all = records.provisioning();
  const std::string id = canonical_registration_id(registration_id);
  GODWIT_TRY(auto enrollment, all.find_enrollment(attested.enrollment.kind, attested.enrollment.id));
  if (!enrollment || enrollment->etag != attested.enrollment.etag)
    return fail(Code::unauthorized, "the enrollment was changed while the device registered; connect again");
  ProvisioningFacts facts{.registration_id = registration_id, .enrollment = *std::move(enrollment)};
  GODWIT_TRY(facts.registration, all.find_registration(id));
  GODWIT_TRY(const DeviceId device, DeviceId::parse(target_device(facts), "device id"));
  GODWIT_TRY(const auto identity, records.devices().find_identity(device));
  facts.has_identity = identity.has_value();
  facts.is_identity_enabled = identity && identity->is_enabled;
  facts.has_same_credential = identity && accepts_already(*identity, attested.credential);

  const Decision decision = decide(facts);
  GODWIT_TRY_VOID(carry_out(records, attested, decision, identity));
  const WallTime now = clock_.now();
  store::RegistrationRecord registration =
      facts.registration.value_or(store::RegistrationRecord{.id = id, .etag = 0, .created = now});
  registration.enrollment_kind = facts.enrollment.kind;
  registration.enrollment_id = facts.enrollment.id;
  registration.status = decision.status;
  registration.substatus = decision.substatus;
  registration.error_code = decision.error_code;
  registration.error_message = decision.error_message;
  registration.updated = now;
  ++registration.etag;
  if (!decision.is_recorded) {
    registration.device_id.clear();  // the device of another enrollment is nothing for this one to know
    return registration;
  }
  // A refusal forgets no assignment: what was assigned before is told again once the reason is gone.
  if (decision.error_code == 0) registration.device_id = decision.device_id;
  GODWIT_TRY_VOID(all.save_registration(registration));
  return registration;
}

Result<void> Provisioner::carry_out(store::Records& records, const Attested& attested, const Decision& decision,
                                    const std::optional<store::DeviceIdentity>& present) const {
  if (decision.act == Act::nothing) return {};
  GODWIT_TRY(const DeviceId device, DeviceId::parse(decision.device_id, "device id"));
  NewIdentity wanted = with_credential(device, attested.credential);
  if (decision.act == Act::renew) {
    wanted.status_reason = present->status_reason;
    GODWIT_TRY([[maybe_unused]] const auto renewed, registry_.update(records, wanted, std::nullopt));
    return {};
  }
  if (decision.act == Act::start_over) GODWIT_TRY_VOID(registry_.remove(records, device, std::nullopt));
  GODWIT_TRY([[maybe_unused]] const auto created, registry_.create(records, wanted));
  GODWIT_TRY(const TwinChange initial, initial_change(attested.enrollment.initial_twin));
  GODWIT_TRY([[maybe_unused]] const auto twin, registry_.change_twin(records, device, initial));
  return {};
}

}  // namespace godwit::hub
