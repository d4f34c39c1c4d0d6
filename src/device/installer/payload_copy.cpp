#include "device/installer/payload_copy.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "core/base/bytes.hpp"

namespace godwit::installer {
namespace {

constexpr std::size_t kChunk = 256 * 1024;

tl::unexpected<Error> failed(std::string_view doing, const PlanFile& file, int error_number) {
  return tl::unexpected<Error>{error_from_errno(fmt::format("{} the payload {}", doing, file.name), error_number)};
}

/// The source, of `size` bytes under one of these names, opened without following a link and without waiting on a pipe.
Result<UniqueFd> open_source(const Path& folder, const std::vector<std::string>& names, const PlanFile& file,
                             ByteCount size) {
  const UniqueFd at{::open(folder.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
  if (!at) {
    if (errno == ENOENT)
      return fail(Code::not_found, fmt::format("the agent's folder {} is not there", folder.string()));
    return fail(Code::refused, fmt::format("the agent's folder {} cannot be opened as a folder", folder.string()));
  }
  for (const std::string& name : names) {
    if (!is_plain_file_name(name)) continue;
    UniqueFd fd{::openat(at.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)};
    if (!fd && errno == ENOENT) continue;
    if (!fd && errno == ELOOP)
      return fail(Code::refused, fmt::format("the payload {} is a symbolic link in the agent's folder", file.name));
    if (!fd) return failed("open", file, errno);
    struct stat info {};
    if (::fstat(fd.get(), &info) != 0) return failed("look at", file, errno);
    if (!S_ISREG(info.st_mode))
      return fail(Code::refused, fmt::format("the payload {} is not a regular file in the agent's folder", file.name));
    if (static_cast<ByteCount>(info.st_size) != size)
      return fail(Code::size_mismatch,
                  fmt::format("the payload {} has {} bytes, expected are {}", file.name, info.st_size, size));
    return fd;
  }
  return fail(Code::not_found,
              fmt::format("the payload {} is not in the agent's folder {}", file.name, folder.string()));
}

/// Copies at most `size` + 1 bytes; the file may grow or shrink meanwhile. Gives their hash.
Result<Bytes> copy_and_hash(int from, int to, const PlanFile& file, ByteCount size) {
  Sha256 hash;
  ByteCount done = 0;
  std::vector<char> chunk(kChunk);
  for (;;) {
    const ssize_t got = ::read(from, chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed("read", file, errno);
    if (got == 0) break;
    done += static_cast<ByteCount>(got);
    if (done > size) return fail(Code::size_mismatch, fmt::format("the payload {} grew while it was read", file.name));
    const std::string_view bytes(chunk.data(), static_cast<std::size_t>(got));
    hash.update(bytes);
    if (auto written = write_all(to, bytes); !written)
      return with_context("copy the payload " + file.name, written.error());
  }
  if (done != size)
    return fail(Code::size_mismatch,
                fmt::format("the payload {} ended after {} bytes, expected are {}", file.name, done, size));
  return hash.finish();
}

Result<UniqueFd> make_copy(int folder, const std::string& name, const PlanFile& file) {
  if (::unlinkat(folder, name.c_str(), 0) != 0 && errno != ENOENT) return failed("remove an old copy of", file, errno);
  UniqueFd copy{::openat(folder, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)};
  if (!copy) return failed("make a copy of", file, errno);
  return copy;
}

Result<UniqueFd> open_target(const Path& folder, const PlanFile& file) {
  UniqueFd target{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
  if (!target) return failed("open the folder for", file, errno);
  return target;
}

Result<void> copy_whole(int from, int to, const PlanFile& file) {
  GODWIT_TRY(const Bytes hash, copy_and_hash(from, to, file, file.size));
  if (hex_encode(hash) != file.sha256)
    return fail(Code::digest_mismatch,
                fmt::format("the payload {} does not have the hash that the signed manifest names", file.name));
  return sync_fd(to);
}

}  // namespace

Result<void> copy_payload(const Path& source_folder, const PlanFile& file, const Path& target_folder) {
  if (!is_plain_file_name(file.name) || !is_plain_file_name(file.id))
    return fail(Code::refused, "a payload's name is not a plain file name");
  GODWIT_TRY(const UniqueFd source, open_source(source_folder, {file.id, file.name}, file, file.size));
  GODWIT_TRY(const UniqueFd target, open_target(target_folder, file));
  const std::string temporary = ".copy-" + file.id;
  GODWIT_TRY(const UniqueFd copy, make_copy(target.get(), temporary, file));
  if (auto copied = copy_whole(source.get(), copy.get(), file); !copied) {
    ::unlinkat(target.get(), temporary.c_str(), 0);
    return copied;
  }
  if (::renameat(target.get(), temporary.c_str(), target.get(), file.name.c_str()) != 0)
    return failed("name the copy of", file, errno);
  return sync_fd(target.get());
}

Result<Path> copy_pieces(const Path& source_folder, const std::string& source_name, const PlanFile& file,
                         ByteCount size, const Path& target_folder) {
  if (!is_plain_file_name(source_name) || !is_plain_file_name(file.id))
    return fail(Code::refused, "the name of a payload's pieces is not a plain file name");
  GODWIT_TRY(const UniqueFd source, open_source(source_folder, {source_name}, file, size));
  GODWIT_TRY(const UniqueFd target, open_target(target_folder, file));
  const std::string name = ".pieces-" + file.id;
  GODWIT_TRY(const UniqueFd copy, make_copy(target.get(), name, file));
  if (const auto copied = copy_and_hash(source.get(), copy.get(), file, size); !copied) {
    ::unlinkat(target.get(), name.c_str(), 0);
    return tl::unexpected<Error>{copied.error()};
  }
  return target_folder / name;
}

bool has_payload(const Path& target_folder, const PlanFile& file) {
  struct stat info {};
  return ::lstat((target_folder / file.name).c_str(), &info) == 0 && S_ISREG(info.st_mode) &&
         static_cast<ByteCount>(info.st_size) == file.size;
}

Result<void> check_space(const Path& folder, ByteCount bytes, ByteCount reserve) {
  struct statvfs info {};
  if (::statvfs(folder.c_str(), &info) != 0)
    return tl::unexpected<Error>{error_from_errno("look at the space in " + folder.string(), errno)};
  const ByteCount available = static_cast<ByteCount>(info.f_bavail) * info.f_frsize;
  if (available >= reserve && available - reserve >= bytes) return {};
  return fail(Code::disk_full, fmt::format("{} has {} bytes free, the payloads need {} and {} are to stay free",
                                           folder.string(), available, bytes, reserve));
}

}  // namespace godwit::installer
