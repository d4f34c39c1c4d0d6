#include "power/cut_disk.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdarg>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <set>

namespace godwit::power {
namespace {

constexpr std::size_t kSector = 512;

enum class What : std::uint8_t {
  create,
  truncate,
  write,
  sync_file,
  sync_folder,
  rename,
  unlink,
  make_folder,
  remove_folder
};

struct Call {
  What what = What::create;
  std::string path{};  // below the folder
  std::string to{};    // rename
  std::uint64_t inode = 0;
  std::size_t offset = 0;  // write; the new length of truncate
  std::string bytes{};
};

struct State {
  std::string folder{};
  bool records = false;
  std::vector<Call> calls{};
  std::map<std::string, std::uint64_t> names{};  // as the process sees it
  std::map<std::uint64_t, std::string> contents{};
  std::map<std::string, std::uint64_t> names_at_first{};
  std::map<std::uint64_t, std::string> contents_at_first{};
  std::set<std::string> folders_at_first{};
  std::map<int, std::uint64_t> open_files{};
  std::map<int, std::string> open_folders{};
  std::uint64_t next_inode = 1;
};

State& state() {
  static State value;
  return value;
}

/// The path below the folder; nothing: it is not ours.
std::optional<std::string> below(std::string path) {
  const std::string& folder = state().folder;
  if (!state().records || folder.empty()) return std::nullopt;
  path = std::filesystem::path(path).lexically_normal().string();
  if (path.size() > 1 && path.back() == '/') path.pop_back();
  if (path == folder) return std::string{};
  if (path.size() <= folder.size() || path.compare(0, folder.size(), folder) != 0 || path[folder.size()] != '/')
    return std::nullopt;
  return path.substr(folder.size() + 1);
}

std::string absolute(int at, const char* path) {
  if (path[0] == '/') return path;
  std::array<char, 4096> name{};
  const std::string link = at == AT_FDCWD ? "/proc/self/cwd" : fmt::format("/proc/self/fd/{}", at);
  const ssize_t size = ::readlink(link.c_str(), name.data(), name.size() - 1);
  return size < 0 ? std::string(path) : std::string(name.data(), static_cast<std::size_t>(size)) + "/" + path;
}

void opened(const std::string& path, int flags, int fd) {
  if (fd < 0) return;
  const auto name = below(path);
  State& s = state();
  s.open_files.erase(fd);
  s.open_folders.erase(fd);
  if (!name) return;
  struct stat info {};
  if (::fstat(fd, &info) != 0) return;
  if (S_ISDIR(info.st_mode)) {
    s.open_folders[fd] = *name;
    return;
  }
  auto known = s.names.find(*name);
  if (known == s.names.end()) {
    known = s.names.emplace(*name, s.next_inode++).first;
    s.contents[known->second];
    s.calls.push_back({.what = What::create, .path = *name, .inode = known->second});
  } else if ((flags & O_TRUNC) != 0) {
    s.contents[known->second].clear();
    s.calls.push_back({.what = What::truncate, .path = *name, .inode = known->second});
  }
  s.open_files[fd] = known->second;
}

void written(int fd, std::size_t offset, const void* data, std::size_t size) {
  State& s = state();
  const auto file = s.open_files.find(fd);
  if (!s.records || file == s.open_files.end()) return;
  std::string& content = s.contents[file->second];
  if (content.size() < offset + size) content.resize(offset + size);
  std::memcpy(content.data() + offset, data, size);
  s.calls.push_back({.what = What::write,
                     .inode = file->second,
                     .offset = offset,
                     .bytes = std::string(static_cast<const char*>(data), size)});
}

void synced(int fd) {
  State& s = state();
  if (!s.records) return;
  if (const auto file = s.open_files.find(fd); file != s.open_files.end())
    s.calls.push_back({.what = What::sync_file, .inode = file->second});
  if (const auto folder = s.open_folders.find(fd); folder != s.open_folders.end())
    s.calls.push_back({.what = What::sync_folder, .path = folder->second});
}

void renamed(const std::string& from, const std::string& to) {
  State& s = state();
  const auto a = below(from);
  const auto b = below(to);
  if (!a || !b) return;
  std::map<std::string, std::uint64_t> moved;
  for (const auto& [name, inode] : s.names) {
    if (name == *a)
      moved[*b] = inode;
    else if (name.starts_with(*a + "/"))
      moved[*b + name.substr(a->size())] = inode;
    else if (name != *b)
      moved[name] = inode;
  }
  s.names = std::move(moved);
  s.calls.push_back({.what = What::rename, .path = *a, .to = *b});
}

void removed(const std::string& path, What what) {
  const auto name = below(path);
  if (!name) return;
  state().names.erase(*name);
  state().calls.push_back({.what = what, .path = *name});
}

std::string parent_of(const std::string& name) {
  const auto slash = name.rfind('/');
  return slash == std::string::npos ? std::string{} : name.substr(0, slash);
}

/// Names (files and folders) and contents, twice: as the process saw them, and as they are surely on the disk.
struct Layout {
  std::map<std::string, std::uint64_t> names, durable_names;
  std::set<std::string> folders, durable_folders;
  std::map<std::uint64_t, std::string> contents, durable_contents;
};

void rename_in(Layout& l, const Call& call) {
  const auto move = [&call](auto& container, auto&& rebuilt) {
    container = std::move(rebuilt);
    (void)call;
  };
  std::map<std::string, std::uint64_t> names;
  for (const auto& [name, inode] : l.names) {
    if (name == call.path)
      names[call.to] = inode;
    else if (name.starts_with(call.path + "/"))
      names[call.to + name.substr(call.path.size())] = inode;
    else if (name != call.to)
      names[name] = inode;
  }
  move(l.names, std::move(names));
  std::set<std::string> folders;
  for (const auto& name : l.folders) {
    if (name == call.path)
      folders.insert(call.to);
    else if (name.starts_with(call.path + "/"))
      folders.insert(call.to + name.substr(call.path.size()));
    else
      folders.insert(name);
  }
  move(l.folders, std::move(folders));
}

/// fsync of a folder makes the names right in it durable.
void sync_folder_in(Layout& l, const std::string& folder) {
  const auto is_in = [&folder](const std::string& name) { return parent_of(name) == folder; };
  std::erase_if(l.durable_names, [&](const auto& one) { return is_in(one.first); });
  for (const auto& one : l.names)
    if (is_in(one.first)) l.durable_names.insert(one);
  std::erase_if(l.durable_folders, is_in);
  for (const auto& one : l.folders)
    if (is_in(one)) l.durable_folders.insert(one);
}

void apply(Layout& l, const Call& call) {
  switch (call.what) {
    case What::create:
      l.names[call.path] = call.inode;
      l.contents[call.inode];
      l.durable_contents[call.inode];
      return;
    case What::truncate: l.contents[call.inode].resize(call.offset); return;
    case What::write: {
      std::string& content = l.contents[call.inode];
      if (content.size() < call.offset + call.bytes.size()) content.resize(call.offset + call.bytes.size());
      std::memcpy(content.data() + call.offset, call.bytes.data(), call.bytes.size());
      return;
    }
    case What::sync_file: l.durable_contents[call.inode] = l.contents[call.inode]; return;
    case What::sync_folder: sync_folder_in(l, call.path); return;
    case What::rename: rename_in(l, call); return;
    case What::unlink: l.names.erase(call.path); return;
    case What::make_folder: l.folders.insert(call.path); return;
    case What::remove_folder: l.folders.erase(call.path); return;
  }
}

/// The new content up to a border of sectors in the middle of what differs, then what was there before.
std::string torn(const std::string& before, const std::string& after) {
  if (before == after) return after;
  std::size_t first = 0;
  while (first < before.size() && first < after.size() && before[first] == after[first]) ++first;
  std::size_t middle = (first + (after.size() > first ? (after.size() - first) / 2 : 0)) / kSector * kSector;
  middle = std::max(middle, first / kSector * kSector);
  std::string mixed = after.substr(0, std::min(middle, after.size()));
  if (before.size() > mixed.size()) mixed += before.substr(mixed.size());
  return mixed;
}

template <class F>
F real(const char* name) {
  void* found = ::dlsym(RTLD_NEXT, name);
  return reinterpret_cast<F>(found);
}

}  // namespace

const char* left_name(Left left) {
  constexpr std::array kNames{"everything", "nothing", "names", "contents", "torn", "torn_unnamed"};
  return kNames.at(static_cast<std::size_t>(left));
}

CutDisk::CutDisk(Path folder) {
  State& s = state();
  s = State{};
  s.folder = std::filesystem::canonical(folder).string();
  for (const auto& entry : std::filesystem::recursive_directory_iterator(s.folder)) {
    const std::string name = entry.path().string().substr(s.folder.size() + 1);
    if (entry.is_directory()) {
      s.folders_at_first.insert(name);
    } else {
      s.names_at_first[name] = s.next_inode;
      s.contents_at_first[s.next_inode++] = read_file(entry.path(), 1 << 24).value();
    }
  }
  s.names = s.names_at_first;
  s.contents = s.contents_at_first;
  s.records = true;
}

CutDisk::~CutDisk() { state() = State{}; }

void CutDisk::stop() { state().records = false; }

std::size_t CutDisk::calls() const { return state().calls.size(); }

std::vector<std::size_t> CutDisk::fsyncs() const {
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < state().calls.size(); ++i)
    if (state().calls[i].what == What::sync_file || state().calls[i].what == What::sync_folder) found.push_back(i);
  return found;
}

