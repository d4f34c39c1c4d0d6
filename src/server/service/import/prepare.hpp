// From checked import manifests to what the catalog stores: rules across updates, update manifests for each contract
// model, signatures. No sockets, no blobs; the catalog is only read. Safe from any thread.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/manifest/import_manifest.hpp"
#include "core/trust/keys.hpp"
#include "server/service/import/failure.hpp"
#include "server/store/catalog_records.hpp"

namespace godwit::service {

/// Who signs update manifests: the signing key, and that key signed by a root key.
struct SigningIdentity {
  trust::PrivateKey key{};
  std::string signed_jwk{};
};

/// The signature over what goes into a twin. Errors: crypto_failed, also when it is too long for a twin.
[[nodiscard]] Result<std::string> sign_offer(const std::string& manifest, const SigningIdentity& identity);

/// One update of a request, its manifest understood.
struct PlannedUpdate {
  manifest::ImportManifest manifest{};
  std::string text{};
  std::string friendly_name{};
};

/// Failures: CannotProcessImportManifest with UnsupportedVersion or CannotParse.
[[nodiscard]] Imported<PlannedUpdate> plan_update(std::string text, std::string friendly_name);

/// The children a manifest refers to, in step order, each once.
[[nodiscard]] std::vector<UpdateId> references_of(const manifest::ImportManifest& manifest);

/// How much the catalog may hold; 0 = no limit of its own.
struct Quotas {
  std::uint64_t providers = 0;
  std::uint64_t names_per_provider = 0;
  std::uint64_t versions_per_name = 0;
  std::uint64_t updates = 0;
  ByteCount file_size = 0;
  ByteCount import_size = 0;  // of all different files of one request
  ByteCount storage = 0;      // of all blobs; held by the importer and by the blobs
};
/// Failures: UpdateLimitExceeded with UpdateProvider, UpdateName, UpdateVersion, UpdateCount, UpdateFileSize or
/// UpdateImportSize.
[[nodiscard]] Imported<void> check_quotas(store::CatalogRecords& catalog, const std::vector<PlannedUpdate>& updates,
                                          const Quotas& quotas);

/// Rules across the request and the catalog: unique ids, references that exist and are one level deep, sets that belong
/// to one provider and name, quotas. Gives the order in which to store: children before parents.
[[nodiscard]] Imported<std::vector<std::size_t>> check_against_catalog(store::CatalogRecords& catalog,
                                                                       const std::vector<PlannedUpdate>& updates,
                                                                       const Quotas& quotas = {});

/// Everything the catalog stores of one update, and the manifest files that must be in the blobs before.
struct BuiltUpdate {
  store::UpdateRecord record{};
  std::map<int, store::OfferRecord> offers{};
  std::map<Bytes, std::string> manifest_files{};  // sha256 -> text
};
/// The offer of a child for a manifest version.
using ChildOffer = std::function<Result<store::OfferRecord>(const UpdateId& child, int manifest_version)>;

/// The largest string a twin holds (hub limit); a larger manifest travels as a file, named by a mini manifest.
inline constexpr std::size_t kTwinStringLimit = 4096;

/// Same input, same manifests: an import that is repeated after a crash gives equal bytes.
[[nodiscard]] Result<BuiltUpdate> build_update(const PlannedUpdate& update, const ChildOffer& child_offer,
                                               const SigningIdentity& identity, std::string etag, WallTime now);

}  // namespace godwit::service
