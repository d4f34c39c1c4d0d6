#include "server/blobs/disk/disk_blobs.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

namespace godwit::blobs {
namespace {

constexpr std::size_t kDigestSize = 32;

Result<std::string> name_of(const Bytes& sha256) {
  if (sha256.size() != kDigestSize)
    return fail(Code::invalid_argument, fmt::format("a SHA-256 digest has 32 bytes, not {}", sha256.size()));
  return hex_encode(sha256);
}

class DiskUpload final : public Upload {
 public:
  DiskUpload(Path root, Path temporary, UniqueFd file, Bytes sha256, ByteCount size)
      : root_(std::move(root)),
        temporary_(std::move(temporary)),
        file_(std::move(file)),
        sha256_(std::move(sha256)),
        size_(size) {}
  ~DiskUpload() override {
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
  }

  Result<void> write(std::string_view bytes) override {
    GODWIT_CHECK(file_);
    if (bytes.size() > size_ - written_)
      return fail(Code::too_large,
                  fmt::format("more than the announced {} bytes arrived for blob {}", size_, hex_encode(sha256_)));
    GODWIT_TRY_VOID(write_all(file_.get(), bytes));
    hash_.update(bytes);
    written_ += bytes.size();
    return {};
  }

  Result<void> finish() override {
    GODWIT_CHECK(file_);
    const std::string name = hex_encode(sha256_);
    if (written_ != size_)
      return fail(Code::size_mismatch, fmt::format("blob {} ended after {} of {} bytes", name, written_, size_));
    if (const Bytes found = hash_.finish(); found != sha256_) {
      file_.reset();
      return fail(Code::digest_mismatch, fmt::format("the bytes of blob {} have SHA-256 {}", name, hex_encode(found)));
    }
    GODWIT_TRY_VOID(sync_fd(file_.get()));
    file_.reset();
    const Path folder = root_ / name.substr(0, 2);
    const bool is_new_folder = ::mkdir(folder.c_str(), 0700) == 0;
    if (!is_new_folder && errno != EEXIST)
      return tl::unexpected<Error>{error_from_errno("make folder " + folder.string(), errno)};
    // Two uploads of one digest hold equal bytes: whoever renames last changes nothing.
    if (::rename(temporary_.c_str(), (folder / name).c_str()) != 0)
      return tl::unexpected<Error>{error_from_errno("rename to " + (folder / name).string(), errno)};
    temporary_.clear();
    GODWIT_TRY_VOID(sync_folder(folder));
    return sync_folder(root_);
  }

 private:
  Path root_;
  Path temporary_;  // empty once it has its final name
  UniqueFd file_;
  Bytes sha256_;
  ByteCount size_;
  ByteCount written_ = 0;
  Sha256 hash_{};
};

class DiskBlobs final : public Blobs {
 public:
  explicit DiskBlobs(Path root) : root_(std::move(root)) {}

  Result<std::unique_ptr<Upload>> start(const Bytes& sha256, ByteCount size) override {
    GODWIT_TRY(const std::string name, name_of(sha256));
    Path temporary = root_ / "tmp" / fmt::format("{}.{}", name, next_++);
    GODWIT_TRY(auto file, open_file(temporary, O_WRONLY | O_CREAT | O_EXCL));
    return std::unique_ptr<Upload>{
        std::make_unique<DiskUpload>(root_, std::move(temporary), std::move(file), sha256, size)};
  }

  Result<std::optional<ByteCount>> size_of(const Bytes& sha256) override {
    GODWIT_TRY(const Path path, path_of(sha256));
    struct stat info {};
    if (::stat(path.c_str(), &info) == 0) return std::optional{static_cast<ByteCount>(info.st_size)};
    if (errno == ENOENT) return std::optional<ByteCount>{};
    return tl::unexpected<Error>{error_from_errno("look at " + path.string(), errno)};
  }

  Result<UniqueFd> open(const Bytes& sha256) override {
    GODWIT_TRY(const Path path, path_of(sha256));
    return open_file(path, O_RDONLY);
  }

  Result<void> remove(const Bytes& sha256) override {
    GODWIT_TRY(const Path path, path_of(sha256));
    if (::unlink(path.c_str()) != 0) {
      if (errno == ENOENT) return {};
      return tl::unexpected<Error>{error_from_errno("remove " + path.string(), errno)};
    }
    return sync_folder(path.parent_path());
  }

 private:
  [[nodiscard]] Result<Path> path_of(const Bytes& sha256) const {
    GODWIT_TRY(const std::string name, name_of(sha256));
    return root_ / name.substr(0, 2) / name;
  }

  Path root_;
  std::atomic<std::uint64_t> next_ = 0;
};

}  // namespace

Result<std::unique_ptr<Blobs>> open_disk_blobs(const Path& folder) {
  GODWIT_TRY_VOID(remove_tree(folder / "tmp"));
  GODWIT_TRY_VOID(make_folders(folder / "tmp"));
  GODWIT_TRY_VOID(sync_folder(folder));
  return std::unique_ptr<Blobs>{std::make_unique<DiskBlobs>(folder)};
}

}  // namespace godwit::blobs
