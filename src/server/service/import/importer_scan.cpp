// The part of an import that looks for malware.
#include <fmt/format.h>

#include "server/service/import/importer_run.hpp"

namespace godwit::service {
namespace {

constexpr int kTries = 3;  // a scanner that loads new signatures is away for a moment

store::FileScan not_scanned(std::string why) { return {.result = std::string(kNotScanned), .details = std::move(why)}; }

Imported<store::FileScan> refuse(const char* inner, Code code, const manifest::FileBase& file, std::string_view what) {
  return import_failure(code, "CannotProcessUpdateFile", inner,
                        fmt::format("file '{}' (SHA-256 {}): {}", file.file_name, hex_encode(file.sha256()), what));
}

}  // namespace

Imported<void> Importer::Run::scan_files() {
  for (const PlannedUpdate& update : updates_)
    for (const manifest::FileBase* file : all_files(update.manifest)) {
      if (scans_.contains(file->sha256())) continue;
      auto scan = scan_file(*file);
      if (!scan) return tl::unexpected{std::move(scan).error()};
      scans_.emplace(file->sha256(), *std::move(scan));
    }
  return {};
}

Imported<store::FileScan> Importer::Run::scan_file(const manifest::FileBase& file) {
  const ImportOptions& options = importer_.options_;
  store::FileScan scan = not_scanned("no scanner is configured");
  if (options.scanner != nullptr && file.size > options.largest_scan) {
    scan = not_scanned(
        fmt::format("too large to scan: {} bytes, the scanner gets at most {}", file.size, options.largest_scan));
  } else if (options.scanner != nullptr) {
    auto verdict = ask_scanner(file);
    if (!verdict) {
      was_cancelled_ = verdict.error().code == Code::cancelled;
      return refuse("SourceFilePendingMalwareAnalysis", verdict.error().code, file,
                    fmt::format("it could not be scanned, so it is not imported: {}; import it again when the scanner "
                                "works",
                                verdict.error().message));
    }
    if (verdict->outcome == ScanOutcome::infected) {
      condemned_.push_back(file.sha256());
      importer_.log_.warning("import.malware", {{"operation", operation_.id},
                                                {"file", file.file_name},
                                                {"sha256", hex_encode(file.sha256())},
                                                {"signature", verdict->details}});
      return refuse("SourceFileMalwareDetected", Code::refused, file, "malware was found: " + verdict->details);
    }
    scan = verdict->outcome == ScanOutcome::clean
               ? store::FileScan{.result = std::string(kScanSuccess), .details = std::move(verdict->details)}
               : not_scanned(std::move(verdict->details));
  }
  if (scan.result != kScanSuccess && options.is_scan_required)
    return refuse("SourceFilePendingMalwareAnalysis", Code::refused, file,
                  fmt::format("it was not scanned ({}), and import.require_scan demands that", scan.details));
  return scan;
}

ScanCounts Importer::scans() const {
  const std::lock_guard lock(scans_mutex_);
  return scans_;
}

void Importer::note_scan(const Result<ScanVerdict>& verdict, Duration took) {
  const std::lock_guard lock(scans_mutex_);
  scans_.took += took;
  if (!verdict) {
    scans_.failed += verdict.error().code == Code::cancelled ? 0U : 1U;  // a service that stops is no failure
    return;
  }
  switch (verdict->outcome) {
    case ScanOutcome::clean: ++scans_.clean; break;
    case ScanOutcome::infected: ++scans_.infected; break;
    case ScanOutcome::not_scanned: ++scans_.not_scanned; break;
  }
}

Result<ScanVerdict> Importer::Run::ask_scanner(const manifest::FileBase& file) {
  const auto is_cancelled = [this] { return importer_.is_stopping(); };
  for (int tried = 1;; ++tried) {
    GODWIT_TRY(const UniqueFd payload, importer_.blobs_.open(file.sha256()));
    const Duration begun = importer_.clock_.monotonic();
    auto verdict = importer_.options_.scanner->scan(payload.get(), file.size, is_cancelled);
    importer_.note_scan(verdict, importer_.clock_.monotonic() - begun);
    if (verdict || verdict.error().code != Code::unavailable || tried == kTries) return verdict;
    importer_.log_.warning("import.scanner_away", {{"operation", operation_.id}, {"why", verdict.error().message}});
    if (!importer_.pause(importer_.options_.scan_retry_wait))
      return fail(Code::cancelled, "the server is shutting down");
  }
}

void Importer::Run::note_scans(const PlannedUpdate& update, store::UpdateRecord& record) const {
  for (const manifest::FileBase* file : all_files(update.manifest))
    record.file_scans[file->sha256()] = scans_.at(file->sha256());
  // A parent without files of its own is as good as its children, which were scanned themselves.
  const bool has_no_files = record.file_scans.empty();
  if (has_no_files && importer_.options_.scanner == nullptr) return;
  const store::FileScan all =
      has_no_files ? store::FileScan{.result = std::string(kScanSuccess), .details = "it has no files of its own"}
                   : summarize_scans(record.file_scans);
  record.scan_result = all.result;
  record.scan_details = all.details;
}

}  // namespace godwit::service
