// Reads every blob again, slowly, and compares it with its digest: what a disk has changed is set aside, reported, and
// never served. One thread; how far a round got is kept in the store. start() and stop() from one thread, the rest
// from any.
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "core/base/log.hpp"
#include "server/blobs/blobs.hpp"
#include "server/store/store.hpp"

namespace godwit::service {

struct BlobCheckOptions {
  ByteCount bytes_per_second = ByteCount{8} << 20U;  // 0: never
  Duration every = std::chrono::hours(24 * 7);       // from the end of a round to the next
};

class BlobCheck {
 public:
  struct Counters {
    std::uint64_t checked_blobs = 0;  // since the start of the process
    ByteCount checked_bytes = 0;
    std::uint64_t damaged_blobs = 0;
    bool is_running = false;
    std::optional<WallTime> finished{};  // the last whole round, also of an earlier process
  };

  BlobCheck(store::Store& store, blobs::Blobs& blobs, Clock& clock, Log& log, BlobCheckOptions options)
      : store_(store), blobs_(blobs), clock_(clock), log_(log), options_(options) {}
  ~BlobCheck() { stop(); }
  BlobCheck(const BlobCheck&) = delete;
  BlobCheck& operator=(const BlobCheck&) = delete;

  void start();
  void stop();
  /// A round begins now, if none runs. Errors: unsupported when checking is off.
  [[nodiscard]] Result<void> begin_round();
  [[nodiscard]] Counters counters();

  /// One whole round, without waiting between. For tests, instead of start().
  [[nodiscard]] Result<void> run_round();

 private:
  /// What is kept in the store.
  struct Progress {
    Bytes after{};  // the last blob that was checked; "" between rounds
    std::optional<WallTime> finished{};
  };
  [[nodiscard]] Result<Progress> load();
  [[nodiscard]] Result<void> save(const Progress& progress);
  [[nodiscard]] Result<void> go_on(Progress& progress);
  [[nodiscard]] Result<void> check(const blobs::BlobInfo& blob);
  [[nodiscard]] Result<bool> is_whole(const blobs::BlobInfo& blob, std::string& why);
  [[nodiscard]] Duration time_to_next(const Progress& progress);
  void run();
  [[nodiscard]] bool pause(Duration time);  // false: it stops
  [[nodiscard]] bool is_stopping();

  store::Store& store_;
  blobs::Blobs& blobs_;
  Clock& clock_;
  Log& log_;
  BlobCheckOptions options_;
  bool is_unbounded_ = false;  // run_round()

  std::mutex mutex_;
  std::condition_variable wake_;
  bool is_stopping_ = false;
  bool is_wanted_ = false;
  Counters counters_{};
  std::thread thread_;
};

}  // namespace godwit::service
