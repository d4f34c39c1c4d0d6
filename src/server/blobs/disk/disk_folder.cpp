#include "server/blobs/disk/disk_folder.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace godwit::blobs {
namespace {

constexpr std::size_t kDigestSize = 32;

tl::unexpected<Error> fail_errno(std::string_view doing, const Path& path, int error_number) {
  return tl::unexpected<Error>{error_from_errno(fmt::format("{} {}", doing, path.string()), error_number)};
}

}  // namespace

WallTime stamp_of(const struct stat& info) {
  return from_unix_ms(std::int64_t{info.st_mtim.tv_sec} * 1000 + info.st_mtim.tv_nsec / 1'000'000);
}

Result<void> set_stamp(const Path& path, WallTime time) {
  const std::int64_t ms = to_unix_ms(time);
  const timespec stamp{.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1'000'000};
  const timespec both[2] = {stamp, stamp};
  if (::utimensat(AT_FDCWD, path.c_str(), both, 0) != 0) return fail_errno("stamp", path, errno);
  return {};
}

Result<std::string> name_of(const Bytes& sha256) {
  if (sha256.size() != kDigestSize)
    return fail(Code::invalid_argument, fmt::format("a SHA-256 digest has 32 bytes, not {}", sha256.size()));
  return hex_encode(sha256);
}

bool is_blob_name(std::string_view name) {
  return name.size() == 2 * kDigestSize &&
         std::all_of(name.begin(), name.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

Result<void> DiskFolder::open() {
  GODWIT_TRY_VOID(remove_tree(root_ / "tmp"));
  for (const Path& folder : {root_ / "tmp", partials(), set_aside()}) GODWIT_TRY_VOID(make_folders(folder));
  GODWIT_TRY_VOID(sync_folder(root_));
  return count();
}

Result<void> DiskFolder::count() {
  std::error_code problem;
  std::filesystem::recursive_directory_iterator entry(root_, problem);
  for (; !problem && entry != std::filesystem::recursive_directory_iterator(); entry.increment(problem)) {
    const Path& path = entry->path();
    if (!is_blob_name(path.filename().string())) continue;
    if (path.parent_path() == set_aside()) {
      ++usage_.quarantined;
    } else {
      ++usage_.blobs;
      usage_.bytes += entry->file_size(problem);
    }
  }
  if (problem) return fail(Code::io_failed, fmt::format("list {}: {}", root_.string(), problem.message()));
  return {};
}

Result<void> DiskFolder::reserve(ByteCount size) {
  const std::lock_guard lock(mutex_);
  const ByteCount taken = usage_.bytes + usage_.reserved;
  const ByteCount limit = options_.storage_limit;
  if (limit != 0 && (taken > limit || size > limit - taken))
    return fail(Code::disk_full,
                fmt::format("{} more bytes do not fit into the storage quota of {} bytes, of which {} are taken; "
                            "delete updates that are no longer needed",
                            size, limit, taken));
  usage_.reserved += size;
  return {};
}

void DiskFolder::release(ByteCount size) {
  const std::lock_guard lock(mutex_);
  usage_.reserved -= std::min(size, usage_.reserved);
}

Result<WallTime> DiskFolder::publish(const Path& file, const std::string& name, ByteCount size) {
  const Path folder = root_ / name.substr(0, 2);
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return fail_errno("make folder", folder, errno);
  const WallTime now = clock_.now();
  GODWIT_TRY_VOID(set_stamp(file, now));
  {
    const std::lock_guard lock(mutex_);
    struct stat before {};
    const bool was_there = ::stat(blob(name).c_str(), &before) == 0;
    // Two uploads of one digest hold equal bytes: whoever renames last changes nothing.
    if (::rename(file.c_str(), blob(name).c_str()) != 0) return fail_errno("rename to", blob(name), errno);
    if (!was_there) {
      ++usage_.blobs;
      usage_.bytes += size;
    }
    if (::unlink((set_aside() / name).c_str()) == 0) --usage_.quarantined;
  }
  GODWIT_TRY_VOID(sync_folder(folder));
  GODWIT_TRY_VOID(sync_folder(root_));
  return now;
}

Result<std::optional<BlobInfo>> DiskFolder::look_at(const std::string& name, bool is_use) {
  const Path path = blob(name);
  const std::lock_guard lock(mutex_);
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return std::optional<BlobInfo>{};
    return fail_errno("look at", path, errno);
  }
  GODWIT_TRY(auto digest, hex_decode(name));
  BlobInfo found{.sha256 = std::move(digest), .size = static_cast<ByteCount>(info.st_size), .used = stamp_of(info)};
  if (is_use) {
    // Later than before in any case: whoever remembers the old stamp sees that it was used.
    found.used = std::max(clock_.now(), found.used + Duration{1});
    GODWIT_TRY_VOID(set_stamp(path, found.used));
  }
  return std::optional{std::move(found)};
}

Result<bool> DiskFolder::remove_unless_used_after(const std::string& name, WallTime time) {
  const Path path = blob(name);
  {
    const std::lock_guard lock(mutex_);
    if (::unlink((set_aside() / name).c_str()) == 0) --usage_.quarantined;
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) {
      if (errno == ENOENT) return true;
      return fail_errno("look at", path, errno);
    }
    if (stamp_of(info) > time) return false;
    if (::unlink(path.c_str()) != 0) return fail_errno("remove", path, errno);
    --usage_.blobs;
    usage_.bytes -= std::min(usage_.bytes, static_cast<ByteCount>(info.st_size));
  }
  GODWIT_TRY_VOID(sync_folder(path.parent_path()));
  return true;
}

Result<void> DiskFolder::quarantine(const std::string& name) {
  const Path path = blob(name);
  {
    const std::lock_guard lock(mutex_);
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0 || ::rename(path.c_str(), (set_aside() / name).c_str()) != 0) {
      if (errno == ENOENT) return {};
      return fail_errno("set aside", path, errno);
    }
    --usage_.blobs;
    usage_.bytes -= std::min(usage_.bytes, static_cast<ByteCount>(info.st_size));
    ++usage_.quarantined;
    GODWIT_TRY_VOID(set_stamp(set_aside() / name, clock_.now()));
  }
  GODWIT_TRY_VOID(sync_folder(set_aside()));
  return sync_folder(path.parent_path());
}

bool DiskFolder::is_quarantined(const std::string& name) const {
  struct stat info {};
  return ::stat((set_aside() / name).c_str(), &info) == 0;
}

Usage DiskFolder::usage() {
  const std::lock_guard lock(mutex_);
  return usage_;
}

}  // namespace godwit::blobs
