#include "server/blobs/disk/disk_partials.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "core/base/text.hpp"

namespace godwit::blobs {
namespace {

constexpr std::size_t kReadChunk = 1024 * 1024;

tl::unexpected<Error> shut_out(const std::string& name) {
  return fail(Code::conflict, fmt::format("the upload of {} was taken over, finished or given up by somebody else; ask "
                                          "how much is here and continue",
                                          name));
}

/// What `count` bytes of the file hash to so far. Errors: io_failed, also when there are fewer.
Result<std::unique_ptr<Sha256>> hash_file(int file, ByteCount count) {
  auto hash = std::make_unique<Sha256>();
  std::vector<char> buffer(kReadChunk);
  for (ByteCount done = 0; done < count;) {
    const std::size_t wanted = std::min<ByteCount>(buffer.size(), count - done);
    const ssize_t got = ::pread(file, buffer.data(), wanted, static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return tl::unexpected<Error>{error_from_errno("read an upload again", got < 0 ? errno : EIO)};
    hash->update({buffer.data(), static_cast<std::size_t>(got)});
    done += static_cast<ByteCount>(got);
  }
  return hash;
}

}  // namespace

/// The one that may write to a partial, until the next resume() takes over.
class DiskPartials::Writer final : public Upload {
 public:
  Writer(std::shared_ptr<DiskPartials> partials, std::shared_ptr<Partial> partial, std::string name, UniqueFd file,
         std::uint64_t number)
      : partials_(std::move(partials)),
        partial_(std::move(partial)),
        name_(std::move(name)),
        file_(std::move(file)),
        number_(number) {}
  /// Not fsynced: what a power cut takes away is noticed by the digest, and sent again.
  /// Takes no lock: it may end on a loop of sockets while a successor reads gigabytes.
  ~Writer() override {
    std::uint64_t mine = number_;
    partial_->owner.compare_exchange_strong(mine, 0);
  }

  Result<void> write(std::string_view bytes) override {
    const std::lock_guard lock(partial_->mutex);
    if (!may_write()) return shut_out(name_);
    if (bytes.size() > partial_->size - partial_->received)
      return fail(Code::too_large,
                  fmt::format("more than the announced {} bytes arrived for blob {}", partial_->size, name_));
    if (auto written = write_all(file_.get(), bytes); !written) {
      // Part of it may be there; the next one continues where the hash stands.
      const auto end = static_cast<off_t>(partial_->received);
      if (::ftruncate(file_.get(), end) != 0 || ::lseek(file_.get(), end, SEEK_SET) != end)
        static_cast<void>(partials_->remove(name_, *partial_));
      return written;
    }
    partial_->hash->update(bytes);
    partial_->received += bytes.size();
    partial_->touched = partials_->folder_->clock().now();
    return {};
  }

  Result<WallTime> finish() override {
    const std::lock_guard lock(partial_->mutex);
    if (!may_write()) return shut_out(name_);
    if (partial_->received != partial_->size)
      return fail(Code::size_mismatch,
                  fmt::format("blob {} ended after {} of {} bytes", name_, partial_->received, partial_->size));
    if (const std::string found = hex_encode(partial_->hash->finish()); found != name_) {
      GODWIT_TRY_VOID(partials_->remove(name_, *partial_));
      return fail(Code::digest_mismatch, fmt::format("the bytes of blob {} have SHA-256 {}", name_, found));
    }
    partial_->hash.reset();  // finished: what comes next has to read again
    Result<WallTime> stamp = fail(Code::internal, "not published");
    if (auto synced = sync_fd(file_.get()); !synced)
      stamp = tl::unexpected<Error>{std::move(synced).error()};
    else
      stamp = partials_->folder_->publish(partials_->file_of(name_, partial_->size), name_, partial_->size);
    if (stamp)
      partials_->forget(name_, *partial_);
    else
      partials_->take_last_byte(name_, *partial_);
    return stamp;
  }

