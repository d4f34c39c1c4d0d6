#include "support/download_target.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace godwit::author {

Result<DownloadTarget> open_download_target(const Path& path, std::uint64_t resume_offset, std::uint64_t at_most) {
  GODWIT_TRY(UniqueFd fd, open_file(path, O_RDWR | O_CREAT | O_NOFOLLOW));
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode))
    return fail(Code::io_failed, path.string() + " is not a regular file");
  const std::uint64_t kept = std::min({resume_offset, static_cast<std::uint64_t>(info.st_size), at_most});
  if (::ftruncate(fd.get(), static_cast<off_t>(kept)) != 0 || ::lseek(fd.get(), 0, SEEK_END) < 0)
    return tl::unexpected<Error>{error_from_errno("cut " + path.string(), errno)};
  return DownloadTarget{.fd = std::move(fd), .kept = kept};
}

}  // namespace godwit::author
