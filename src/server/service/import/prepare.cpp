#include "server/service/import/prepare.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <set>

#include "core/manifest/update_manifest.hpp"
#include "core/trust/manifest_signature.hpp"

namespace godwit::service {
namespace {

constexpr std::string_view kScanResult = "NotScanned";
constexpr std::string_view kScanDetails = "no scanner is configured";

using manifest::FileBase;

tl::unexpected<ImportFailure> bad_manifest(Code code, std::string inner, const UpdateId& id, std::string_view message) {
  return import_failure(code, "CannotProcessImportManifest", std::move(inner),
                        fmt::format("{}: {}", id.str(), message));
}

bool has_references(const manifest::ImportManifest& manifest) {
  return std::any_of(manifest.steps.begin(), manifest.steps.end(),
                     [](const manifest::Step& step) { return std::holds_alternative<manifest::ReferenceStep>(step); });
}

Imported<void> check_identity(store::CatalogRecords& catalog, const UpdateId& id) {
  const auto present = catalog.find_summary(id);
  if (!present) return internal_failure(present.error());
  if (*present)
    return import_failure(Code::conflict, "UpdateAlreadyExists", "",
                          "the update " + id.str() + " exists already; give it a new version");
  return {};
}

Imported<void> check_references(store::CatalogRecords& catalog, const std::vector<PlannedUpdate>& updates,
                                const PlannedUpdate& parent) {
  const UpdateId& id = parent.manifest.update_id;
  for (const UpdateId& child : references_of(parent.manifest)) {
    const auto beside = std::find_if(updates.begin(), updates.end(),
                                     [&](const PlannedUpdate& one) { return one.manifest.update_id == child; });
    bool is_parent = beside != updates.end() && has_references(beside->manifest);
    if (beside == updates.end()) {
      const auto stored = catalog.find_update(child);
      if (!stored) return internal_failure(stored.error());
      if (!*stored)
        return bad_manifest(
            Code::bad_manifest, "CannotParse", id,
            fmt::format("refers to {}, which was neither imported before nor comes in this request", child.str()));
      is_parent = !(*stored)->references.empty();
    }
    if (is_parent)
      return bad_manifest(
          Code::bad_manifest, "CannotParse", id,
          fmt::format("refers to {}, which has reference steps itself; references go one level deep", child.str()));
  }
  return {};
}

Imported<void> set_is_taken(const UpdateId& id, const UpdateId& owner) {
  const bool is_same_provider = id.provider == owner.provider;
  return import_failure(
      Code::conflict, "UpdateLimitExceeded",
      is_same_provider ? "UpdateNameCompatibility" : "UpdateProviderCompatibility",
      fmt::format(
          "{}: a compatibility set of it belongs to {}/{} already; a set may be used under one provider and name only",
          id.str(), owner.provider, owner.name));
}

Imported<void> check_sets(store::CatalogRecords& catalog, const std::vector<PlannedUpdate>& updates,
                          const PlannedUpdate& update) {
  const UpdateId& id = update.manifest.update_id;
  for (const CompatibilitySet& set : update.manifest.compatibility) {
    const auto owner = catalog.owner_of_set(set, id);
    if (!owner) return internal_failure(owner.error());
    if (*owner) return set_is_taken(id, **owner);
    for (const PlannedUpdate& other : updates) {
      const UpdateId& other_id = other.manifest.update_id;
      const bool is_foreign = other_id.provider != id.provider || other_id.name != id.name;
      const auto& sets = other.manifest.compatibility;
      if (is_foreign && std::find(sets.begin(), sets.end(), set) != sets.end()) return set_is_taken(id, other_id);
    }
  }
  return {};
}

// ---- building ----------------------------------------------------------------------------------------------------

FileBase manifest_file(const UpdateId& id, const std::string& file_text) {
  FileBase file;
  file.file_name = manifest::detached_manifest_file_name(id);
  file.size = file_text.size();
  file.hashes["sha256"] = base64_encode(sha256(file_text));
  return file;
}

/// One manifest version of one update, while it is put together.
class OfferBuilder {
 public:
  OfferBuilder(const PlannedUpdate& update, int version, BuiltUpdate& built)
      : update_(update), version_(version), built_(built) {}

  Result<store::OfferRecord> build(const ChildOffer& child_offer, const SigningIdentity& identity) {
    GODWIT_TRY(const auto detached, add_children(child_offer));
    GODWIT_TRY(auto made, manifest::build_update_manifest(update_.manifest, detached));
    made.version = version_;
    offer_.whole_manifest = manifest::print_update_manifest(made);
    if (offer_.whole_manifest.size() > manifest::kUpdateManifestLimit)
      return fail(Code::too_large, fmt::format("its update manifest has {} bytes, allowed are {}",
                                               offer_.whole_manifest.size(), manifest::kUpdateManifestLimit));
    add_files(made);
    offer_.manifest = offer_.whole_manifest.size() <= kTwinStringLimit ? offer_.whole_manifest : make_mini(made);
    GODWIT_TRY(offer_.signature, sign_offer(offer_.manifest, identity));
    return std::move(offer_);
  }

