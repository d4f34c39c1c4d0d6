#include "core/base/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

namespace godwit {
namespace {

constexpr std::size_t kChunk = 64 * 1024;

tl::unexpected<Error> fail_errno(std::string_view doing, const Path& path, int error_number) {
  auto error = error_from_errno(std::string(doing) + " " + path.string(), error_number);
  if (error_number == ENOENT) error.code = Code::not_found;
  return tl::unexpected<Error>{std::move(error)};
}

/// Bytes read into `buffer`, 0 at the end of the file.
Result<std::size_t> read_some(int fd, const Path& path, std::span<char> buffer) {
  for (;;) {
    const auto got = ::read(fd, buffer.data(), buffer.size());
    if (got >= 0) return static_cast<std::size_t>(got);
    if (errno != EINTR) return fail_errno("read", path, errno);
  }
}

Path folder_of(const Path& path) { return path.has_parent_path() ? path.parent_path() : Path("."); }

/// Everything up to and including the rename; the caller removes the temporary file on failure.
Result<void> write_and_rename(const Path& temporary, const Path& path, std::string_view bytes, mode_t mode) {
  GODWIT_TRY(const auto fd, open_file(temporary, O_WRONLY | O_CREAT | O_EXCL, mode));
  if (::fchmod(fd.get(), mode) != 0) return fail_errno("set the mode of", temporary, errno);  // umask does not decide
  if (auto written = write_all(fd.get(), bytes); !written)
    return with_context(path.string(), std::move(written).error());
  if (auto synced = sync_fd(fd.get()); !synced) return with_context(path.string(), std::move(synced).error());
  if (::rename(temporary.c_str(), path.c_str()) != 0) return fail_errno("rename to", path, errno);
  return sync_folder(folder_of(path));
}

}  // namespace

UniqueFd& UniqueFd::operator=(UniqueFd&& other) noexcept {
  if (this != &other) reset(other.release());
  return *this;
}

int UniqueFd::release() { return std::exchange(fd_, -1); }

void UniqueFd::reset(int fd) {
  const int old = std::exchange(fd_, fd);
  if (old >= 0) ::close(old);
}

Result<UniqueFd> open_file(const Path& path, int flags, mode_t mode) {
  for (;;) {
    const int fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
    if (fd >= 0) return UniqueFd(fd);
    if (errno != EINTR) return fail_errno("open", path, errno);
  }
}

Result<Bytes> read_file(const Path& path, ByteCount limit) {
  GODWIT_TRY(const auto fd, open_file(path, O_RDONLY));
  Bytes bytes;
  std::array<char, kChunk> chunk{};
  for (;;) {
    GODWIT_TRY(const auto got, read_some(fd.get(), path, chunk));
    if (got == 0) return bytes;
    if (bytes.size() + got > limit) {
      return fail(Code::too_large, path.string() + " is longer than the " + std::to_string(limit) + " bytes allowed");
    }
    bytes.append(chunk.data(), got);
  }
}

Result<void> write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return tl::unexpected<Error>{error_from_errno("write", errno)};
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Result<void> write_file_durably(const Path& path, std::string_view bytes, mode_t mode) {
  Path temporary = path;
  temporary += ".tmp-" + hex_encode(random_bytes(6));
  auto done = write_and_rename(temporary, path, bytes, mode);
  if (!done) ::unlink(temporary.c_str());  // not there after the rename
  return done;
}

Result<void> sync_fd(int fd) {
  while (::fsync(fd) != 0) {
    if (errno != EINTR) return tl::unexpected<Error>{error_from_errno("fsync", errno)};
  }
  return {};
}

Result<void> sync_folder(const Path& folder) {
  GODWIT_TRY(const auto fd, open_file(folder, O_RDONLY | O_DIRECTORY));
  if (auto synced = sync_fd(fd.get()); !synced) return with_context(folder.string(), std::move(synced).error());
  return {};
}

Result<void> make_folders(const Path& folder, mode_t mode) {
  std::error_code problem;
  if (folder.empty() || std::filesystem::is_directory(folder, problem)) return {};
  const auto parent = folder_of(folder);
  if (parent != folder) GODWIT_TRY_VOID(make_folders(parent, mode));
  if (::mkdir(folder.c_str(), mode) == 0) return sync_folder(parent);
  if (errno == EEXIST && std::filesystem::is_directory(folder, problem)) return {};  // somebody was faster
  return fail_errno("make folder", folder, errno);
}

Result<void> remove_tree(const Path& path) {
  std::error_code problem;
  std::filesystem::remove_all(path, problem);
  if (problem) return fail_errno("remove", path, problem.value());
  return {};
}

Result<void> remove_file_durably(const Path& path) {
  if (::unlink(path.c_str()) == 0) return sync_folder(folder_of(path));
  if (errno != ENOENT) return fail_errno("remove", path, errno);
  // Repeated after a kill: it is gone, which is what was wanted, but perhaps not yet on the disk.
  auto synced = sync_folder(folder_of(path));
  if (!synced && synced.error().code == Code::not_found) return {};
  return synced;
}

Result<Bytes> sha256_of_file(const Path& path) {
  GODWIT_TRY(const auto fd, open_file(path, O_RDONLY));
  Sha256 hash;
  std::array<char, kChunk> chunk{};
  for (;;) {
    GODWIT_TRY(const auto got, read_some(fd.get(), path, chunk));
    if (got == 0) return hash.finish();
    hash.update({chunk.data(), got});
  }
}

bool is_plain_file_name(std::string_view name) {
  if (name.empty() || name.size() > 255 || name == "." || name == "..") return false;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f || c == '/') return false;
  }
  return is_valid_utf8(name);
}

}  // namespace godwit
