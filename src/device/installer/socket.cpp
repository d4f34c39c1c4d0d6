#include "device/installer/socket.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace godwit::installer {
namespace {

constexpr int kBacklog = 16;

Result<void> check_folder(const Path& folder) {
  struct stat info {};
  if (::stat(folder.c_str(), &info) != 0)
    return tl::unexpected<Error>{error_from_errno("look at " + folder.string(), errno)};
  const bool is_ours = info.st_uid == 0 || info.st_uid == ::geteuid();
  const bool is_open = (info.st_mode & (S_IWGRP | S_IWOTH)) != 0 && (info.st_mode & S_ISVTX) == 0;
  if (is_ours && !is_open) return {};
  return fail(Code::refused,
              fmt::format("the folder {} of the socket may be written by others than root (owner {}, mode {:04o}); "
                          "run: chown root {} && chmod go-w {}",
                          folder.string(), info.st_uid, info.st_mode & 07777U, folder.string(), folder.string()));
}

Result<void> remove_stale(const Path& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return {};
  if (!S_ISSOCK(info.st_mode))
    return fail(Code::refused,
                fmt::format("{} is there and is not a socket; choose another installer.socket", path.string()));
  if (::unlink(path.c_str()) != 0)
    return tl::unexpected<Error>{error_from_errno("remove the old socket " + path.string(), errno)};
  return {};
}

}  // namespace

Result<UniqueFd> listen_at(const Path& path, uid_t agent) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.native().size() >= sizeof address.sun_path)
    return fail(Code::invalid_argument,
                fmt::format("installer.socket: {} has more than {} bytes", path.string(), sizeof address.sun_path - 1));
  std::memcpy(address.sun_path, path.c_str(), path.native().size() + 1);
  GODWIT_TRY_VOID(make_folders(path.parent_path(), 0755));
  GODWIT_TRY_VOID(check_folder(path.parent_path()));
  GODWIT_TRY_VOID(remove_stale(path));
  UniqueFd fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!fd) return tl::unexpected<Error>{error_from_errno("make a socket", errno)};
  const mode_t before = ::umask(0177);  // there is no moment at which others may connect
  const int bound = ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int problem = errno;
  ::umask(before);
  if (bound != 0) return tl::unexpected<Error>{error_from_errno("bind " + path.string(), problem)};
  if (agent != ::geteuid() && ::lchown(path.c_str(), agent, static_cast<gid_t>(-1)) != 0)
    return tl::unexpected<Error>{error_from_errno("give " + path.string() + " to the agent", errno)};
  if (::listen(fd.get(), kBacklog) != 0)
    return tl::unexpected<Error>{error_from_errno("listen at " + path.string(), errno)};
  return fd;
}

Result<UniqueFd> lock_data_folder(const Path& folder) {
  GODWIT_TRY_VOID(make_folders(folder));
  GODWIT_TRY(UniqueFd fd, open_file(folder / "lock", O_RDWR | O_CREAT | O_NOFOLLOW));
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
  if (errno == EWOULDBLOCK)
    return fail(Code::conflict, fmt::format("another godwit-installer works in {}", folder.string()));
  return tl::unexpected<Error>{error_from_errno("lock " + folder.string(), errno)};
}

Result<uid_t> peer_user(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
    return tl::unexpected<Error>{error_from_errno("ask who is connected", errno)};
  return peer.uid;
}

}  // namespace godwit::installer
