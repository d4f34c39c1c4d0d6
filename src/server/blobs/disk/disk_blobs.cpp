#include "server/blobs/disk/disk_blobs.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

#include "server/blobs/disk/disk_partials.hpp"

namespace godwit::blobs {
namespace {

/// An upload of one breath: unfinished it leaves nothing.
class DiskUpload final : public Upload {
 public:
  DiskUpload(std::shared_ptr<DiskFolder> folder, Path temporary, UniqueFd file, std::string name, ByteCount size)
      : folder_(std::move(folder)),
        temporary_(std::move(temporary)),
        file_(std::move(file)),
        name_(std::move(name)),
        size_(size) {}
  ~DiskUpload() override {
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
    folder_->release(size_);
  }

  Result<void> write(std::string_view bytes) override {
    GODWIT_CHECK(file_);
    if (bytes.size() > size_ - written_)
      return fail(Code::too_large, fmt::format("more than the announced {} bytes arrived for blob {}", size_, name_));
    GODWIT_TRY_VOID(write_all(file_.get(), bytes));
    hash_.update(bytes);
    written_ += bytes.size();
    return {};
  }

  Result<WallTime> finish() override {
    GODWIT_CHECK(file_);
    if (written_ != size_)
      return fail(Code::size_mismatch, fmt::format("blob {} ended after {} of {} bytes", name_, written_, size_));
    if (const std::string found = hex_encode(hash_.finish()); found != name_) {
      file_.reset();
      return fail(Code::digest_mismatch, fmt::format("the bytes of blob {} have SHA-256 {}", name_, found));
    }
    GODWIT_TRY_VOID(sync_fd(file_.get()));
    file_.reset();
    GODWIT_TRY(const WallTime stamp, folder_->publish(temporary_, name_, size_));
    temporary_.clear();
    return stamp;
  }

 private:
  std::shared_ptr<DiskFolder> folder_;
  Path temporary_;  // empty once it has its final name
  UniqueFd file_;
  std::string name_;
  ByteCount size_;
  ByteCount written_ = 0;
  Sha256 hash_{};
};

/// Names of blobs in one folder that come after `after`, in order.
Result<std::vector<std::string>> names_in(const Path& folder, std::string_view after) {
  std::vector<std::string> names;
  std::error_code problem;
  for (std::filesystem::directory_iterator entry(folder, problem);
       !problem && entry != std::filesystem::directory_iterator(); entry.increment(problem)) {
    std::string name = entry->path().filename().string();
    if (is_blob_name(name) && name > after) names.push_back(std::move(name));
  }
  if (problem && problem != std::errc::no_such_file_or_directory)
    return fail(Code::io_failed, fmt::format("list {}: {}", folder.string(), problem.message()));
  std::sort(names.begin(), names.end());
  return names;
}

class DiskBlobs final : public Blobs {
 public:
  DiskBlobs(std::shared_ptr<DiskFolder> folder, std::shared_ptr<DiskPartials> partials)
      : folder_(std::move(folder)), partials_(std::move(partials)) {}

  Result<std::unique_ptr<Upload>> start(const Bytes& sha256, ByteCount size) override {
    GODWIT_TRY(std::string name, name_of(sha256));
    GODWIT_TRY_VOID(folder_->reserve(size));
    Path temporary = folder_->temporary(fmt::format("{}.{}", name, next_++));
    auto file = open_file(temporary, O_WRONLY | O_CREAT | O_EXCL);
    if (!file) {
      folder_->release(size);
      return tl::unexpected<Error>{std::move(file).error()};
    }
    return std::unique_ptr<Upload>{
        std::make_unique<DiskUpload>(folder_, std::move(temporary), *std::move(file), std::move(name), size)};
  }

  Result<std::optional<ByteCount>> size_of(const Bytes& sha256) override { return look_at(sha256, false); }
  Result<std::optional<ByteCount>> hold(const Bytes& sha256) override { return look_at(sha256, true); }

