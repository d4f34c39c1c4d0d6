#include "server/service/import/sign_anew.hpp"

#include "core/trust/manifest_signature.hpp"

namespace godwit::service {
namespace {

constexpr std::size_t kBatch = 64;

Result<std::vector<store::OfferToSign>> next_batch(store::Store& store, const std::string& head,
                                                   store::OfferKey after) {
  std::vector<store::OfferToSign> batch;
  GODWIT_TRY_VOID(store.read([&](store::Records& records) -> Result<void> {
    GODWIT_TRY(batch, records.catalog().list_signed_otherwise(head, after, kBatch));
    return {};
  }));
  return batch;
}

Result<void> sign_batch(store::Store& store, const SigningIdentity& identity,
                        const std::vector<store::OfferToSign>& batch) {
  std::vector<std::pair<store::OfferKey, std::string>> signatures;
  for (const auto& [key, manifest] : batch) {
    GODWIT_TRY(auto signature, sign_offer(manifest, identity));
    signatures.emplace_back(key, std::move(signature));
  }
  return store.write([&](store::Records& records) -> Result<void> {
    for (const auto& [key, signature] : signatures)
      GODWIT_TRY_VOID(records.catalog().replace_signature(key, signature));
    return {};
  });
}

}  // namespace

Result<void> sign_anew(store::Store& store, const SigningIdentity& identity, Log& log) {
  const std::string head = trust::manifest_signature_head(identity.signed_jwk);
  std::size_t count = 0;
  GODWIT_TRY(auto batch, next_batch(store, head, {}));
  if (batch.empty()) return {};
  // First: as long as one signature is old, this is done again, and a cut between the two leaves no goal behind.
  GODWIT_TRY_VOID(store.write([](store::Records& records) { return records.rollout().end_urls(); }));
  while (!batch.empty()) {
    GODWIT_TRY_VOID(sign_batch(store, identity, batch));
    count += batch.size();
    const store::OfferKey last = batch.back().key;
    GODWIT_TRY(batch, next_batch(store, head, last));
  }
  log.info("catalog.signed_anew", {{"manifests", count}});
  return {};
}

}  // namespace godwit::service
