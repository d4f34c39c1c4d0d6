#include "tree_place.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <vector>

#include "core/base/json.hpp"

namespace godwit::step_files {
namespace {

constexpr std::size_t kMarkLimit = 16 * 1024;

Result<void> errno_error(std::string_view what, const Path& path) {
  return tl::unexpected<Error>{error_from_errno(fmt::format("{} {}", what, path.string()), errno)};
}

bool is_there(const Path& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0;
}

/// Writes what the rules admitted below a fresh folder that only root may enter.
class TreeWriter {
 public:
  explicit TreeWriter(Path root) : root_(std::move(root)) {}

  Result<void> begin(const Entry& entry) {
    const Path path = entry.path.empty() ? root_ : root_ / entry.path;
    if (entry.kind == Kind::folder) {
      GODWIT_TRY_VOID(make_folders(path, 0755));
      folders_.push_back({path, entry.mode});
      return {};
    }
    GODWIT_TRY_VOID(make_folders(path.parent_path(), 0755));
    if (entry.kind == Kind::link)
      return ::symlink(entry.link_target.c_str(), path.c_str()) == 0 ? Result<void>{} : errno_error("make link", path);
    file_ = UniqueFd{::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)};
    if (!file_) return errno_error("make", path);
    if (::fchmod(file_.get(), entry.mode) != 0) return errno_error("set the mode of", path);
    return {};
  }
  Result<void> bytes(std::string_view bytes) { return write_all(file_.get(), bytes); }
  Result<void> end() {
    file_.reset();
    return {};
  }
  /// A folder's mode comes last: it may forbid to write.
  Result<void> finish() {
    std::reverse(folders_.begin(), folders_.end());
    for (const Folder& folder : folders_)
      if (::chmod(folder.path.c_str(), folder.mode) != 0) return errno_error("set the mode of", folder.path);
    return {};
  }

 private:
  struct Folder {
    Path path;
    mode_t mode;
  };
  Path root_;
  std::vector<Folder> folders_{};
  UniqueFd file_{};
};

Result<void> sync_disk_of(const Path& folder) {
  GODWIT_TRY(const UniqueFd fd, open_file(folder, O_RDONLY | O_DIRECTORY));
  return ::syncfs(fd.get()) == 0 ? Result<void>{} : errno_error("sync", folder);
}

Result<void> rename_by(const Path& from, const Path& to, unsigned how) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), how) != 0) return errno_error("rename to", to);
  return sync_folder(to.parent_path());
}

/// Of the system's own: /usr/lib may hold /usr/lib/app, but is not replaced itself.
constexpr auto kSystemFolders = std::to_array<std::string_view>(
    {"/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/proc", "/run", "/sbin", "/sys", "/usr", "/var"});

}  // namespace

bool TreePlace::is_allowed(std::string_view target) {
  if (target.size() < 4 || target.size() > 512 || target.front() != '/' || target.back() == '/') return false;
  std::size_t depth = 0;
  for (std::string_view rest = target.substr(1);;) {
    const auto end = rest.find('/');
    const std::string_view part = rest.substr(0, end);
    if (!is_plain_file_name(part) || part.size() > 200) return false;
    ++depth;
    if (end == rest.npos) break;
    rest.remove_prefix(end + 1);
  }
  const std::string_view first = target.substr(0, target.find('/', 1));
  const bool is_system = std::find(kSystemFolders.begin(), kSystemFolders.end(), first) != kSystemFolders.end();
  return depth >= (is_system ? 3U : 2U);
}

TreePlace::TreePlace(Path target)
    : target_(std::move(target)),
      next_(target_.parent_path() / fmt::format(".{}.godwit-new", target_.filename().string())),
      earlier_(target_.parent_path() / fmt::format(".{}.godwit-old", target_.filename().string())) {}

Result<TreeMark> parse_mark(std::string_view text) {
  GODWIT_TRY(const json::Object object, json::parse_object(text, {.bytes = kMarkLimit, .depth = 4}));
  TreeMark mark;
  GODWIT_TRY(mark.criteria, json::text(object, "installedCriteria", "mark"));
  GODWIT_TRY(mark.token, json::text(object, "token", "mark"));
  const json::Value* trial = json::find(object, "onTrial");
  mark.is_on_trial = trial != nullptr && trial->is_bool() && trial->get_bool();
  return mark;
}

std::string print_mark(const TreeMark& mark) {
  json::Object object{{"installedCriteria", mark.criteria}, {"token", mark.token}};
  if (mark.is_on_trial) object["onTrial"] = true;
  return json::print(object);
}

