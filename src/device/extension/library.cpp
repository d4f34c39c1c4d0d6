#include "device/extension/library.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "device/extension/registry.hpp"

namespace godwit::extension {
namespace {

bool is_trusted_owner(uid_t owner) { return owner == 0 || owner == ::geteuid(); }

}  // namespace

Result<void> check_library(int fd, const Path& path) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return tl::unexpected<Error>{error_from_errno("look at " + path.string(), errno)};
  if (!S_ISREG(info.st_mode)) return fail(Code::extension_refused, path.string() + " is not a regular file");
  if (info.st_size < 1 || static_cast<ByteCount>(info.st_size) > kLibraryLimit)
    return fail(Code::extension_refused, fmt::format("{} has {} bytes; a library has 1 byte to {} MiB", path.string(),
                                                     info.st_size, kLibraryLimit >> 20U));
  if (!is_trusted_owner(info.st_uid))
    return fail(Code::extension_refused, fmt::format("{} belongs to user {}, who could change it; run: chown root {}",
                                                     path.string(), info.st_uid, path.string()));
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return fail(Code::extension_refused, fmt::format("{} may be written by others (mode {:04o}); run: chmod go-w {}",
                                                     path.string(), info.st_mode & 07777U, path.string()));
  return {};
}

Result<void> check_folders_above(const Path& path) {
  for (Path folder = path.parent_path();; folder = folder.parent_path()) {
    struct stat info {};
    if (::lstat(folder.c_str(), &info) != 0)
      return tl::unexpected<Error>{error_from_errno("look at " + folder.string(), errno)};
    if (!is_trusted_owner(info.st_uid))
      return fail(Code::extension_refused, fmt::format("the folder {} belongs to user {}, who could exchange what is "
                                                       "in it; put the library below folders of root",
                                                       folder.string(), info.st_uid));
    if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0 && (info.st_mode & S_ISVTX) == 0)
      return fail(
          Code::extension_refused,
          fmt::format(
              "others may write to the folder {} (mode {:04o}); put the library below folders that only root writes",
              folder.string(), info.st_mode & 07777U));
    if (folder == folder.parent_path()) return {};
  }
}

Result<OpenedLibrary> open_library(const Path& path) {
  OpenedLibrary library;
  library.fd = UniqueFd{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)};
  if (!library.fd) {
    if (errno == ENOENT || errno == ENOTDIR)
      return fail(Code::extension_missing,
                  "no library at " + path.string() + "; install it, or remove its registration");
    if (errno == ELOOP)
      return fail(Code::extension_refused, path.string() + " is a symbolic link; register the file itself");
    return tl::unexpected<Error>{error_from_errno("open " + path.string(), errno)};
  }
  GODWIT_TRY_VOID(check_library(library.fd.get(), path));
  Sha256 hash;
  std::array<char, 64 * 1024> chunk;
  for (;;) {
    const ssize_t got = ::pread(library.fd.get(), chunk.data(), chunk.size(), static_cast<off_t>(library.size));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return tl::unexpected<Error>{error_from_errno("read " + path.string(), errno)};
    if (got == 0) break;
    hash.update({chunk.data(), static_cast<std::size_t>(got)});
    library.size += static_cast<ByteCount>(got);
    if (library.size > kLibraryLimit) return fail(Code::extension_refused, path.string() + " grows while it is read");
  }
  library.sha256 = hex_encode(hash.finish());
  return library;
}

}  // namespace godwit::extension
