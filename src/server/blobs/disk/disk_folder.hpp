// The folder of the blobs: names, the moments of becoming visible and of going, and how much is there. Private to this
// room. Safe from any thread.
#pragma once

#include <sys/stat.h>

#include <mutex>
#include <string>

#include "core/base/clock.hpp"
#include "server/blobs/disk/disk_blobs.hpp"

namespace godwit::blobs {

class DiskFolder {
 public:
  DiskFolder(Path root, const Clock& clock, DiskOptions options)
      : root_(std::move(root)), clock_(clock), options_(options) {}

  /// Makes the sub-folders, empties tmp/, counts what is there. Before anything else, once.
  [[nodiscard]] Result<void> open();

  [[nodiscard]] Path blob(const std::string& name) const { return root_ / name.substr(0, 2) / name; }
  [[nodiscard]] Path temporary(const std::string& name) const { return root_ / "tmp" / name; }
  [[nodiscard]] Path partials() const { return root_ / "partial"; }
  [[nodiscard]] Path set_aside() const { return root_ / "quarantine"; }
  [[nodiscard]] const Path& root() const { return root_; }
  [[nodiscard]] const Clock& clock() const { return clock_; }
  [[nodiscard]] const DiskOptions& options() const { return options_; }

  /// Room for `size` bytes that are on their way. Errors: disk_full when the quota does not allow them.
  [[nodiscard]] Result<void> reserve(ByteCount size);
  void release(ByteCount size);

  /// Gives a whole, fsynced file its final name, and fsyncs the folders. Heals a quarantined blob.
  [[nodiscard]] Result<WallTime> publish(const Path& file, const std::string& name, ByteCount size);
  /// nullopt: not there. `is_use`: its stamp moves on.
  [[nodiscard]] Result<std::optional<BlobInfo>> look_at(const std::string& name, bool is_use);
  /// False when it was used after `time`, and stays.
  [[nodiscard]] Result<bool> remove_unless_used_after(const std::string& name, WallTime time);
  [[nodiscard]] Result<void> quarantine(const std::string& name);
  [[nodiscard]] bool is_quarantined(const std::string& name) const;
  [[nodiscard]] Usage usage();  // without the uploads begun

 private:
  [[nodiscard]] Result<void> count();

  Path root_;
  const Clock& clock_;
  DiskOptions options_;
  std::mutex mutex_;  // between looking at a blob and renaming, stamping or removing it
  Usage usage_{};
};

/// The stamp of a file as BlobInfo::used carries it.
[[nodiscard]] WallTime stamp_of(const struct stat& info);
[[nodiscard]] Result<void> set_stamp(const Path& path, WallTime time);

/// Hex name of a digest. Errors: invalid_argument when it does not have 32 bytes.
[[nodiscard]] Result<std::string> name_of(const Bytes& sha256);
[[nodiscard]] bool is_blob_name(std::string_view name);

}  // namespace godwit::blobs
