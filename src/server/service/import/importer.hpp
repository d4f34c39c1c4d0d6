// Imports: requests become operations (durable before they are answered), one thread works them off, and a restart
// takes up what was unfinished. Also frees the blobs of deleted updates, so that imports and deletions never race for a
// blob. begin() and stop() from one thread; start() and wake() from any.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/base/log.hpp"
#include "server/blobs/blobs.hpp"
#include "server/service/import/fetcher.hpp"
#include "server/service/import/prepare.hpp"
#include "server/service/import/request.hpp"
#include "server/store/store.hpp"

namespace godwit::service {

class Importer {
 public:
  /// Finished operations are kept this long.
  static constexpr Duration kKeepOperations = std::chrono::hours(24 * 7);
  /// More unfinished operations than this are refused.
  static constexpr std::size_t kUnfinishedLimit = 100;

  Importer(store::Store& store, blobs::Blobs& blobs, Fetcher& fetcher, Clock& clock, Log& log,
           SigningIdentity identity);
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
  [[nodiscard]] Result<void> remove_unneeded(const std::vector<Bytes>& digests);

  /// The work on one import, importer_run.cpp.
  class Run;

  store::Store& store_;
  blobs::Blobs& blobs_;
  Fetcher& fetcher_;
  Clock& clock_;
  Log& log_;
  SigningIdentity identity_;

  std::mutex mutex_;
  std::condition_variable wake_;
  bool is_woken_ = false;
  bool is_stopping_ = false;
  std::thread thread_;
};

/// Checks that every file of `manifest` is in the blobs with its size.
/// Failures: CannotProcessUpdateFile, ContentFileCannotDownload, naming the file.
[[nodiscard]] Imported<void> check_files_present(blobs::Blobs& blobs, const manifest::ImportManifest& manifest);
/// Payload files and related files, in the manifest's order.
[[nodiscard]] std::vector<const manifest::FileBase*> all_files(const manifest::ImportManifest& manifest);

}  // namespace godwit::service
