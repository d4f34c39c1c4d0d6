// One import on its way: manifests, rules, files, building, one transaction. Used by importer.cpp alone.
#pragma once

#include "server/service/import/importer.hpp"

namespace godwit::service {

class Importer::Run {
 public:
  Run(Importer& importer, Operation& operation) : importer_(importer), operation_(operation) {}

  /// A failure of what is imported, or of the machine while it was (disk full, no connection).
  [[nodiscard]] Imported<void> import();
  /// Blobs that this run added, with the time when; they are freed if it fails and nobody used them since.
  [[nodiscard]] const std::map<Bytes, WallTime>& added() const { return added_; }
  /// Blobs in which malware was found.
  [[nodiscard]] const std::vector<Bytes>& condemned() const { return condemned_; }
  [[nodiscard]] bool was_cancelled() const { return was_cancelled_; }

 private:
  [[nodiscard]] Imported<void> read_manifests();
  [[nodiscard]] Imported<std::string> manifest_text(const ImportItem& item);
  void describe_operation();
  [[nodiscard]] Imported<void> fetch_files();
  [[nodiscard]] Imported<void> fetch_file(const UrlItem& item, const manifest::FileBase& file);
  [[nodiscard]] Result<void> fetch_blob(const std::string& url, const manifest::FileBase& file);
  [[nodiscard]] Imported<void> check_storage();
  [[nodiscard]] Imported<void> build(const std::vector<std::size_t>& order);
  [[nodiscard]] Imported<void> put_manifest_files(const BuiltUpdate& built);
  [[nodiscard]] Result<store::OfferRecord> offer_of_child(const UpdateId& child, int version);
  [[nodiscard]] Imported<void> store_all();

  // importer_scan.cpp
  [[nodiscard]] Imported<void> scan_files();
  [[nodiscard]] Imported<store::FileScan> scan_file(const manifest::FileBase& file);
  [[nodiscard]] Result<ScanVerdict> ask_scanner(const manifest::FileBase& file);
  void note_scans(const PlannedUpdate& update, store::UpdateRecord& record) const;

  // importer_deltas.cpp
  struct MadeDelta {
    Bytes sha256{};
    ByteCount size = 0;
  };
  [[nodiscard]] Imported<void> make_deltas();
  [[nodiscard]] Result<void> make_deltas_from(PlannedUpdate& update, const UpdateId& version);
  [[nodiscard]] Result<std::vector<UpdateId>> installed_versions(const UpdateId& id);
  [[nodiscard]] Result<void> add_delta(manifest::File& file, const manifest::File& source);
  [[nodiscard]] Result<std::optional<MadeDelta>> make_delta(const Bytes& source, const Bytes& target, int fd);
  [[nodiscard]] Result<void> store_delta(const MadeDelta& made, int fd);

  Importer& importer_;
  Operation& operation_;
  std::vector<ImportItem> items_{};
  std::vector<PlannedUpdate> updates_{};  // same order as items_
  std::vector<BuiltUpdate> built_{};      // children first
  std::map<Bytes, WallTime> added_{};
  std::vector<Bytes> condemned_{};
  std::map<Bytes, store::FileScan> scans_{};
  DeltaCounts delta_counts_{};
  bool was_cancelled_ = false;
};

}  // namespace godwit::service
