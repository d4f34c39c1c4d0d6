#include "server/api/provisioning/shapes.hpp"

#include "core/base/text.hpp"
#include "core/trust/client_certificate.hpp"
#include "core/twin/twin.hpp"
#include "server/hub/provisioning/answers.hpp"
#include "server/hub/provisioning/registration_id.hpp"

namespace godwit::api::provisioning {
namespace {

using store::Attestation;
using store::EnrollmentKind;
using store::EnrollmentRecord;
using store::ReprovisionPolicy;

constexpr std::size_t kGeneratedKey = 64;
constexpr std::size_t kInitialTwinBytes = 64 * 1024;

tl::unexpected<Error> bad(std::string why) { return fail(Code::invalid_argument, std::move(why)); }

bool flag(const json::Object& parent, std::string_view name, bool otherwise) {
  const json::Value* value = json::find(parent, name);
  return value != nullptr && value->is_bool() ? value->get_bool() : otherwise;
}

// ---- attestation -------------------------------------------------------------------------------------------------

Result<Secret> read_key(const json::Object* keys, std::string_view name, const Secret& before) {
  const std::string text = keys == nullptr ? "" : json::text_or_nothing(*keys, name).value_or("");
  if (text.empty()) return before.empty() ? Secret(random_bytes(kGeneratedKey)) : before;
  auto key = base64_decode(text);
  const std::string where = "attestation.symmetricKey." + std::string(name);
  if (!key) return bad(where + " is not base64");
  if (key->size() < 16 || key->size() > 64)
    return bad(where + " has " + std::to_string(key->size()) + " bytes; 16 to 64 are needed");
  return Secret(*std::move(key));
}

/// PEM, or the base64 of the DER as the original also takes it; stored as PEM.
Result<std::string> read_certificate(const json::Object& pair, const char* slot, const std::string& where,
                                     bool must_sign) {
  const json::Object* one = json::object_or_null(pair, slot);
  const std::string text = one == nullptr ? "" : json::text_or_nothing(*one, "certificate").value_or("");
  if (text.empty()) return std::string{};
  const bool is_pem = text.find("-----BEGIN") != std::string::npos;
  const auto der = is_pem ? Result<Bytes>(Bytes{}) : base64_decode(text);
  auto certificate = is_pem ? trust::Certificate::from_pem(text) : trust::Certificate::from_der(der.value_or(""));
  if (!certificate) return bad(where + "." + slot + ".certificate: " + certificate.error().message);
  if (must_sign && !certificate->facts().is_authority)
    return bad(where + "." + slot + ".certificate is not one of an authority (basic constraints CA:TRUE)");
  return certificate->to_pem();
}

Result<void> read_certificates(const json::Object& x509, const char* member, Attestation attestation,
                               const EnrollmentRecord* before, EnrollmentRecord& out) {
  const std::string where = std::string("attestation.x509.") + member;
  const json::Object& pair = *json::object_or_null(x509, member);
  out.attestation = attestation;
  if (attestation == Attestation::authority_reference) {
    out.primary_certificate = json::text_or_nothing(pair, "primary").value_or("");
    out.secondary_certificate = json::text_or_nothing(pair, "secondary").value_or("");
  } else {
    const bool must_sign = attestation == Attestation::signing_certificate;
    GODWIT_TRY(out.primary_certificate, read_certificate(pair, "primary", where, must_sign));
    GODWIT_TRY(out.secondary_certificate, read_certificate(pair, "secondary", where, must_sign));
    // Answers tell what is there by its facts: who sends an answer back changes nothing.
    const bool is_kept = out.primary_certificate.empty() && out.secondary_certificate.empty() && before != nullptr &&
                         before->attestation == attestation;
    if (is_kept) {
      out.primary_certificate = before->primary_certificate;
      out.secondary_certificate = before->secondary_certificate;
    }
  }
  if (out.primary_certificate.empty()) return bad(where + ".primary is missing");
  return {};
}

Result<void> read_x509(const json::Object& attestation, EnrollmentKind kind, const EnrollmentRecord* before,
                       EnrollmentRecord& out) {
  const json::Object* x509 = json::object_or_null(attestation, "x509");
  if (x509 == nullptr) return bad("attestation.x509 is missing");
  const auto has = [&](const char* member) { return json::object_or_null(*x509, member) != nullptr; };
  const int given =
      (has("clientCertificates") ? 1 : 0) + (has("signingCertificates") ? 1 : 0) + (has("caReferences") ? 1 : 0);
  if (given != 1)
    return bad("attestation.x509 needs exactly one of clientCertificates, signingCertificates and caReferences");
  if (has("clientCertificates")) {
    if (kind == EnrollmentKind::group)
      return bad("a group attests by signingCertificates or caReferences; clientCertificates belong to one device");
    return read_certificates(*x509, "clientCertificates", Attestation::client_certificate, before, out);
  }
  if (has("signingCertificates"))
    return read_certificates(*x509, "signingCertificates", Attestation::signing_certificate, before, out);
  return read_certificates(*x509, "caReferences", Attestation::authority_reference, before, out);
}

Result<void> read_attestation(const json::Object& body, EnrollmentKind kind, const EnrollmentRecord* before,
                              EnrollmentRecord& out) {
  const json::Object* attestation = json::object_or_null(body, "attestation");
  if (attestation == nullptr) return bad("attestation is missing");
  const std::string type = json::text_or_nothing(*attestation, "type").value_or("");
  if (type == "tpm")
    return fail(Code::unsupported, "attestation.type 'tpm' is not served here; use 'symmetricKey' or 'x509'");
  if (type == "x509") return read_x509(*attestation, kind, before, out);
  if (type != "symmetricKey") return bad("attestation.type is neither 'symmetricKey' nor 'x509'");
  const json::Object* keys = json::object_or_null(*attestation, "symmetricKey");
  out.attestation = Attestation::symmetric_key;
  GODWIT_TRY(out.primary_key, read_key(keys, "primaryKey", before == nullptr ? Secret{} : before->primary_key));
  GODWIT_TRY(out.secondary_key, read_key(keys, "secondaryKey", before == nullptr ? Secret{} : before->secondary_key));
  return {};
}

// ---- everything else ---------------------------------------------------------------------------------------------

Result<std::string> read_initial_twin(const json::Object& body) {
  const json::Object* twin = json::object_or_null(body, "initialTwin");
  if (twin == nullptr) return std::string{};
  const twin::Limits limits;
  json::Object kept;
  if (const json::Object* tags = json::object_or_null(*twin, "tags")) {
    json::Object merged;
    if (auto checked = twin::check_patch(*tags, limits); !checked)
      return with_context("initialTwin.tags", checked.error());
    if (auto fits = twin::merge_tags(merged, *tags, limits); !fits)
      return with_context("initialTwin.tags", fits.error());
    kept["tags"] = *tags;
  }
  const json::Object* properties = json::object_or_null(*twin, "properties");
  if (const json::Object* desired = properties == nullptr ? nullptr : json::object_or_null(*properties, "desired")) {
    if (auto checked = twin::check_patch(*desired, limits); !checked)
      return with_context("initialTwin.properties.desired", checked.error());
    if (twin::counted_size(*desired) > limits.section_bytes)
      return fail(Code::too_large, "initialTwin.properties.desired has more than 32 KiB");
    kept["properties"] = json::Object{{"desired", *desired}};
  }
  std::string text = json::print(kept);
  if (text.size() > kInitialTwinBytes) return fail(Code::too_large, "initialTwin has more than 64 KiB of text");
  return text;
}

ReprovisionPolicy read_policy(const json::Object& body) {
  const json::Object* policy = json::object_or_null(body, "reprovisionPolicy");
  if (policy == nullptr) return ReprovisionPolicy::migrate;
  if (!flag(*policy, "updateHubAssignment", true)) return ReprovisionPolicy::never;
  return flag(*policy, "migrateDeviceData", true) ? ReprovisionPolicy::migrate : ReprovisionPolicy::reset;
}

/// There is one hub: every policy that chooses among several chooses it, and another one cannot be named.
Result<void> check_allocation(const json::Object& body, std::string_view assigned_hub) {
  const std::string policy = json::text_or_nothing(body, "allocationPolicy").value_or("static");
  if (policy == "custom")
    return fail(Code::unsupported, "allocationPolicy 'custom' is not served here: every device gets this hub");
  if (policy != "static" && policy != "hashed" && policy != "geoLatency")
    return bad("allocationPolicy is none of 'static', 'hashed' and 'geoLatency'");
  std::vector<std::string> named;
  if (const auto host = json::text_or_nothing(body, "iotHubHostName")) named.push_back(*host);
  if (const json::Value* hubs = json::find(body, "iotHubs"); hubs != nullptr && hubs->is_array())
    for (const json::Value& one : hubs->get_array())
      if (one.is_string()) named.emplace_back(one.get_string());
  for (const std::string& name : named)
    if (!name.empty() && !equal_in_any_case(name, assigned_hub))
      return fail(Code::unsupported, "devices cannot be assigned to '" + name.substr(0, 100) +
                                         "': this service assigns them to its own hub '" + std::string(assigned_hub) +
                                         "'");
  if (const json::Object* capabilities = json::object_or_null(body, "capabilities"))
    if (flag(*capabilities, "iotEdge", false))
      return fail(Code::unsupported, "capabilities.iotEdge is not served here");
  return {};
}

Result<void> check_named(const json::Object& body, const char* member, const std::string& id) {
  const auto named = json::text_or_nothing(body, member);
  if (!named || equal_in_any_case(*named, id)) return {};
  return bad(std::string(member) + " in the body is '" + named->substr(0, 128) + "' but the path says '" + id + "'");
}

json::Object certificate_json(const std::string& pem) {
  json::Object one{{"certificate", pem}};
  const auto certificate = trust::Certificate::from_pem(pem);
  if (!certificate) return one;
  const trust::CertificateFacts& facts = certificate->facts();
  one["info"] = json::Object{{"subjectName", facts.subject},
                             {"sha1Thumbprint", facts.sha1},
                             {"sha256Thumbprint", facts.sha256},
                             {"issuerName", facts.issuer},
                             {"notBeforeUtc", format_time(facts.not_before)},
                             {"notAfterUtc", format_time(facts.not_after)},
                             {"serialNumber", facts.serial},
                             {"version", facts.version}};
  return one;
}

}  // namespace

Result<std::string> enrollment_id(EnrollmentKind kind, const std::string& text) {
  const bool is_group = kind == EnrollmentKind::group;
  if (const std::string reason = hub::check_registration_id(text); !reason.empty())
    return bad(std::string(is_group ? "enrollment group id '" : "registration id '") + text.substr(0, 130) + "' " +
               reason);
  return is_group ? text : hub::canonical_registration_id(text);
}

Result<EnrollmentRecord> read_enrollment(const json::Object& body, EnrollmentKind kind, const std::string& id,
                                         const EnrollmentRecord* before, std::string_view assigned_hub) {
  const bool is_group = kind == EnrollmentKind::group;
  EnrollmentRecord out{.kind = kind, .id = id};
  GODWIT_TRY_VOID(check_named(body, is_group ? "enrollmentGroupId" : "registrationId", id));
  GODWIT_TRY_VOID(read_attestation(body, kind, before, out));
  GODWIT_TRY_VOID(check_allocation(body, assigned_hub));
  const std::string status = json::text_or_nothing(body, "provisioningStatus").value_or("enabled");
  if (status != "enabled" && status != "disabled") return bad("provisioningStatus is neither 'enabled' nor 'disabled'");
  out.is_enabled = status == "enabled";
  out.policy = read_policy(body);
  GODWIT_TRY(out.initial_twin, read_initial_twin(body));
  if (!is_group) out.device_id = json::text_or_nothing(body, "deviceId").value_or("");
  if (!out.device_id.empty()) GODWIT_TRY_VOID(DeviceId::parse(out.device_id, "deviceId"));
  return out;
}

json::Object attestation_json(const EnrollmentRecord& enrollment, bool with_keys) {
  if (enrollment.attestation == Attestation::symmetric_key) {
    json::Object body{{"type", "symmetricKey"}};
    if (with_keys)
      body["symmetricKey"] = json::Object{{"primaryKey", base64_encode(enrollment.primary_key.reveal())},
                                          {"secondaryKey", base64_encode(enrollment.secondary_key.reveal())}};
    return body;
  }
  json::Object pair;
  const bool is_reference = enrollment.attestation == Attestation::authority_reference;
  const auto put = [&](const char* slot, const std::string& text) {
    if (!text.empty()) pair[slot] = is_reference ? json::Value(text) : json::Value(certificate_json(text));
  };
  put("primary", enrollment.primary_certificate);
  put("secondary", enrollment.secondary_certificate);
  const char* member = is_reference                                                ? "caReferences"
                       : enrollment.attestation == Attestation::client_certificate ? "clientCertificates"
                                                                                   : "signingCertificates";
  return {{"type", "x509"}, {"x509", json::Object{{member, std::move(pair)}}}};
}

json::Object enrollment_json(const EnrollmentRecord& enrollment, std::string_view assigned_hub, bool with_keys) {
  const bool is_group = enrollment.kind == EnrollmentKind::group;
  json::Object body{{is_group ? "enrollmentGroupId" : "registrationId", enrollment.id}};
  if (!enrollment.device_id.empty()) body["deviceId"] = enrollment.device_id;
  body["attestation"] = attestation_json(enrollment, with_keys);
  body["capabilities"] = json::Object{{"iotEdge", false}};
  body["iotHubHostName"] = assigned_hub;
  body["allocationPolicy"] = "static";
  if (!enrollment.initial_twin.empty())
    if (auto twin = json::parse_object(enrollment.initial_twin)) body["initialTwin"] = *std::move(twin);
  body["provisioningStatus"] = enrollment.is_enabled ? "enabled" : "disabled";
  body["reprovisionPolicy"] = json::Object{{"updateHubAssignment", enrollment.policy != ReprovisionPolicy::never},
                                           {"migrateDeviceData", enrollment.policy == ReprovisionPolicy::migrate}};
  body["etag"] = hub::provisioning_etag(enrollment.etag);
  body["createdDateTimeUtc"] = format_time_7(enrollment.created);
  body["lastUpdatedDateTimeUtc"] = format_time_7(enrollment.updated);
  return body;
}

}  // namespace godwit::api::provisioning