 private:
  [[nodiscard]] bool may_write() const { return !partial_->is_gone && partial_->owner == number_; }

  std::shared_ptr<DiskPartials> partials_;
  std::shared_ptr<Partial> partial_;
  std::string name_;
  UniqueFd file_;
  std::uint64_t number_;
};

Path DiskPartials::file_of(const std::string& name, ByteCount size) const {
  return folder_->partials() / fmt::format("{}.{}", name, size);
}

Result<void> DiskPartials::load() {
  std::error_code problem;
  for (std::filesystem::directory_iterator entry(folder_->partials(), problem);
       !problem && entry != std::filesystem::directory_iterator(); entry.increment(problem)) {
    const std::string file_name = entry->path().filename().string();
    const std::string name = file_name.substr(0, file_name.find('.'));
    const auto size = to_number<ByteCount>(file_name.substr(std::min(file_name.size(), name.size() + 1)));
    struct stat info {};
    const bool is_ours = is_blob_name(name) && size && ::stat(entry->path().c_str(), &info) == 0;
    const bool is_first = is_ours && !partials_.contains(name) && static_cast<ByteCount>(info.st_size) <= *size;
    if (!is_first || !folder_->reserve(*size)) {
      ::unlink(entry->path().c_str());
      continue;
    }
    auto partial = std::make_shared<Partial>();
    partial->size = *size;
    partial->received = static_cast<ByteCount>(info.st_size);
    partial->touched = stamp_of(info);
    if (partial->received == partial->size) take_last_byte(name, *partial);  // killed just before the end
    partials_.emplace(name, std::move(partial));
  }
  if (problem) return fail(Code::io_failed, "list the uploads begun: " + problem.message());
  return {};
}

Result<std::shared_ptr<DiskPartials::Partial>> DiskPartials::find_or_make(const std::string& name, ByteCount size,
                                                                          ByteCount first) {
  const std::lock_guard lock(mutex_);
  if (const auto found = partials_.find(name); found != partials_.end()) return found->second;
  if (first != 0) return fail(Code::conflict, fmt::format("no upload of {} was begun here; begin at byte 0", name));
  if (partials_.size() >= folder_->options().partial_limit)
    return fail(Code::too_many, fmt::format("{} uploads were begun and not finished; finish some, or wait until they "
                                            "expire",
                                            partials_.size()));
  GODWIT_TRY_VOID(folder_->reserve(size));
  auto partial = std::make_shared<Partial>();
  partial->size = size;
  partial->touched = folder_->clock().now();
  partials_.emplace(name, partial);
  return partial;
}

Result<UniqueFd> DiskPartials::open_at(const std::string& name, Partial& partial, ByteCount size, ByteCount first) {
  if (first == 0) {
    if (size != partial.size) {
      ::unlink(file_of(name, partial.size).c_str());
      folder_->release(partial.size);
      partial.size = 0;
      partial.received = 0;
      GODWIT_TRY_VOID(folder_->reserve(size));
      partial.size = size;
    }
    GODWIT_TRY(auto file, open_file(file_of(name, size), O_RDWR | O_CREAT | O_TRUNC));
    partial.received = 0;
    partial.hash = std::make_unique<Sha256>();
    return file;
  }
  if (size != partial.size)
    return fail(Code::conflict, fmt::format("the upload of {} was begun with {} bytes, not {}; begin at byte 0 to "
                                            "replace it",
                                            name, partial.size, size));
  if (first != partial.received)
    return fail(Code::conflict,
                fmt::format("{} bytes of {} are here; continue at byte {}", partial.received, name, partial.received));
  auto opened = open_file(file_of(name, size), O_RDWR);
  auto hash = opened && !partial.hash ? hash_file(opened->get(), first) : Result<std::unique_ptr<Sha256>>{nullptr};
  if (!opened || !hash) {  // somebody took its file away
    static_cast<void>(remove(name, partial));
    return tl::unexpected<Error>{opened ? hash.error() : opened.error()};
  }
  UniqueFd file = *std::move(opened);
  if (!partial.hash) partial.hash = *std::move(hash);
  if (::lseek(file.get(), static_cast<off_t>(first), SEEK_SET) < 0)
    return tl::unexpected<Error>{error_from_errno("continue an upload", errno)};
  return file;
}

Result<std::unique_ptr<Upload>> DiskPartials::resume(const std::string& name, ByteCount size, ByteCount first) {
  GODWIT_TRY(const auto partial, find_or_make(name, size, first));
  const std::lock_guard lock(partial->mutex);
  if (partial->is_gone) return shut_out(name);
  auto file = open_at(name, *partial, size, first);
  if (!file) {
    if (partial->received == 0 && partial->owner == 0) static_cast<void>(remove(name, *partial));
    return tl::unexpected<Error>{std::move(file).error()};
  }
  {
    const std::lock_guard numbers(mutex_);
    partial->owner = next_owner_++;
  }
  return std::unique_ptr<Upload>{
      std::make_unique<Writer>(shared_from_this(), partial, name, *std::move(file), partial->owner)};
}

std::optional<PartialUpload> DiskPartials::find(const std::string& name) {
  std::shared_ptr<Partial> partial;
  {
    const std::lock_guard lock(mutex_);
    const auto found = partials_.find(name);
    if (found == partials_.end()) return std::nullopt;
    partial = found->second;
  }
  const std::lock_guard lock(partial->mutex);
  if (partial->is_gone) return std::nullopt;
  const WallTime touched = partial->owner != 0 ? folder_->clock().now() : partial->touched;
  return PartialUpload{.size = partial->size, .received = partial->received, .touched = touched};
}

/// So that somebody can send it again, and with it the wish to finish.
void DiskPartials::take_last_byte(const std::string& name, Partial& partial) {
  if (partial.received == 0) return;
  --partial.received;
  if (::truncate(file_of(name, partial.size).c_str(), static_cast<off_t>(partial.received)) != 0)
    static_cast<void>(remove(name, partial));
}

void DiskPartials::forget(const std::string& name, Partial& partial) {
  partial.is_gone = true;
  folder_->release(partial.size);
  const std::lock_guard lock(mutex_);
  partials_.erase(name);
}

Result<void> DiskPartials::remove(const std::string& name, Partial& partial) {
  const Path file = file_of(name, partial.size);
  forget(name, partial);
  if (::unlink(file.c_str()) != 0 && errno != ENOENT)
    return tl::unexpected<Error>{error_from_errno("remove " + file.string(), errno)};
  return {};
}

Result<bool> DiskPartials::drop(const std::string& name) {
  std::shared_ptr<Partial> partial;
  {
    const std::lock_guard lock(mutex_);
    const auto found = partials_.find(name);
    if (found == partials_.end()) return false;
    partial = found->second;
  }
  const std::lock_guard lock(partial->mutex);
  if (partial->is_gone) return false;
  GODWIT_TRY_VOID(remove(name, *partial));
  return true;
}

Result<std::size_t> DiskPartials::expire(WallTime time) {
  std::vector<std::pair<std::string, std::shared_ptr<Partial>>> all;
  {
    const std::lock_guard lock(mutex_);
    all.assign(partials_.begin(), partials_.end());
  }
  std::size_t count = 0;
  for (const auto& [name, partial] : all) {
    const std::lock_guard lock(partial->mutex);
    if (partial->is_gone || partial->owner != 0 || partial->touched >= time) continue;
    GODWIT_TRY_VOID(remove(name, *partial));
    ++count;
  }
  return count;
}

std::size_t DiskPartials::count() {
  const std::lock_guard lock(mutex_);
  return partials_.size();
}

}  // namespace godwit::blobs
