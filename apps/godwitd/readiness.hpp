// Whether this service should get requests: the store takes a write, the disk has room. Asked by anybody, so an answer
// holds for a moment and only one caller at a time looks. Safe from any thread; may block on the disk.
#pragma once

#include <functional>
#include <mutex>
#include <string>

#include "core/base/clock.hpp"
#include "core/base/file.hpp"
#include "server/store/store.hpp"

namespace godwit::daemon {

/// Bytes that are free in a folder; nullopt: it cannot be said.
using FreeSpace = std::function<std::optional<ByteCount>(const Path& folder)>;
[[nodiscard]] std::optional<ByteCount> free_space(const Path& folder);

class Readiness {
 public:
  static constexpr Duration kMemory = std::chrono::seconds(2);

  Readiness(store::Store& store, const Clock& clock, Path folder, ByteCount least_free, FreeSpace space = free_space)
      : store_(store), clock_(clock), folder_(std::move(folder)), least_free_(least_free), space_(std::move(space)) {}

  /// "" or a sentence without a full stop.
  [[nodiscard]] std::string why_not();

 private:
  [[nodiscard]] std::string look() const;

  store::Store& store_;
  const Clock& clock_;
  Path folder_;
  ByteCount least_free_;
  FreeSpace space_;
  std::mutex mutex_;  // guards the two below
  std::string reason_;
  std::optional<Duration> looked_at_;
};

}  // namespace godwit::daemon
