#include "server/hub/provisioning/attestation.hpp"

#include <algorithm>

#include "server/hub/provisioning/registration_id.hpp"

namespace godwit::hub {
namespace {

using store::Attestation;
using store::EnrollmentKind;
using store::EnrollmentRecord;

tl::unexpected<Error> refuse(std::string why) { return fail(Code::unauthorized, std::move(why)); }

/// Both keys are always tried, so that time tells nothing about which one is right.
bool holds(const trust::SasToken& token, std::string_view primary, std::string_view secondary) {
  const bool is_primary = trust::sas_signature_holds(token, primary);
  const bool is_secondary = trust::sas_signature_holds(token, secondary);
  return is_primary || is_secondary;
}

DeviceCredential with_keys(Bytes primary, Bytes secondary) {
  return {.kind = store::Authentication::sas, .primary_key = std::move(primary), .secondary_key = std::move(secondary)};
}

DeviceCredential with_thumbprint(const trust::Certificate& leaf) {
  return {.kind = store::Authentication::self_signed,
          .primary_thumbprint = leaf.facts().sha256,
          .secondary_thumbprint = leaf.facts().sha256};
}

Result<void> check_leaf(const trust::Certificate& leaf, std::string_view registration_id, WallTime now) {
  if (canonical_registration_id(leaf.facts().common_name) != canonical_registration_id(registration_id))
    return refuse("the common name of the certificate is not the registration id");
  if (now > leaf.facts().not_after) return refuse("the certificate has expired");
  if (now < leaf.facts().not_before) return refuse("the certificate is not valid yet (is the clock right?)");
  return {};
}

/// A device of an authority that the hub itself knows may renew its certificate freely, if its name allows that.
DeviceCredential credential_of(const EnrollmentRecord& enrollment, const trust::Certificate& leaf,
                               std::string_view device_id) {
  if (enrollment.attestation == Attestation::authority_reference && leaf.facts().common_name == device_id)
    return {.kind = store::Authentication::certificate_authority};
  return with_thumbprint(leaf);
}

// ---- individual enrollments --------------------------------------------------------------------------------------

Result<DeviceCredential> attest_by_key(const EnrollmentRecord& enrollment, const Evidence& evidence) {
  if (!evidence.token) return refuse("the enrollment wants a token, and none came");
  const Bytes& primary = enrollment.primary_key.reveal();
  const Bytes& secondary = enrollment.secondary_key.reveal();
  if (!holds(*evidence.token, primary, secondary))
    return refuse("the token was not signed with a key of its enrollment");
  return with_keys(primary, secondary);
}

Result<DeviceCredential> attest_by_certificate(const Trust& trust, const EnrollmentRecord& enrollment,
                                               const Evidence& evidence, WallTime now) {
  if (!evidence.certificates) return refuse("the enrollment wants a client certificate, and none came");
  const trust::Certificate& leaf = evidence.certificates->leaf;
  GODWIT_TRY_VOID(check_leaf(leaf, evidence.registration_id, now));
  GODWIT_TRY(const auto anchors, anchors_of(enrollment, trust.authorities));
  if (enrollment.attestation == Attestation::client_certificate) {
    const bool is_enrolled = std::any_of(anchors.begin(), anchors.end(), [&](const trust::Certificate& one) {
      return one.facts().sha256 == leaf.facts().sha256;
    });
    if (!is_enrolled) return refuse("the certificate is not the one of its enrollment");
    return with_thumbprint(leaf);
  }
  GODWIT_TRY(const auto authorities, trust::TrustedAuthorities::make(anchors, trust.lists));
  const auto chain = authorities.verify(leaf, evidence.certificates->intermediates, now);
  if (!chain) return tl::unexpected<Error>{chain_error(chain.error())};
  return credential_of(enrollment, leaf,
                       enrollment.device_id.empty() ? evidence.registration_id : enrollment.device_id);
}

// ---- groups ------------------------------------------------------------------------------------------------------

Result<Attested> of_group(store::Records& records, const std::string& id) {
  GODWIT_TRY(auto enrollment, records.provisioning().find_enrollment(EnrollmentKind::group, id));
  if (!enrollment) return refuse("the enrollment group was removed");
  return Attested{.enrollment = *std::move(enrollment)};
}

Result<Attested> attest_by_group_key(store::Records& records, const Trust& trust, const Evidence& evidence) {
  for (const Trust::KeyGroup& group : trust.key_groups) {
    Bytes primary = trust::derive_device_key(group.primary_key.reveal(), evidence.registration_id);
    Bytes secondary = trust::derive_device_key(group.secondary_key.reveal(), evidence.registration_id);
    if (!holds(*evidence.token, primary, secondary)) continue;
    GODWIT_TRY(Attested attested, of_group(records, group.id));
    attested.credential = with_keys(std::move(primary), std::move(secondary));
    return attested;
  }
  return refuse("no enrollment knows the registration id, and no group the key of the token");
}

/// The group whose certificate stands nearest to the device counts.
Result<Attested> attest_by_group_certificate(store::Records& records, const Trust& trust, const Evidence& evidence,
                                             WallTime now) {
  const trust::Certificate& leaf = evidence.certificates->leaf;
  GODWIT_TRY_VOID(check_leaf(leaf, evidence.registration_id, now));
  const auto chain = trust.groups.verify(leaf, evidence.certificates->intermediates, now);
  if (!chain) return tl::unexpected<Error>{chain_error(chain.error())};
  for (const std::string& sha256 : *chain) {
    const auto group = trust.group_of_certificate.find(sha256);
    if (group == trust.group_of_certificate.end()) continue;
    GODWIT_TRY(Attested attested, of_group(records, group->second));
    attested.credential = credential_of(attested.enrollment, leaf, evidence.registration_id);
    return attested;
  }
  return refuse("no enrollment group knows the authority of the certificate");
}

}  // namespace

Result<Attested> attest(store::Records& records, const Trust& trust, const Evidence& evidence, WallTime now) {
  GODWIT_CHECK(evidence.token.has_value() != evidence.certificates.has_value());
  GODWIT_TRY(auto enrollment, records.provisioning().find_enrollment(
                                  EnrollmentKind::individual, canonical_registration_id(evidence.registration_id)));
  if (!enrollment)
    return evidence.token ? attest_by_group_key(records, trust, evidence)
                          : attest_by_group_certificate(records, trust, evidence, now);
  GODWIT_TRY(DeviceCredential credential, enrollment->attestation == Attestation::symmetric_key
                                              ? attest_by_key(*enrollment, evidence)
                                              : attest_by_certificate(trust, *enrollment, evidence, now));
  return Attested{.enrollment = *std::move(enrollment), .credential = std::move(credential)};
}

}  // namespace godwit::hub