 private:
  /// For each reference step its child's manifest file. The files of the child stand beside those of the parent.
  Result<std::vector<FileBase>> add_children(const ChildOffer& child_offer) {
    std::vector<FileBase> files;
    for (const manifest::Step& step : update_.manifest.steps) {
      const auto* reference = std::get_if<manifest::ReferenceStep>(&step);
      if (reference == nullptr) continue;
      GODWIT_TRY(const auto child, child_offer(reference->update, version_));
      const std::string text = manifest::print_detached_manifest(child.whole_manifest);
      files.push_back(manifest_file(reference->update, text));
      built_.manifest_files.emplace(files.back().sha256(), text);
      offer_.files.insert(child.files.begin(), child.files.end());
    }
    return files;
  }

  void add_files(const manifest::UpdateManifest& made) {
    for (const auto& [id, file] : made.files) {
      offer_.files[id] = {.sha256 = file.sha256(), .name = file.file_name};
      if (version_ < 5) continue;
      for (const auto& [related_id, related] : file.related_files)
        offer_.files[related_id] = {.sha256 = related.sha256(), .name = related.file_name};
    }
  }

  std::string make_mini(const manifest::UpdateManifest& whole) {
    const std::string text = manifest::print_detached_manifest(offer_.whole_manifest);
    const FileBase file = manifest_file(whole.update_id, text);
    const auto mini = manifest::make_mini_manifest(whole, file);
    offer_.files[mini.detached_manifest_file_id] = {.sha256 = file.sha256(), .name = file.file_name};
    built_.manifest_files.emplace(file.sha256(), text);
    return manifest::print_update_manifest(mini);
  }

  const PlannedUpdate& update_;
  int version_;
  BuiltUpdate& built_;
  store::OfferRecord offer_{};
};

std::vector<Bytes> blobs_of(const PlannedUpdate& update, const BuiltUpdate& built) {
  std::set<Bytes> digests;
  for (const auto& file : update.manifest.files) {
    digests.insert(file.sha256());
    for (const auto& related : file.related_files) digests.insert(related.sha256());
  }
  for (const auto& [digest, text] : built.manifest_files) digests.insert(digest);
  return {digests.begin(), digests.end()};
}

}  // namespace

Result<std::string> sign_offer(const std::string& manifest, const SigningIdentity& identity) {
  GODWIT_TRY(std::string signature, trust::sign_manifest(manifest, identity.key, identity.signed_jwk));
  if (signature.size() > kTwinStringLimit)
    return fail(Code::crypto_failed,
                fmt::format("the signature has {} bytes but a twin holds {}; use a signing key of 3072 bits",
                            signature.size(), kTwinStringLimit));
  return signature;
}

Imported<PlannedUpdate> plan_update(std::string text, std::string friendly_name) {
  auto parsed = manifest::parse_import_manifest(text);
  if (!parsed) {
    const bool is_version = parsed.error().code == Code::unsupported;
    return import_failure(parsed.error().code, "CannotProcessImportManifest",
                          is_version ? "UnsupportedVersion" : "CannotParse", parsed.error().message);
  }
  return PlannedUpdate{
      .manifest = *std::move(parsed), .text = std::move(text), .friendly_name = std::move(friendly_name)};
}

std::vector<UpdateId> references_of(const manifest::ImportManifest& manifest) {
  std::vector<UpdateId> children;
  for (const manifest::Step& step : manifest.steps)
    if (const auto* reference = std::get_if<manifest::ReferenceStep>(&step);
        reference != nullptr && std::find(children.begin(), children.end(), reference->update) == children.end())
      children.push_back(reference->update);
  return children;
}

Imported<std::vector<std::size_t>> check_against_catalog(store::CatalogRecords& catalog,
                                                         const std::vector<PlannedUpdate>& updates,
                                                         const Quotas& quotas) {
  std::set<UpdateId> ids;
  for (const PlannedUpdate& update : updates) {
    const UpdateId& id = update.manifest.update_id;
    if (!ids.insert(id).second)
      return import_failure(Code::conflict, "DuplicateContentImport", "",
                            "the request has the update " + id.str() + " twice");
    if (auto outcome = check_identity(catalog, id); !outcome) return tl::unexpected{outcome.error()};
    if (auto outcome = check_references(catalog, updates, update); !outcome) return tl::unexpected{outcome.error()};
    if (auto outcome = check_sets(catalog, updates, update); !outcome) return tl::unexpected{outcome.error()};
  }
  if (auto outcome = check_quotas(catalog, updates, quotas); !outcome) return tl::unexpected{outcome.error()};
  std::vector<std::size_t> order(updates.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_partition(order.begin(), order.end(),
                        [&](std::size_t i) { return !has_references(updates[i].manifest); });
  return order;
}

Result<BuiltUpdate> build_update(const PlannedUpdate& update, const ChildOffer& child_offer,
                                 const SigningIdentity& identity, std::string etag, WallTime now) {
  BuiltUpdate built;
  for (const int version : {4, 5}) {
    auto offer = OfferBuilder(update, version, built).build(child_offer, identity);
    if (!offer) return with_context(update.manifest.update_id.str(), std::move(offer).error());
    built.offers.emplace(version, *std::move(offer));
  }
  built.record = {.summary = {.id = update.manifest.update_id,
                              .description = update.manifest.description,
                              .friendly_name = update.friendly_name,
                              .is_deployable = update.manifest.is_deployable,
                              .compatibility = update.manifest.compatibility},
                  .import_manifest = update.text,
                  .references = references_of(update.manifest),
                  .blobs = blobs_of(update, built),
                  .scan_result = std::string(kScanResult),
                  .scan_details = std::string(kScanDetails),
                  .etag = std::move(etag),
                  .imported = now};
  return built;
}

}  // namespace godwit::service
