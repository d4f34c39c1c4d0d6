// Imports: requests become operations (durable before they are answered), one thread works them off, and a restart
// takes up what was unfinished. The same thread frees the blobs that nobody needs any more, so that imports, deletions
// and the sweep never race for a blob. begin() and stop() from one thread; start() and wake() from any.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "core/base/log.hpp"
#include "server/blobs/blobs.hpp"
#include "server/service/import/fetcher.hpp"
#include "server/service/import/prepare.hpp"
#include "server/service/import/request.hpp"
#include "server/service/import/scanner.hpp"
#include "server/store/store.hpp"

namespace godwit::service {

/// Deltas that an import makes from what devices have installed, for files that name microsoft/delta:1.
struct DeltaOptions {
  std::size_t versions = 0;                        // installed versions, those of most devices first; 0: no deltas
  unsigned least_saving_percent = 30;              // of the file; what saves less is dropped
  ByteCount largest_file = ByteCount{2} << 30U;    // of source and of target
  Duration time_limit = std::chrono::minutes(20);  // of one delta
  int level = 19;                                  // of zstd
  Path folder = "/tmp";                            // for the delta while it is made; it has no name there
};
struct DeltaCounts {
  std::uint64_t made = 0;
  std::uint64_t dropped = 0;  // saved too little, or took too long
  ByteCount saved_bytes = 0;  // for each device that uses one
};

struct ImportOptions {
  Scanner* scanner = nullptr;  // null: nothing is scanned, and updates say so
  ByteCount largest_scan = ByteCount{100} << 20U;
  bool is_scan_required = false;                       // what was not scanned is not imported
  Duration scan_retry_wait = std::chrono::seconds(2);  // when the scanner is not there
  Quotas quotas{};
  DeltaOptions deltas{};
  Duration keep_unused = std::chrono::hours(24);   // a blob that no update needs, since it was last used
  Duration keep_partial = std::chrono::hours(24);  // an upload begun, since its last byte
};

/// What scanners have said since the start; files that no scanner was asked about are in none of them.
struct ScanCounts {
  std::uint64_t clean = 0;
  std::uint64_t infected = 0;
  std::uint64_t not_scanned = 0;  // the scanner would not, e.g. too large for it
  std::uint64_t failed = 0;       // it was not there or made no sense
  Duration took{};                // all together
};

/// What a sweep found.
struct SweepReport {
  std::size_t blobs = 0;
  std::size_t partial_uploads = 0;
};

class Importer {
 public:
  /// Finished operations are kept this long.
  static constexpr Duration kKeepOperations = std::chrono::hours(24 * 7);
  /// More unfinished operations than this are refused.
  static constexpr std::size_t kUnfinishedLimit = 100;

  Importer(store::Store& store, blobs::Blobs& blobs, Fetcher& fetcher, Clock& clock, Log& log, SigningIdentity identity,
           ImportOptions options = {});
  ~Importer();  // stops
  Importer(const Importer&) = delete;
  Importer& operator=(const Importer&) = delete;

  /// Queues an import and gives the id of its operation. Direct items are checked here and now (manifest, rules of the
  /// catalog, files present), so that a bad one is refused with nothing stored. Not from an io loop: waits for the
  /// store.
  [[nodiscard]] Imported<std::string> start(const std::vector<ImportItem>& items, const std::string& actor);

  /// Starts the thread; it first takes up what an earlier process left unfinished.
  void begin();
  /// Ends the thread; a running fetch is broken off and starts anew at the next begin().
  void stop();
  /// There may be new operations (a deletion was queued).
  void wake();
  /// One turn of the thread: works off every unfinished operation. For tests, instead of begin().
  [[nodiscard]] Result<void> work_off();
  /// Removes blobs that no update needs, no import is about to need, and nobody used for `keep_unused`; drops uploads
  /// that nobody continued. The thread's own affair; for tests, instead of begin().
  [[nodiscard]] Result<SweepReport> sweep();

  /// Any thread.
  [[nodiscard]] ScanCounts scans() const;
  [[nodiscard]] DeltaCounts deltas() const;  // since the start

 private:
  using Operation = store::OperationRecord;

  void run();
  [[nodiscard]] bool is_stopping();
  [[nodiscard]] Result<void> work_off(Operation operation);
  [[nodiscard]] Result<void> free_blobs(Operation operation);
  [[nodiscard]] Result<void> forget_old_operations();
  [[nodiscard]] Imported<void> check_direct(const std::vector<ImportItem>& items);
  [[nodiscard]] Result<void> save(Operation& operation);
  [[nodiscard]] Result<void> finish_failed(Operation operation, const ImportFailure& failure);
  /// Removes what no update needs, unless it was used after the time beside it.
  [[nodiscard]] Result<void> remove_unneeded(const std::map<Bytes, WallTime>& digests);
  [[nodiscard]] Result<void> remove_condemned(const std::vector<Bytes>& digests);
  [[nodiscard]] Result<bool> is_needed(const Bytes& digest);
  [[nodiscard]] Result<std::set<Bytes>> awaited_blobs();
  [[nodiscard]] Result<void> sweep_if_due();
  /// False when the server stops meanwhile.
  [[nodiscard]] bool pause(Duration time);

  /// The work on one import, importer_run.cpp.
  class Run;

  store::Store& store_;
  blobs::Blobs& blobs_;
  Fetcher& fetcher_;
  Clock& clock_;
  Log& log_;
  SigningIdentity identity_;
  ImportOptions options_;
  Duration next_sweep_{};  // monotonic
  mutable std::mutex scans_mutex_;
  ScanCounts scans_;
  DeltaCounts deltas_;
  void note_deltas(const DeltaCounts& counts);
  void note_scan(const Result<ScanVerdict>& verdict, Duration took);

  std::mutex mutex_;
  std::condition_variable wake_;
  bool is_woken_ = false;
  bool is_stopping_ = false;
  std::thread thread_;
};

/// Checks that every file of `manifest` is in the blobs with its size, and marks them as used.
/// Failures: CannotProcessUpdateFile, ContentFileCannotDownload, naming the file.
[[nodiscard]] Imported<void> check_files_present(blobs::Blobs& blobs, const manifest::ImportManifest& manifest);
/// Payload files and related files, in the manifest's order.
[[nodiscard]] std::vector<const manifest::FileBase*> all_files(const manifest::ImportManifest& manifest);

}  // namespace godwit::service
