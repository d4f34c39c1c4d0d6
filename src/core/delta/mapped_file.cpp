#include "core/delta/mapped_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>

namespace godwit::delta {

Result<MappedFile> MappedFile::open(const Path& path) {
  GODWIT_TRY(const UniqueFd fd, open_file(path, O_RDONLY));
  return of(fd.get(), path.string());
}

Result<MappedFile> MappedFile::of(int fd, const std::string& name) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return tl::unexpected<Error>{error_from_errno("look at " + name, errno)};
  if (!S_ISREG(info.st_mode)) return fail(Code::invalid_argument, name + " is not a regular file");
  const auto size = static_cast<std::size_t>(info.st_size);
  if (size == 0) return MappedFile(nullptr, 0);
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (data == MAP_FAILED) return tl::unexpected<Error>{error_from_errno("map " + name, errno)};
  return MappedFile(static_cast<const char*>(data), size);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<char*>(data_), size_);
}

}  // namespace godwit::delta
