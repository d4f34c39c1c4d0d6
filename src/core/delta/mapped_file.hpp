// A whole file as memory, read only: the kernel keeps of it what fits. For making deltas only; a file that shrinks
// meanwhile ends the process (SIGBUS), so give it files that nobody changes. Safe to read from any thread.
#pragma once

#include <string_view>

#include "core/base/error.hpp"
#include "core/base/file.hpp"

namespace godwit::delta {

class MappedFile {
 public:
  /// Errors: not_found, invalid_argument (not a regular file), io_failed.
  [[nodiscard]] static Result<MappedFile> open(const Path& path);
  /// As open(), of a file that is open for reading; `fd` may be closed afterwards. `name` is for messages.
  [[nodiscard]] static Result<MappedFile> of(int fd, const std::string& name);
  MappedFile(MappedFile&& other) noexcept : data_(other.data_), size_(other.size_) {
    other.data_ = nullptr;
    other.size_ = 0;
  }
  MappedFile& operator=(MappedFile&&) = delete;
  ~MappedFile();
  [[nodiscard]] std::string_view bytes() const { return {data_, size_}; }

 private:
  MappedFile(const char* data, std::size_t size) : data_(data), size_(size) {}
  const char* data_;
  std::size_t size_;
};

}  // namespace godwit::delta
