// Files that survive a power cut: write to a temporary name, fsync, rename, fsync the folder.
// Plain blocking calls; safe from any thread (two writers of one path: the last rename wins).
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/bytes.hpp"
#include "core/base/error.hpp"

namespace godwit {

/// Owns one file descriptor.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept;
  ~UniqueFd() { reset(); }
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] explicit operator bool() const { return fd_ >= 0; }
  int release();
  void reset(int fd = -1);

 private:
  int fd_ = -1;
};

using Path = std::filesystem::path;

/// Opens with O_CLOEXEC. Errors: not_found, io_failed, disk_full; the message names the path.
[[nodiscard]] Result<UniqueFd> open_file(const Path& path, int flags, mode_t mode = 0600);
/// Errors: too_large above `limit`, not_found, io_failed.
[[nodiscard]] Result<Bytes> read_file(const Path& path, ByteCount limit);
[[nodiscard]] Result<void> write_all(int fd, std::string_view bytes);
/// After return the path holds all of `bytes`, or on failure or power cut what it held before.
[[nodiscard]] Result<void> write_file_durably(const Path& path, std::string_view bytes, mode_t mode = 0600);
[[nodiscard]] Result<void> sync_fd(int fd);
[[nodiscard]] Result<void> sync_folder(const Path& folder);
/// mkdir -p with `mode` for folders it makes; existing ones are left as they are.
[[nodiscard]] Result<void> make_folders(const Path& folder, mode_t mode = 0700);
/// rm -rf; a path that is not there is success.
[[nodiscard]] Result<void> remove_tree(const Path& path);
/// A path that is not there is success.
[[nodiscard]] Result<void> remove_file_durably(const Path& path);
/// 32 raw bytes; reads in chunks, constant memory. Errors: as open_file.
[[nodiscard]] Result<Bytes> sha256_of_file(const Path& path);

/// True for a plain file name: no '/', no NUL or control character, not "", "." or "..", at most 255 bytes, valid
/// UTF-8.
[[nodiscard]] bool is_plain_file_name(std::string_view name);

}  // namespace godwit