std::string CutDisk::describe(std::size_t index) const {
  if (index >= state().calls.size()) return "the end";
  const Call& call = state().calls[index];
  constexpr std::array kWords{"create", "truncate", "write",       "fsync file",   "fsync folder",
                              "rename", "unlink",   "make folder", "remove folder"};
  return fmt::format("call {} {} {}{}{}", index, kWords.at(static_cast<std::size_t>(call.what)), call.path,
                     call.to.empty() ? "" : " to " + call.to,
                     call.bytes.empty() ? "" : fmt::format(" {} bytes", call.bytes.size()));
}

void CutDisk::lay_out(const Path& target, std::size_t cut, Left left, std::size_t without) const {
  const State& s = state();
  GODWIT_CHECK(!s.records);
  Layout l;
  l.names = l.durable_names = s.names_at_first;
  l.contents = l.durable_contents = s.contents_at_first;
  l.folders = l.durable_folders = s.folders_at_first;
  for (std::size_t i = 0; i < std::min(cut, s.calls.size()); ++i)
    if (i != without) apply(l, s.calls[i]);
  const bool has_names = left == Left::everything || left == Left::names || left == Left::torn;
  std::filesystem::remove_all(target);
  std::filesystem::create_directories(target);
  for (const auto& folder : has_names ? l.folders : l.durable_folders)  // those above come first
    if (std::filesystem::exists((target / folder).parent_path())) std::filesystem::create_directory(target / folder);
  for (const auto& [name, inode] : has_names ? l.names : l.durable_names) {
    const std::string& before = l.durable_contents[inode];
    const std::string& after = l.contents[inode];
    const bool has_contents = left == Left::everything || left == Left::contents;
    const bool is_torn = left == Left::torn || left == Left::torn_unnamed;
    if (!std::filesystem::exists((target / name).parent_path()))
      continue;  // a folder whose name was lost takes its files along
    std::ofstream(target / name, std::ios::binary) << (has_contents ? after : is_torn ? torn(before, after) : before);
  }
}

}  // namespace godwit::power

