#include "server/service/diagnostics/log_files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace godwit::service {
namespace {

constexpr std::string_view kUnfinished = "unfinished";
constexpr std::size_t kNameBytes = 12;

[[nodiscard]] std::vector<std::string> names_in(const Path& folder) {
  std::vector<std::string> names;
  std::error_code problem;
  for (auto it = std::filesystem::directory_iterator(folder, problem);
       !problem && it != std::filesystem::directory_iterator(); it.increment(problem))
    names.push_back(it->path().filename().string());
  return names;
}

}  // namespace

Result<LogFiles> LogFiles::open(const Path& folder) {
  GODWIT_TRY_VOID(remove_tree(folder / kUnfinished));
  GODWIT_TRY_VOID(make_folders(folder / kUnfinished));
  GODWIT_TRY_VOID(sync_folder(folder));
  return LogFiles(folder);
}

LogFiles::Incoming::Incoming(Incoming&& other) noexcept
    : temporary_(std::exchange(other.temporary_, {})),
      file_(std::move(other.file_)),
      hash_(std::move(other.hash_)),
      size_(other.size_) {}

LogFiles::Incoming::~Incoming() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

Result<void> LogFiles::Incoming::write(std::string_view bytes) {
  GODWIT_TRY_VOID(write_all(file_.get(), bytes));
  hash_->update(bytes);
  size_ += bytes.size();
  return {};
}

Result<LogFiles::Incoming> LogFiles::begin() const {
  Path temporary = folder_ / kUnfinished / hex_encode(random_bytes(kNameBytes));
  GODWIT_TRY(UniqueFd file, godwit::open_file(temporary, O_WRONLY | O_CREAT | O_EXCL));
  return Incoming(std::move(temporary), std::move(file));
}

Result<LogFiles::Kept> LogFiles::keep(Incoming& incoming, const std::string& container) const {
  GODWIT_CHECK(is_plain_file_name(container) && container != kUnfinished);
  GODWIT_TRY_VOID(sync_fd(incoming.file_.get()));
  const Path folder = folder_ / container;
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST)
    return tl::unexpected<Error>{error_from_errno("make folder " + folder.string(), errno)};
  Kept kept{.stored = hex_encode(random_bytes(kNameBytes)), .sha256 = incoming.hash_->finish()};
  if (::rename(incoming.temporary_.c_str(), (folder / kept.stored).c_str()) != 0)
    return tl::unexpected<Error>{error_from_errno("rename to " + (folder / kept.stored).string(), errno)};
  incoming.temporary_.clear();
  incoming.file_.reset();
  GODWIT_TRY_VOID(sync_folder(folder));
  GODWIT_TRY_VOID(sync_folder(folder_));
  return kept;
}

Result<UniqueFd> LogFiles::open_file(const std::string& container, const std::string& stored) const {
  GODWIT_CHECK(is_plain_file_name(container) && is_plain_file_name(stored));
  return godwit::open_file(folder_ / container / stored, O_RDONLY);
}

Result<void> LogFiles::remove(const std::string& container, const std::string& stored) const {
  GODWIT_CHECK(is_plain_file_name(container) && is_plain_file_name(stored));
  std::error_code ignored;
  if (!std::filesystem::exists(folder_ / container, ignored)) return {};
  return remove_file_durably(folder_ / container / stored);
}

Result<void> LogFiles::remove_container(const std::string& container) const {
  GODWIT_CHECK(is_plain_file_name(container) && container != kUnfinished);
  return remove_tree(folder_ / container);
}

std::vector<std::string> LogFiles::containers() const {
  std::vector<std::string> names = names_in(folder_);
  std::erase(names, std::string(kUnfinished));
  return names;
}

std::vector<std::string> LogFiles::files_of(const std::string& container) const {
  return names_in(folder_ / container);
}

}  // namespace godwit::service
