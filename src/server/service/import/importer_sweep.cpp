// What the importer's thread does about blobs that nobody needs.
#include <fmt/format.h>

#include "server/service/import/importer.hpp"

namespace godwit::service {
namespace {

constexpr Duration kSweepEvery = std::chrono::hours(1);
constexpr std::size_t kPage = 1000;

}  // namespace

Result<bool> Importer::is_needed(const Bytes& digest) {
  bool is_needed = true;
  GODWIT_TRY_VOID(store_.read([&](store::Records& records) -> Result<void> {
    GODWIT_TRY(is_needed, records.catalog().is_blob_needed(digest));
    return {};
  }));
  return is_needed;
}

Result<void> Importer::remove_unneeded(const std::map<Bytes, WallTime>& digests) {
  for (const auto& [digest, time] : digests) {
    GODWIT_TRY(const bool is_wanted, is_needed(digest));
    if (is_wanted) continue;
    GODWIT_TRY(const bool is_gone, blobs_.remove_unless_used_after(digest, time));
    static_cast<void>(is_gone);  // else the sweep finds it
  }
  return {};
}

Result<void> Importer::remove_condemned(const std::vector<Bytes>& digests) {
  for (const Bytes& digest : digests) {
    GODWIT_TRY(const bool is_wanted, is_needed(digest));
    // Imported before the scanner knew the signature: taking it from under a deployment is an operator's decision.
    if (is_wanted)
      log_.error("import.malware_in_catalog", {{"sha256", hex_encode(digest)}});
    else
      GODWIT_TRY_VOID(blobs_.remove(digest));
  }
  return {};
}

/// Files that direct imports named and that are not worked off yet.
Result<std::set<Bytes>> Importer::awaited_blobs() {
  std::vector<Operation> unfinished;
  GODWIT_TRY_VOID(store_.read([&](store::Records& records) -> Result<void> {
    GODWIT_TRY(unfinished, records.catalog().unfinished_operations(kUnfinishedLimit));
    return {};
  }));
  std::set<Bytes> awaited;
  for (const Operation& operation : unfinished) {
    if (operation.kind != store::OperationKind::import_update) continue;
    GODWIT_TRY(const auto items, parse_import_request(operation.request));
    for (const ImportItem& item : items) {
      const auto* direct = std::get_if<DirectItem>(&item);
      const auto manifest = direct != nullptr ? manifest::parse_import_manifest(direct->manifest)
                                              : Result<manifest::ImportManifest>(fail(Code::not_found, "by URL"));
      if (!manifest) continue;
      for (const manifest::FileBase* file : all_files(*manifest)) awaited.insert(file->sha256());
    }
  }
  return awaited;
}

Result<SweepReport> Importer::sweep() {
  SweepReport report;
  const WallTime now = clock_.now();
  GODWIT_TRY(report.partial_uploads, blobs_.expire_partials(now - options_.keep_partial));
  const WallTime limit = now - options_.keep_unused;
  GODWIT_TRY(const auto awaited, awaited_blobs());
  GODWIT_TRY(auto found, blobs_.quarantined());
  for (bool is_first = true; is_first || !found.empty(); is_first = false) {
    for (const blobs::BlobInfo& blob : found) {
      if (is_stopping()) return report;
      if (blob.used > limit || awaited.contains(blob.sha256)) continue;
      GODWIT_TRY(const bool is_wanted, is_needed(blob.sha256));
      if (is_wanted) continue;
      GODWIT_TRY(const bool is_gone, blobs_.remove_unless_used_after(blob.sha256, limit));
      report.blobs += is_gone ? 1 : 0;
    }
    const Bytes last = is_first || found.empty() ? Bytes{} : found.back().sha256;
    GODWIT_TRY(found, blobs_.list(last, kPage));
  }
  if (report.blobs + report.partial_uploads > 0)
    log_.info("import.swept", {{"blobs", report.blobs}, {"partial_uploads", report.partial_uploads}});
  return report;
}

Result<void> Importer::sweep_if_due() {
  const Duration now = clock_.monotonic();
  if (now < next_sweep_) return {};
  GODWIT_TRY(const auto report, sweep());
  static_cast<void>(report);  // logged
  next_sweep_ = now + kSweepEvery;
  return {};
}

}  // namespace godwit::service
