#include "apps/godwitd/readiness.hpp"

#include <sys/statvfs.h>

#include "core/base/text.hpp"

namespace godwit::daemon {

std::optional<ByteCount> free_space(const Path& folder) {
  struct statvfs info {};
  if (::statvfs(folder.c_str(), &info) != 0) return std::nullopt;
  return static_cast<ByteCount>(info.f_bavail) * info.f_frsize;
}

std::string Readiness::why_not() {
  const std::lock_guard lock(mutex_);
  const Duration now = clock_.monotonic();
  if (looked_at_ && now - *looked_at_ < kMemory) return reason_;
  reason_ = look();
  looked_at_ = now;
  return reason_;
}

std::string Readiness::look() const {
  const auto space = space_(folder_);
  if (!space) return "the data folder cannot be looked at";
  if (*space < least_free_)
    return "the disk of the data folder is nearly full: " + readable_size(*space) + " are free, " +
           readable_size(least_free_) + " are the least (api.least_free_disk)";
  // A real write: an empty transaction would not touch the disk.
  const auto write = [now = clock_.now()](store::Records& records) {
    return records.access().save_setting("ready.probe", format_time(now));
  };
  if (const auto written = store_.write(write); !written)
    return "the store takes no writes: " + written.error().message;
  return "";
}

}  // namespace godwit::daemon
