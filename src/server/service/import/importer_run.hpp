// One import on its way: manifests, rules, files, building, one transaction. Used by importer.cpp alone.
#pragma once

#include "server/service/import/importer.hpp"

namespace godwit::service {

class Importer::Run {
 public:
  Run(Importer& importer, Operation& operation) : importer_(importer), operation_(operation) {}

  /// A failure of what is imported, or of the machine while it was (disk full, no connection).
  [[nodiscard]] Imported<void> import();
  /// Blobs that this run added; they are freed if it fails.
  [[nodiscard]] const std::vector<Bytes>& added() const { return added_; }
  [[nodiscard]] bool was_cancelled() const { return was_cancelled_; }

 private:
  [[nodiscard]] Imported<void> read_manifests();
  [[nodiscard]] Imported<std::string> manifest_text(const ImportItem& item);
  void describe_operation();
  [[nodiscard]] Imported<void> fetch_files();
  [[nodiscard]] Imported<void> fetch_file(const UrlItem& item, const manifest::FileBase& file);
  [[nodiscard]] Result<void> fetch_blob(const std::string& url, const manifest::FileBase& file);
  [[nodiscard]] Imported<void> build(const std::vector<std::size_t>& order);
  [[nodiscard]] Imported<void> put_manifest_files(const BuiltUpdate& built);
  [[nodiscard]] Result<store::OfferRecord> offer_of_child(const UpdateId& child, int version);
  [[nodiscard]] Imported<void> store_all();

  Importer& importer_;
  Operation& operation_;
  std::vector<ImportItem> items_{};
  std::vector<PlannedUpdate> updates_{};  // same order as items_
  std::vector<BuiltUpdate> built_{};      // children first
  std::vector<Bytes> added_{};
  bool was_cancelled_ = false;
};

}  // namespace godwit::service