  Result<UniqueFd> open(const Bytes& sha256) override {
    GODWIT_TRY(const std::string name, name_of(sha256));
    auto file = open_file(folder_->blob(name), O_RDONLY);
    if (!file && file.error().code == Code::not_found && folder_->is_quarantined(name))
      return fail(Code::unavailable,
                  fmt::format("the payload {} was damaged on the service's disk and set aside; upload it again", name));
    return file;
  }

  Result<void> remove(const Bytes& sha256) override {
    GODWIT_TRY_VOID(remove_unless_used_after(sha256, WallTime::max()));
    return {};
  }
  Result<bool> remove_unless_used_after(const Bytes& sha256, WallTime time) override {
    GODWIT_TRY(const std::string name, name_of(sha256));
    return folder_->remove_unless_used_after(name, time);
  }

  Result<std::unique_ptr<Upload>> resume(const Bytes& sha256, ByteCount size, ByteCount first) override {
    GODWIT_TRY(const std::string name, name_of(sha256));
    return partials_->resume(name, size, first);
  }
  std::optional<PartialUpload> find_partial(const Bytes& sha256) override {
    return partials_->find(hex_encode(sha256));
  }
  Result<bool> drop_partial(const Bytes& sha256) override { return partials_->drop(hex_encode(sha256)); }
  Result<std::size_t> expire_partials(WallTime time) override { return partials_->expire(time); }

  Result<std::vector<BlobInfo>> list(const Bytes& after, std::size_t limit) override {
    const std::string last = hex_encode(after);
    std::vector<BlobInfo> found;
    const int begin = after.empty() ? 0 : static_cast<unsigned char>(after.front());
    for (int number = begin; number < 256 && found.size() < limit; ++number) {
      GODWIT_TRY(const auto names, names_in(folder_->root() / fmt::format("{:02x}", number), last));
      for (const std::string& name : names) {
        GODWIT_TRY(auto info, folder_->look_at(name, false));
        if (info) found.push_back(*std::move(info));
      }
    }
    return found;
  }

  Result<void> quarantine(const Bytes& sha256) override {
    GODWIT_TRY(const std::string name, name_of(sha256));
    return folder_->quarantine(name);
  }
  Result<std::vector<BlobInfo>> quarantined() override {
    GODWIT_TRY(const auto names, names_in(folder_->set_aside(), ""));
    std::vector<BlobInfo> found;
    for (const std::string& name : names) {
      struct stat info {};
      if (::stat((folder_->set_aside() / name).c_str(), &info) != 0) continue;  // healed just now
      GODWIT_TRY(auto digest, hex_decode(name));
      found.push_back(
          {.sha256 = std::move(digest), .size = static_cast<ByteCount>(info.st_size), .used = stamp_of(info)});
    }
    return found;
  }

  Usage usage() override {
    Usage usage = folder_->usage();
    usage.partial_uploads = partials_->count();
    return usage;
  }

 private:
  Result<std::optional<ByteCount>> look_at(const Bytes& sha256, bool is_use) {
    GODWIT_TRY(const std::string name, name_of(sha256));
    GODWIT_TRY(const auto info, folder_->look_at(name, is_use));
    return info ? std::optional{info->size} : std::nullopt;
  }

  std::shared_ptr<DiskFolder> folder_;
  std::shared_ptr<DiskPartials> partials_;
  std::atomic<std::uint64_t> next_ = 0;
};

}  // namespace

Result<std::unique_ptr<Blobs>> open_disk_blobs(const Path& folder, const Clock& clock, DiskOptions options) {
  auto disk = std::make_shared<DiskFolder>(folder, clock, options);
  GODWIT_TRY_VOID(disk->open());
  auto partials = std::make_shared<DiskPartials>(disk);
  GODWIT_TRY_VOID(partials->load());
  return std::unique_ptr<Blobs>{std::make_unique<DiskBlobs>(std::move(disk), std::move(partials))};
}

}  // namespace godwit::blobs
