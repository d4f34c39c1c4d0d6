#include "copy.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "core/model/outcome.hpp"
#include "support/download_target.hpp"

namespace godwit::downloader_local {
namespace {

constexpr std::size_t kChunk = 1024 * 1024;

CopyAnswer failed(ExtendedCode code, std::string details, bool is_retryable) {
  return {.result_code = result::failure,
          .extended_code = code,
          .details = std::move(details),
          .is_retryable = is_retryable};
}

ExtendedCode code_of(const Error& error) {
  return error.code == Code::disk_full ? erc::disk_full : erc::download_failed;
}

/// What a medium says that is not there any more, or is about to go.
bool is_lost_medium(int number) {
  return number == EIO || number == ENODEV || number == ENXIO || number == ESTALE || number == ENOMEDIUM ||
         number == ESHUTDOWN || number == EUCLEAN;
}

CopyAnswer cannot_read(const Path& path, int number) {
  if (is_lost_medium(number))
    return failed(erc::download_failed,
                  fmt::format("read {}: {}; was the medium pulled out? Put it back", path.string(),
                              error_from_errno("", number).message),
                  true);
  return failed(erc::download_failed, error_from_errno("read " + path.string(), number).message, false);
}

/// "" if whoever may change `info` is trusted with it.
std::string check_owner(const struct stat& info, const std::vector<uid_t>& owners) {
  const bool is_known = info.st_uid == 0 || info.st_uid == ::geteuid() ||
                        std::find(owners.begin(), owners.end(), info.st_uid) != owners.end();
  if (!is_known)
    return fmt::format("belongs to user {}: give it to root, or register the downloader with --option owners={}",
                       info.st_uid, info.st_uid);
  if ((info.st_mode & S_IWOTH) != 0)
    return fmt::format("may be written by everybody (mode {:04o}): run chmod o-w", info.st_mode & 07777U);
  return "";
}

struct Opened {
  UniqueFd fd{};
  std::uint64_t size = 0;
  std::optional<CopyAnswer> refusal{};
};

/// O_NONBLOCK: a fifo must not hold us up before we have seen what it is.
Opened open_below(const Place& place, const std::vector<uid_t>& owners) {
  constexpr int kFolder = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  Path path = place.folder;
  UniqueFd fd(::open(path.c_str(), kFolder));
  struct stat info {};
  for (std::size_t i = 0;; ++i) {
    if (!fd) {
      const int number = errno;
      if (number == ENOENT)
        return {.refusal = failed(erc::download_failed, fmt::format("there is no {}", path.string()), false)};
      if (number == ELOOP || number == ENOTDIR)
        return {.refusal = failed(erc::download_bad_url,
                                  fmt::format("{} is a link or no folder; only plain folders are gone through, and "
                                              "only regular files are taken",
                                              path.string()),
                                  false)};
      return {.refusal = cannot_read(path, number)};
    }
    if (::fstat(fd.get(), &info) != 0) return {.refusal = cannot_read(path, errno)};
    const bool is_file = i == place.parts.size();
    if (is_file && !S_ISREG(info.st_mode))
      return {.refusal = failed(erc::download_bad_url, fmt::format("{} is not a regular file", path.string()), false)};
    if (const std::string reason = check_owner(info, owners); !reason.empty())
      return {.refusal = failed(erc::download_bad_url, fmt::format("{} {}", path.string(), reason), false)};
    if (is_file) return {.fd = std::move(fd), .size = static_cast<std::uint64_t>(info.st_size)};
    path /= place.parts[i];
    const bool is_last = i + 1 == place.parts.size();
    fd = UniqueFd(::openat(fd.get(), place.parts[i].c_str(),
                           (is_last ? O_RDONLY | O_NONBLOCK | O_CLOEXEC : kFolder) | O_NOFOLLOW));
  }
}

CopyAnswer copy_bytes(const CopyRequest& request, const CopyWatch& watch, const Path& path, const Opened& source,
                      int target, std::uint64_t& position) {
  std::vector<char> chunk(kChunk);
  while (position < source.size) {
    if (watch.is_cancelled && watch.is_cancelled())
      return {.result_code = result::cancelled, .details = "cancelled", .is_retryable = true};
    const std::size_t wanted = static_cast<std::size_t>(std::min<std::uint64_t>(kChunk, source.size - position));
    const auto offset = static_cast<off_t>(position);
    const ssize_t got = watch.read ? watch.read(source.fd.get(), chunk.data(), wanted, offset)
                                   : ::pread(source.fd.get(), chunk.data(), wanted, offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return cannot_read(path, errno);
    if (got == 0)
      return failed(
          erc::download_size,
          fmt::format("{} became shorter while it was read: {} of {} bytes", path.string(), position, source.size),
          true);
    if (const auto written = write_all(target, {chunk.data(), static_cast<std::size_t>(got)}); !written)
      return failed(code_of(written.error()),
                    fmt::format("write {}: {}", request.target.string(), written.error().message), false);
    position += static_cast<std::uint64_t>(got);
    if (watch.on_progress) watch.on_progress(position, request.expected_size.value_or(0));
  }
  return {.result_code = result::download_ok};
}

}  // namespace

CopyAnswer copy(const CopyRequest& request, const CopyWatch& watch) {
  const auto path = path_of_url(request.url);
  if (!path)
    return failed(erc::download_bad_url,
                  fmt::format("the URL {} cannot be read: {}", request.url.substr(0, 200), path.error().message),
                  false);
  const auto place = find_place(*path, request.options.folders);
  if (!place) return failed(erc::download_bad_url, fmt::format("{}: {}", path->string(), place.error().message), false);
  const Opened source = open_below(*place, request.options.owners);
  if (source.refusal) return *source.refusal;
  if (request.expected_size && source.size != *request.expected_size)
    return failed(erc::download_size,
                  fmt::format("{} has {} bytes, expected are {}", path->string(), source.size, *request.expected_size),
                  false);
  if (!request.expected_size && source.size > request.size_limit)
    return failed(
        erc::download_size,
        fmt::format("{} has {} bytes, the limit for this file is {}", path->string(), source.size, request.size_limit),
        false);
  // Of an unknown size nothing is kept.
  const auto target =
      author::open_download_target(request.target, request.resume_offset, request.expected_size.value_or(0));
  if (!target) return failed(code_of(target.error()), target.error().message, false);
  std::uint64_t position = target->kept;
  CopyAnswer answer = copy_bytes(request, watch, *path, source, target->fd.get(), position);
  answer.bytes_read = position - target->kept;
  answer.file_size = position;
  answer.was_resumed = target->kept > 0;
  if (const auto synced = sync_fd(target->fd.get()); !synced && answer.result_code > 0)
    return failed(code_of(synced.error()), synced.error().message, false);
  return answer;
}

}  // namespace godwit::downloader_local
