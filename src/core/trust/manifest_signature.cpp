#include "core/trust/manifest_signature.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <array>
#include <optional>

#include "core/base/bytes.hpp"
#include "core/base/json.hpp"
#include "core/model/text.hpp"

namespace godwit::trust {
namespace {

constexpr std::size_t kSignatureLimit = 16 * 1024;
constexpr json::Limits kJsonLimits{.bytes = kSignatureLimit, .depth = 4};

std::optional<SignatureProblem> problem(ExtendedCode code, std::string message) {
  return SignatureProblem{code, std::move(message)};
}

/// A compact JWS (RFC 7515 section 3.1), taken apart but not believed.
struct Jws {
  json::Object header;
  Bytes payload;
  std::string_view signed_text;  // header "." payload as they stand; a view into the text that was split
  Bytes signature;
};

/// base64url without padding and nothing else: one value has one spelling.
Result<Bytes> decode_part(std::string_view part, std::string_view name) {
  const bool plain =
      std::all_of(part.begin(), part.end(), [](char c) { return is_ascii_alphanumeric(c) || c == '-' || c == '_'; });
  if (part.empty() || !plain) return fail(Code::bad_signature, fmt::format("the {} is not base64url", name));
  auto bytes = base64_decode(part);
  if (!bytes) return fail(Code::bad_signature, fmt::format("the {} is not base64url", name));
  return bytes;
}

Result<Jws> split(std::string_view text) {
  if (text.size() > kSignatureLimit)
    return fail(Code::bad_signature, fmt::format("it is longer than {} bytes", kSignatureLimit));
  const auto first = text.find('.');
  const auto second = first == std::string_view::npos ? first : text.find('.', first + 1);
  if (second == std::string_view::npos || text.find('.', second + 1) != std::string_view::npos)
    return fail(Code::bad_signature, "it does not have three parts with dots between them");
  Jws jws;
  GODWIT_TRY(const Bytes header, decode_part(text.substr(0, first), "header"));
  auto parsed = json::parse_object(header, kJsonLimits);
  if (!parsed) return with_context("the header", parsed.error());
  jws.header = *std::move(parsed);
  GODWIT_TRY(jws.payload, decode_part(text.substr(first + 1, second - first - 1), "payload"));
  GODWIT_TRY(jws.signature, decode_part(text.substr(second + 1), "signature part"));
  jws.signed_text = text.substr(0, second);
  return jws;
}

/// Keys come from the signed chain only, and every rule a header asks for is one we know (RFC 7515 section 4.1.11).
Result<void> check_header_members(const json::Object& header) {
  static constexpr auto kForbidden = std::to_array<std::string_view>({"jwk", "jku", "x5u", "x5c", "crit", "b64"});
  for (const std::string_view name : kForbidden)
    if (json::find(header, name) != nullptr)
      return fail(Code::bad_signature, fmt::format("the header has '{}', which is not allowed", name));
  return {};
}

bool is_rs256(const json::Object& header) {
  const auto algorithm = json::text_or_nothing(header, "alg");
  if (!algorithm || algorithm->size() != 5) return false;
  return ((*algorithm)[0] | 0x20) == 'r' && ((*algorithm)[1] | 0x20) == 's' && algorithm->substr(2) == "256";
}

/// Structure, then algorithm: the same for both layers.
std::optional<SignatureProblem> check_layer(const Result<Jws>& jws, std::string_view layer) {
  if (!jws) return problem(erc::signature_structure, fmt::format("{}: {}", layer, jws.error().message));
  if (const auto members = check_header_members(jws->header); !members)
    return problem(erc::signature_structure, fmt::format("{}: {}", layer, members.error().message));
  if (!is_rs256(jws->header)) return problem(erc::signature_failed, fmt::format("{}: alg is not RS256", layer));
  return std::nullopt;
}

const PublicKey* find_root(const RootKeyPackage& roots, std::string_view kid) {
  const auto found =
      std::find_if(roots.root_keys.begin(), roots.root_keys.end(), [&](const auto& key) { return key.first == kid; });
  return found == roots.root_keys.end() ? nullptr : &found->second;
}

/// The inner JWS: gives the signing key if a root key vouches for it.
std::optional<SignatureProblem> read_signing_key(std::string_view signed_jwk, const RootKeyPackage& roots,
                                                 PublicKey& out) {
  const Result<Jws> inner = split(signed_jwk);
  if (auto wrong = check_layer(inner, "signed key")) return wrong;
  const auto kid = json::text_or_nothing(inner->header, "kid");
  if (!kid) return problem(erc::signature_structure, "signed key: the header has no kid");
  const std::string shown = cut_details(*kid, 64);
  const PublicKey* root = find_root(roots, *kid);
  if (root == nullptr) return problem(erc::root_key_unknown, fmt::format("the root key '{}' is not known", shown));
  if (std::find(roots.disabled_root_keys.begin(), roots.disabled_root_keys.end(), *kid) !=
      roots.disabled_root_keys.end())
    return problem(erc::root_key_disabled, fmt::format("the root key '{}' is disabled", shown));
  if (!root->verify(inner->signed_text, inner->signature))
    return problem(erc::signature_invalid,
                   fmt::format("signed key: the signature of the root key '{}' does not hold", shown));
  const auto jwk = json::parse_object(inner->payload, kJsonLimits);
  if (!jwk) return problem(erc::signature_structure, "signed key: " + jwk.error().message);
  if (json::find(*jwk, "alg") != nullptr && !is_rs256(*jwk))
    return problem(erc::signature_failed, "signed key: the key is not meant for RS256");
  auto key = PublicKey::from_jwk(*jwk);
  if (!key) return problem(erc::signature_structure, "signed key: " + key.error().message);
  out = *std::move(key);
  return std::nullopt;
}

std::string compact(const json::Object& header, std::string_view payload) {
  return base64url_encode(json::print(header)) + "." + base64url_encode(payload);
}

json::Object manifest_header(std::string_view signed_jwk) {
  json::Object header;
  header["alg"] = "RS256";
  header["sjwk"] = signed_jwk;
  return header;
}

Result<std::string> sign_compact(const json::Object& header, std::string_view payload, const PrivateKey& key) {
  std::string text = compact(header, payload);
  GODWIT_TRY(const Bytes signature, key.sign(text));
  return text + "." + base64url_encode(signature);
}

}  // namespace

Result<std::string> make_signed_jwk(const PublicKey& signing, std::string_view signing_kid, const PrivateKey& root,
                                    std::string_view root_kid) {
  if (signing.modulus().empty()) return fail(Code::invalid_argument, "there is no signing key to vouch for");
  json::Object header;
  header["alg"] = "RS256";
  header["kid"] = root_kid;
  return sign_compact(header, json::print(signing.to_jwk(signing_kid)), root);
}

Result<std::string> sign_manifest(std::string_view manifest, const PrivateKey& signing, std::string_view signed_jwk) {
  json::Object payload;
  payload["sha256"] = base64_encode(sha256(manifest));
  return sign_compact(manifest_header(signed_jwk), json::print(payload), signing);
}

Result<SignatureClaims> read_manifest_signature(std::string_view signature) {
  GODWIT_TRY(const Jws outer, split(signature));
  const std::string signed_jwk = json::text_or_nothing(outer.header, "sjwk").value_or("");
  const Result<Jws> inner = split(signed_jwk);
  if (!inner) return with_context("signed key", inner.error());
  GODWIT_TRY(const json::Object jwk, json::parse_object(inner->payload, kJsonLimits));
  GODWIT_TRY(const PublicKey key, PublicKey::from_jwk(jwk));
  return SignatureClaims{.algorithm = json::text_or_nothing(outer.header, "alg").value_or(""),
                         .key_id = json::text_or_nothing(jwk, "kid").value_or(""),
                         .key_fingerprint = key.fingerprint(),
                         .key_bits = key.modulus().size() * 8,
                         .root_key_id = json::text_or_nothing(inner->header, "kid").value_or("")};
}

std::string manifest_signature_head(std::string_view signed_jwk) { return compact(manifest_header(signed_jwk), ""); }

std::optional<SignatureProblem> check_manifest_signature(std::string_view manifest, std::string_view signature,
                                                         const RootKeyPackage& roots) {
  if (signature.empty()) return problem(erc::manifest_hash, "the manifest has no signature");
  const Result<Jws> outer = split(signature);
  if (auto wrong = check_layer(outer, "manifest signature")) return wrong;
  const auto signed_jwk = json::text_or_nothing(outer->header, "sjwk");
  if (!signed_jwk) return problem(erc::signature_structure, "manifest signature: the header has no sjwk");
  PublicKey key;
  if (auto wrong = read_signing_key(*signed_jwk, roots, key)) return wrong;
  const Bytes fingerprint = key.fingerprint();
  if (std::find(roots.disabled_signing_keys.begin(), roots.disabled_signing_keys.end(), fingerprint) !=
      roots.disabled_signing_keys.end())
    return problem(erc::signing_key_disabled, "the signing key is disabled");
  if (!key.verify(outer->signed_text, outer->signature))
    return problem(erc::signature_invalid, "manifest signature: the signature does not hold");
  const auto payload = json::parse_object(outer->payload, kJsonLimits);
  const auto text = payload ? json::text_or_nothing(*payload, "sha256") : std::nullopt;
  const auto digest = text ? base64_decode(*text) : Result<Bytes>(fail(Code::bad_signature, "missing"));
  if (!digest || digest->size() != 32)
    return problem(erc::signature_structure, "manifest signature: the payload has no sha256 of 32 bytes");
  if (!equal_constant_time(*digest, sha256(manifest)))
    return problem(erc::manifest_hash, "the manifest does not have the hash that was signed");
  return std::nullopt;
}

}  // namespace godwit::trust
