#include "server/service/catalog/signatures.hpp"

#include <optional>

#include "core/trust/manifest_signature.hpp"

namespace godwit::service {
namespace {

/// What a device would report instead of beginning; nullopt: it begins.
std::optional<trust::SignatureProblem> problem_of(const store::OfferRecord& offer, const trust::RootKeyPackage& roots,
                                                  WallTime now) {
  if (roots.has_expired(now))
    return trust::SignatureProblem{erc::root_package_expired, "the root key package has ended"};
  return trust::check_manifest_signature(offer.manifest, offer.signature, roots);
}

json::Object describe_signature(int manifest_version, const store::OfferRecord& offer,
                                const trust::RootKeyPackage& roots, WallTime now) {
  json::Object object{{"manifestVersion", std::to_string(manifest_version)}};
  if (const auto claims = trust::read_manifest_signature(offer.signature)) {
    object["algorithm"] = claims->algorithm;
    object["keyId"] = claims->key_id;
    object["keySha256"] = base64url_encode(claims->key_fingerprint);
    object["keySizeInBits"] = claims->key_bits;
    object["rootKeyId"] = claims->root_key_id;
  }
  const auto problem = problem_of(offer, roots, now);
  object["isBelieved"] = !problem;
  if (problem)
    object["problem"] = json::Object{{"code", extended_code_hex(problem->code)},
                                     {"text", std::string(extended_code_text(problem->code))},
                                     {"details", problem->message}};
  return object;
}

}  // namespace

Result<json::Array> describe_signatures(store::Store& store, const UpdateId& id, const trust::RootKeyPackage& roots,
                                        WallTime now) {
  json::Array signatures;
  GODWIT_TRY_VOID(store.read([&](store::Records& records) -> Result<void> {
    GODWIT_TRY(const auto summary, records.catalog().find_summary(id));
    if (!summary) return fail(Code::not_found, "the update " + id.str() + " does not exist");
    for (const int version : {5, 4}) {
      GODWIT_TRY(const auto offer, records.catalog().find_offer(id, version));
      if (offer) signatures.emplace_back(describe_signature(version, *offer, roots, now));
    }
    return {};
  }));
  return signatures;
}

}  // namespace godwit::service
