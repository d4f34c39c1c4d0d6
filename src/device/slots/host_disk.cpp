#include "device/slots/host_disk.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace godwit::slots {
namespace {

constexpr std::size_t kNames = 4096;

tl::unexpected<Error> fail_errno(std::string_view doing, const Path& path, int error_number) {
  return tl::unexpected<Error>{error_from_errno(fmt::format("{} {}", doing, path.string()), error_number)};
}

class HostFile final : public DiskFile {
 public:
  HostFile(UniqueFd fd, Path path, bool is_device)
      : fd_(std::move(fd)), path_(std::move(path)), is_device_(is_device) {}

  Result<ByteCount> size() override {
    if (is_device_) {
      std::uint64_t bytes = 0;
      if (::ioctl(fd_.get(), BLKGETSIZE64, &bytes) != 0) return fail_errno("ask for the size of", path_, errno);
      return bytes;
    }
    struct stat info {};
    if (::fstat(fd_.get(), &info) != 0) return fail_errno("look at", path_, errno);
    return static_cast<ByteCount>(info.st_size);
  }

  Result<std::size_t> read_at(ByteCount offset, std::span<char> buffer) override {
    std::size_t done = 0;
    while (done < buffer.size()) {
      const auto got =
          ::pread(fd_.get(), buffer.data() + done, buffer.size() - done, static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return fail_errno(fmt::format("read at byte {} of", offset + done), path_, errno);
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
    }
    return done;
  }

  void will_read(ByteCount offset, ByteCount size) override {
    // Without it the medium rests while a chunk is hashed or compared; what the kernel does not take is read later.
    (void)::posix_fadvise(fd_.get(), static_cast<off_t>(offset), static_cast<off_t>(size), POSIX_FADV_WILLNEED);
  }

  Result<void> write_at(ByteCount offset, std::string_view bytes) override {
    while (!bytes.empty()) {
      const auto put = ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (put < 0 && errno == EINTR) continue;
      if (put <= 0) return fail_errno(fmt::format("write at byte {} of", offset), path_, put < 0 ? errno : EIO);
      bytes.remove_prefix(static_cast<std::size_t>(put));
      offset += static_cast<ByteCount>(put);
    }
    return {};
  }

  Result<void> sync() override {
    if (::fsync(fd_.get()) != 0) return fail_errno("sync", path_, errno);
    return {};
  }

  Result<void> begin_writing(ByteCount offset, ByteCount size) override {
    GODWIT_TRY_VOID(await_writing());
    begun_at_ = static_cast<off_t>(offset);
    begun_size_ = static_cast<off_t>(size);
    return write_back(SYNC_FILE_RANGE_WRITE);
  }

  Result<void> await_writing() override {
    if (begun_size_ == 0) return {};
    auto done = write_back(SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
    begun_size_ = 0;
    return done;
  }

  Result<void> drop_cache() override {
    // BLKFLSBUF drops the device's own pages and needs root; the advice is enough for files.
    if (is_device_ && ::ioctl(fd_.get(), BLKFLSBUF) != 0) return fail_errno("drop the cache of", path_, errno);
    if (const int problem = ::posix_fadvise(fd_.get(), 0, 0, POSIX_FADV_DONTNEED); problem != 0)
      return fail_errno("drop the cache of", path_, problem);
    return {};
  }

 private:
  Result<void> write_back(unsigned flags) {
    if (::sync_file_range(fd_.get(), begun_at_, begun_size_, flags) == 0) return {};
    // A file system that cannot do it leaves it to sync().
    if (errno == EINVAL || errno == ENOSYS || errno == ESPIPE || errno == EOPNOTSUPP) return {};
    return fail_errno(fmt::format("write back from byte {} of", begun_at_), path_, errno);
  }

  UniqueFd fd_;
  Path path_;
  bool is_device_;
  off_t begun_at_ = 0;
  off_t begun_size_ = 0;  // 0: nothing was begun
};

}  // namespace

Result<std::unique_ptr<DiskFile>> HostDisk::open(const Path& path, OpenMode mode) {
  int flags = O_RDONLY;
  if (mode == OpenMode::write) flags = O_RDWR;
  if (mode == OpenMode::create) flags = O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW;
  GODWIT_TRY(UniqueFd fd, open_file(path, flags | O_NONBLOCK, 0644));
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return fail_errno("look at", path, errno);
  if (!S_ISREG(info.st_mode) && !S_ISBLK(info.st_mode))
    return fail(Code::invalid_argument, path.string() + " is neither a file nor a block device");
  return std::make_unique<HostFile>(std::move(fd), path, S_ISBLK(info.st_mode));
}

Result<void> HostDisk::rename(const Path& from, const Path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return fail_errno("rename to", to, errno);
  return {};
}

Result<void> HostDisk::remove(const Path& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return fail_errno("remove", path, errno);
  return {};
}

Result<void> HostDisk::sync_folder(const Path& folder) { return godwit::sync_folder(folder); }

Result<std::vector<std::string>> HostDisk::list(const Path& folder) {
  std::error_code problem;
  std::vector<std::string> names;
  for (std::filesystem::directory_iterator entry(folder, problem), end; !problem && entry != end;
       entry.increment(problem)) {
    if (names.size() == kNames)
      return fail(Code::too_many, fmt::format("{} holds more than {} names", folder.string(), kNames));
    names.push_back(entry->path().filename().string());
  }
  if (problem == std::errc::no_such_file_or_directory)
    return fail(Code::not_found, folder.string() + " does not exist");
  if (problem) return fail_errno("read the folder", folder, problem.value());
  std::sort(names.begin(), names.end());
  return names;
}

Result<Room> HostDisk::room(const Path& folder) {
  struct statvfs info {};
  struct stat place {};
  if (::statvfs(folder.c_str(), &info) != 0 || ::stat(folder.c_str(), &place) != 0)
    return fail_errno("look at", folder, errno);
  if ((info.f_flag & ST_RDONLY) != 0)
    return fail(Code::refused, folder.string() + " is mounted read only; mount it so that root can write it");
  return Room{.free = static_cast<ByteCount>(info.f_bavail) * info.f_frsize,
              .file_system = static_cast<std::uint64_t>(place.st_dev)};
}

}  // namespace godwit::slots