Result<std::optional<TreeMark>> TreePlace::mark() const {
  const auto text = read_file(target_ / kMarkName, kMarkLimit);
  if (!text && text.error().code == Code::not_found) return std::optional<TreeMark>{};
  if (!text) return tl::unexpected<Error>{text.error()};
  GODWIT_TRY(TreeMark mark, parse_mark(*text));
  return std::optional<TreeMark>{std::move(mark)};
}

Result<bool> TreePlace::is_ours(const Path& tree, const std::string& token) const {
  const auto text = read_file(tree / kMarkName, kMarkLimit);
  if (!text && text.error().code == Code::not_found) return false;
  if (!text) return tl::unexpected<Error>{text.error()};
  const auto mark = parse_mark(*text);
  return mark && mark->token == token;
}

Result<void> TreePlace::unpack(const Path& archive, TreeLimits limits, const TreeMark& mark,
                               std::function<bool()> is_cancelled,
                               const std::function<void(ByteCount)>& on_bytes) const {
  GODWIT_TRY_VOID(make_folders(target_.parent_path(), 0755));
  GODWIT_TRY_VOID(remove_tree(next_));
  if (::mkdir(next_.c_str(), 0700) != 0) return errno_error("make", next_);
  TreeWriter writer(next_);
  ByteCount done = 0;
  const TreeSink sink{.begin = [&](const Entry& entry) { return writer.begin(entry); },
                      .bytes =
                          [&](std::string_view bytes) {
                            on_bytes(done += bytes.size());
                            return writer.bytes(bytes);
                          },
                      .end = [&] { return writer.end(); },
                      .is_cancelled = std::move(is_cancelled)};
  const auto unpacked = read_tree(archive, limits, sink);
  if (!unpacked) {
    (void)remove_tree(next_);
    return tl::unexpected<Error>{unpacked.error()};
  }
  GODWIT_TRY_VOID(write_file_durably(next_ / kMarkName, print_mark(mark), 0644));
  if (::chmod(next_.c_str(), 0755) != 0) return errno_error("set the mode of", next_);
  GODWIT_TRY_VOID(writer.finish());
  return sync_disk_of(next_);
}

Result<void> TreePlace::switch_to(const std::string& token) const {
  GODWIT_TRY(const bool is_done, is_ours(target_, token));
  if (!is_done) {
    GODWIT_TRY(const bool is_ready, is_ours(next_, token));
    if (!is_ready) return fail(Code::not_found, fmt::format("{} does not hold the tree of this step", next_.string()));
    if (!is_there(target_)) {
      GODWIT_TRY_VOID(remove_tree(earlier_));  // of a tree that somebody took away: not what was there before
      return rename_by(next_, target_, RENAME_NOREPLACE);
    }
    GODWIT_TRY_VOID(rename_by(next_, target_, RENAME_EXCHANGE));
  }
  if (!is_there(next_)) return {};  // the earlier tree has its name already
  GODWIT_TRY_VOID(remove_tree(earlier_));
  return rename_by(next_, earlier_, RENAME_NOREPLACE);
}

Result<void> TreePlace::settle(const std::string& token) const {
  GODWIT_TRY(auto found, mark());
  if (!found || found->token != token)
    return fail(Code::conflict, fmt::format("{} is not the tree of this step any more", target_.string()));
  if (!found->is_on_trial) return {};
  found->is_on_trial = false;
  return write_file_durably(target_ / kMarkName, print_mark(*found), 0644);
}

Result<void> TreePlace::switch_back(const std::string& token) const {
  GODWIT_TRY(const bool is_switched, is_ours(target_, token));
  if (!is_switched) {
    // Switched back already, and cut before the rest was removed?
    GODWIT_TRY(const bool is_left_over, is_ours(earlier_, token));
    if (is_left_over) GODWIT_TRY_VOID(remove_tree(earlier_));
    return remove_tree(next_);
  }
  // After a cut between the two renames of switch_to() the earlier tree still lies under the other name.
  const Path& earlier = is_there(next_) ? next_ : earlier_;
  if (is_there(earlier)) {
    GODWIT_TRY_VOID(rename_by(earlier, target_, RENAME_EXCHANGE));
    return remove_tree(earlier);
  }
  GODWIT_TRY_VOID(rename_by(target_, next_, RENAME_NOREPLACE));
  return remove_tree(next_);
}

}  // namespace godwit::step_files
