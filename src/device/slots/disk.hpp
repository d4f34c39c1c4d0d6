// The one door to what survives a power cut: every write, fsync and rename of this room goes through a Disk, so that
// the cut tests can lose, reorder and tear whatever was not synced. HostDisk is the real one; testing/fake_disk.hpp the
// other. Blocking; a Disk and its files belong to one thread.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/base/error.hpp"
#include "core/base/file.hpp"

namespace godwit::slots {

/// An open file or block device.
class DiskFile {
 public:
  DiskFile() = default;
  DiskFile(const DiskFile&) = delete;
  DiskFile& operator=(const DiskFile&) = delete;
  virtual ~DiskFile() = default;

  /// In bytes; of a block device its capacity.
  [[nodiscard]] virtual Result<ByteCount> size() = 0;
  /// Fills `buffer` from `offset` on; fewer bytes only at the end. Errors: io_failed.
  [[nodiscard]] virtual Result<std::size_t> read_at(ByteCount offset, std::span<char> buffer) = 0;
  /// These bytes are read soon: the medium may begin with them while the caller works on others. A hint.
  virtual void will_read(ByteCount /*offset*/, ByteCount /*size*/) {}
  /// Writes all of `bytes`. Errors: io_failed, disk_full. Nothing is durable before sync().
  [[nodiscard]] virtual Result<void> write_at(ByteCount offset, std::string_view bytes) = 0;
  /// After success everything written so far survives a power cut. After a failure nothing is known about it: the
  /// caller must not try again and believe the second answer.
  [[nodiscard]] virtual Result<void> sync() = 0;
  /// Lets the medium begin with these bytes, which were written before, so that a cut finds few of them in memory only.
  /// No promise: nothing is durable before sync().
  [[nodiscard]] virtual Result<void> begin_writing(ByteCount /*offset*/, ByteCount /*size*/) { return {}; }
  /// Waits until the medium has taken what was begun. Errors: io_failed, disk_full; they may not come again in sync().
  [[nodiscard]] virtual Result<void> await_writing() { return {}; }
  /// Forgets the clean cached pages, so that the next read comes from the medium. Writes must have been synced.
  [[nodiscard]] virtual Result<void> drop_cache() = 0;
};

enum class OpenMode : std::uint8_t {
  read,
  write,   // an existing file or device, read as well
  create,  // a new, empty file; what was there is truncated
};

/// What is free of a file system.
struct Room {
  ByteCount free = 0;
  std::uint64_t file_system = 0;  // which one
};

class Disk {
 public:
  Disk() = default;
  Disk(const Disk&) = delete;
  Disk& operator=(const Disk&) = delete;
  virtual ~Disk() = default;

  /// Errors: not_found, io_failed, disk_full; the message names the path.
  [[nodiscard]] virtual Result<std::unique_ptr<DiskFile>> open(const Path& path, OpenMode mode) = 0;
  [[nodiscard]] virtual Result<void> rename(const Path& from, const Path& to) = 0;
  /// A path that is not there is success.
  [[nodiscard]] virtual Result<void> remove(const Path& path) = 0;
  /// Makes names in `folder` (created, renamed, removed) survive a power cut.
  [[nodiscard]] virtual Result<void> sync_folder(const Path& folder) = 0;
  /// Plain names in `folder`, sorted. Errors: not_found, io_failed, too_many above 4096.
  [[nodiscard]] virtual Result<std::vector<std::string>> list(const Path& folder) = 0;
  /// Of the file system that `folder` is on. Errors: not_found, io_failed, refused (it is mounted read only).
  [[nodiscard]] virtual Result<Room> room(const Path& folder) = 0;
};

/// Reads the whole file. Errors: too_large above `limit`, not_found, io_failed.
[[nodiscard]] Result<Bytes> read_whole(Disk& disk, const Path& path, ByteCount limit);
/// Makes a file with these bytes, which survive a power cut; its name may not.
[[nodiscard]] Result<void> write_new(Disk& disk, const Path& path, std::string_view bytes);
/// After return `path` holds all of `bytes`; on failure or a power cut what it held before, or all of `bytes`.
[[nodiscard]] Result<void> replace_durably(Disk& disk, const Path& path, std::string_view bytes);

}  // namespace godwit::slots
