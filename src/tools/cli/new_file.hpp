// What a verb writes: a file that is there whole, or not at all. One thread.
#pragma once

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "core/base/file.hpp"

namespace godwit::cli {

/// A file that gets its name only when it is whole.
class NewFile {
 public:
  /// Errors: io_failed, not_found (the folder).
  static Result<NewFile> begin(const std::string& path) {
    Path temporary = path + ".part";
    GODWIT_TRY(UniqueFd fd, open_file(temporary, O_RDWR | O_CREAT | O_TRUNC, 0644));
    return NewFile(path, std::move(temporary), std::move(fd));
  }
  NewFile(NewFile&&) noexcept = default;
  NewFile& operator=(NewFile&&) = delete;
  ~NewFile() {
    if (fd_) ::unlink(temporary_.c_str());
  }
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] Result<void> keep() {
    GODWIT_TRY_VOID(sync_fd(fd_.get()));
    std::error_code problem;
    std::filesystem::rename(temporary_, path_, problem);
    if (problem) return fail(Code::io_failed, fmt::format("rename to {}: {}", path_.string(), problem.message()));
    fd_.reset();
    return sync_folder(path_.has_parent_path() ? path_.parent_path() : Path("."));
  }

 private:
  NewFile(Path path, Path temporary, UniqueFd fd)
      : path_(std::move(path)), temporary_(std::move(temporary)), fd_(std::move(fd)) {}
  Path path_;
  Path temporary_;
  UniqueFd fd_;
};

}  // namespace godwit::cli