// ---- the calls that are caught
// ---------------------------------------------------------------------------------------

namespace power = godwit::power;

#pragma GCC visibility push(default)  // the C++ library's calls come here as well
extern "C" {

int open(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(more, mode_t) : 0;
  va_end(more);
  const int fd = power::real<int (*)(const char*, int, ...)>("open")(path, flags, mode);
  if (power::state().records) power::opened(power::absolute(AT_FDCWD, path), flags, fd);
  return fd;
}
int open64(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(more, mode_t) : 0;
  va_end(more);
  return open(path, flags, mode);
}
int openat(int at, const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(more, mode_t) : 0;
  va_end(more);
  const int fd = power::real<int (*)(int, const char*, int, ...)>("openat")(at, path, flags, mode);
  if (power::state().records) power::opened(power::absolute(at, path), flags, fd);
  return fd;
}
int close(int fd) {
  power::state().open_files.erase(fd);
  power::state().open_folders.erase(fd);
  return power::real<int (*)(int)>("close")(fd);
}
ssize_t write(int fd, const void* data, size_t size) {
  const bool is_ours = power::state().records && power::state().open_files.contains(fd);
  const off_t before = is_ours ? ::lseek(fd, 0, SEEK_CUR) : 0;
  const bool appends = is_ours && (::fcntl(fd, F_GETFL) & O_APPEND) != 0;
  struct stat info {};
  if (appends) ::fstat(fd, &info);
  const ssize_t put = power::real<ssize_t (*)(int, const void*, size_t)>("write")(fd, data, size);
  if (is_ours && put > 0)
    power::written(fd, static_cast<std::size_t>(appends ? info.st_size : before), data, static_cast<std::size_t>(put));
  return put;
}
int fsync(int fd) {
  const int done = power::real<int (*)(int)>("fsync")(fd);
  if (done == 0) power::synced(fd);
  return done;
}
int fdatasync(int fd) {
  const int done = power::real<int (*)(int)>("fdatasync")(fd);
  if (done == 0) power::synced(fd);
  return done;
}
int ftruncate(int fd, off_t size) {
  const int done = power::real<int (*)(int, off_t)>("ftruncate")(fd, size);
  power::State& s = power::state();
  if (const auto file = s.open_files.find(fd); done == 0 && s.records && file != s.open_files.end()) {
    s.contents[file->second].resize(static_cast<std::size_t>(size));
    s.calls.push_back({.what = power::What::truncate, .inode = file->second, .offset = static_cast<std::size_t>(size)});
  }
  return done;
}
int rename(const char* from, const char* to) {
  const int done = power::real<int (*)(const char*, const char*)>("rename")(from, to);
  if (done == 0) power::renamed(power::absolute(AT_FDCWD, from), power::absolute(AT_FDCWD, to));
  return done;
}
int unlink(const char* path) {
  const int done = power::real<int (*)(const char*)>("unlink")(path);
  if (done == 0) power::removed(power::absolute(AT_FDCWD, path), power::What::unlink);
  return done;
}
int unlinkat(int at, const char* path, int flags) {
  const std::string name = power::state().records ? power::absolute(at, path) : std::string{};
  const int done = power::real<int (*)(int, const char*, int)>("unlinkat")(at, path, flags);
  if (done == 0 && !name.empty())
    power::removed(name, (flags & AT_REMOVEDIR) != 0 ? power::What::remove_folder : power::What::unlink);
  return done;
}
int remove(const char* path) {
  struct stat info {};
  const bool is_folder = ::lstat(path, &info) == 0 && S_ISDIR(info.st_mode);
  return is_folder ? rmdir(path) : unlink(path);
}
int rmdir(const char* path) {
  const int done = power::real<int (*)(const char*)>("rmdir")(path);
  if (done == 0) power::removed(power::absolute(AT_FDCWD, path), power::What::remove_folder);
  return done;
}
int mkdir(const char* path, mode_t mode) {
  const int done = power::real<int (*)(const char*, mode_t)>("mkdir")(path, mode);
  const auto name = done == 0 ? power::below(power::absolute(AT_FDCWD, path)) : std::nullopt;
  if (name) power::state().calls.push_back({.what = power::What::make_folder, .path = *name});
  return done;
}
}
#pragma GCC visibility pop
