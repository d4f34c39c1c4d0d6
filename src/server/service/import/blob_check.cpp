#include "server/service/import/blob_check.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

namespace godwit::service {
namespace {

constexpr std::string_view kSetting = "blobs.check";
constexpr std::size_t kChunk = 1024 * 1024;
constexpr std::size_t kPage = 64;
constexpr Duration kRetryWait = std::chrono::minutes(5);

}  // namespace

void BlobCheck::start() {
  if (options_.bytes_per_second == 0) return;
  GODWIT_CHECK(!thread_.joinable());
  thread_ = std::thread([this] { run(); });
}

void BlobCheck::stop() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

bool BlobCheck::is_stopping() {
  const std::lock_guard lock(mutex_);
  return is_stopping_;
}

bool BlobCheck::pause(Duration time) {
  std::unique_lock lock(mutex_);
  return !wake_.wait_for(lock, time, [this] { return is_stopping_; });
}

Result<void> BlobCheck::begin_round() {
  if (options_.bytes_per_second == 0)
    return fail(Code::unsupported, "checking of payloads is off; blobs.check_rate turns it on");
  {
    const std::lock_guard lock(mutex_);
    is_wanted_ = true;
  }
  wake_.notify_all();
  return {};
}

BlobCheck::Counters BlobCheck::counters() {
  const std::lock_guard lock(mutex_);
  return counters_;
}

Duration BlobCheck::time_to_next(const Progress& progress) {
  if (!progress.after.empty() || !progress.finished) return Duration{0};
  const Duration since = clock_.now() - *progress.finished;
  return since >= options_.every ? Duration{0} : options_.every - since;
}

void BlobCheck::run() {
  while (!is_stopping()) {
    auto progress = load();
    Result<void> outcome;
    if (!progress) outcome = tl::unexpected<Error>{progress.error()};
    const Duration wait = progress ? time_to_next(*progress) : Duration{0};
    if (outcome && wait > Duration{0}) {
      std::unique_lock lock(mutex_);
      counters_.finished = progress->finished;
      wake_.wait_for(lock, wait, [this] { return is_stopping_ || is_wanted_; });
      if (!std::exchange(is_wanted_, false)) continue;
    }
    if (outcome) outcome = go_on(*progress);
    {
      const std::lock_guard lock(mutex_);
      counters_.is_running = false;
    }
    if (outcome || is_stopping()) continue;
    log_.error("blobs.check_failed", {{"why", outcome.error().message}, {"retry_after_s", kRetryWait.count() / 1000}});
    if (!pause(kRetryWait)) return;
  }
}

Result<void> BlobCheck::run_round() {
  is_unbounded_ = true;
  GODWIT_TRY(auto progress, load());
  return go_on(progress);
}

Result<void> BlobCheck::go_on(Progress& progress) {
  {
    const std::lock_guard lock(mutex_);
    counters_.is_running = true;
    counters_.finished = progress.finished;
    is_wanted_ = false;
  }
  for (;;) {
    GODWIT_TRY(const auto page, blobs_.list(progress.after, kPage));
    for (const blobs::BlobInfo& blob : page) {
      if (is_stopping()) return save(progress);
      GODWIT_TRY_VOID(check(blob));
      progress.after = blob.sha256;
    }
    if (page.empty()) break;
    GODWIT_TRY_VOID(save(progress));
  }
  progress = {.after = {}, .finished = clock_.now()};
  GODWIT_TRY_VOID(save(progress));
  const std::lock_guard lock(mutex_);
  counters_.is_running = false;
  counters_.finished = progress.finished;
  log_.info(
      "blobs.checked",
      {{"blobs", counters_.checked_blobs}, {"bytes", counters_.checked_bytes}, {"damaged", counters_.damaged_blobs}});
  return {};
}

Result<void> BlobCheck::check(const blobs::BlobInfo& blob) {
  std::string why;
  GODWIT_TRY(bool is_good, is_whole(blob, why));
  if (!is_good && !is_stopping()) {
    GODWIT_TRY(is_good, is_whole(blob, why));  // once more: memory errs, too
  }
  if (is_stopping()) return {};
  if (!is_good) {
    log_.error("blobs.damaged", {{"sha256", hex_encode(blob.sha256)},
                                 {"bytes", blob.size},
                                 {"why", why},
                                 {"remedy", "upload or import the same file again"}});
    GODWIT_TRY_VOID(blobs_.quarantine(blob.sha256));
  }
  const std::lock_guard lock(mutex_);
  ++counters_.checked_blobs;
  counters_.checked_bytes += blob.size;
  counters_.damaged_blobs += is_good ? 0 : 1;
  return {};
}

/// True also for a blob that has gone meanwhile.
Result<bool> BlobCheck::is_whole(const blobs::BlobInfo& blob, std::string& why) {
  const auto file = blobs_.open(blob.sha256);
  if (!file && file.error().code == Code::not_found) return true;
  if (!file) return tl::unexpected<Error>{file.error()};
  ::posix_fadvise(file->get(), 0, 0, POSIX_FADV_DONTNEED);  // what is in memory says nothing of the disk
  std::vector<char> buffer(kChunk);
  Sha256 hash;
  for (;;) {
    const ssize_t got = ::read(file->get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      why = fmt::format("it cannot be read: {}", error_from_errno("read", errno).message);
      return false;
    }
    if (got == 0) break;
    hash.update({buffer.data(), static_cast<std::size_t>(got)});
    if (is_unbounded_) continue;
    const auto bytes = static_cast<std::int64_t>(got);
    if (!pause(Duration{bytes * 1000 / static_cast<std::int64_t>(options_.bytes_per_second)})) return true;
  }
  ::posix_fadvise(file->get(), 0, 0, POSIX_FADV_DONTNEED);
  const Bytes found = hash.finish();
  if (found == blob.sha256) return true;
  why = "its bytes have SHA-256 " + hex_encode(found);
  return false;
}

Result<BlobCheck::Progress> BlobCheck::load() {
  std::optional<std::string> text;
  GODWIT_TRY_VOID(store_.read([&](store::Records& records) -> Result<void> {
    GODWIT_TRY(text, records.access().find_setting(kSetting));
    return {};
  }));
  Progress progress;
  if (!text) return progress;
  GODWIT_TRY(const auto object, json::parse_object(*text));
  GODWIT_TRY(progress.after, hex_decode(json::text_or_nothing(object, "after").value_or("")));
  if (const auto finished = json::integer_or_nothing(object, "finished")) progress.finished = from_unix_ms(*finished);
  return progress;
}

Result<void> BlobCheck::save(const Progress& progress) {
  json::Object object{{"after", hex_encode(progress.after)}};
  if (progress.finished) object["finished"] = to_unix_ms(*progress.finished);
  return store_.write(
      [&](store::Records& records) { return records.access().save_setting(kSetting, json::print(object)); });
}

}  // namespace godwit::service
