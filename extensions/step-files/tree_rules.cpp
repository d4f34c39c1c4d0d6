#include "tree_rules.hpp"

#include <fmt/format.h>

#include <vector>

#include "core/base/file.hpp"

namespace godwit::step_files {
namespace {

constexpr std::size_t kPathLimit = 2048;
constexpr std::size_t kDepthLimit = 64;
constexpr std::size_t kTargetLimit = 1024;

std::vector<std::string_view> components(std::string_view path) {
  std::vector<std::string_view> parts;
  for (;;) {
    const auto end = path.find('/');
    parts.push_back(path.substr(0, end));
    if (end == std::string_view::npos) return parts;
    path.remove_prefix(end + 1);
  }
}

/// For a sentence: no control characters, not endless.
std::string shown(std::string_view name) {
  std::string out(name.substr(0, 200));
  for (char& c : out)
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7F) c = '?';
  return out;
}

/// "./a//b/" becomes "a/b"; nothing that could mean another place is repaired.
Result<std::string> plain_path(std::string_view name) {
  const auto refuse = [&](std::string_view why) {
    return fail(Code::refused, fmt::format("the entry '{}' {}", shown(name), why));
  };
  if (name.empty()) return refuse("has no name");
  if (name.size() > kPathLimit) return refuse("has too long a name");
  if (name.front() == '/') return refuse("has an absolute path");
  std::string path;
  std::size_t depth = 0;
  for (const std::string_view part : components(name)) {
    if (part.empty() || part == ".") continue;
    if (part == "..") return refuse("leads out of its folder");
    if (!is_plain_file_name(part)) return refuse("has a name with control characters or invalid UTF-8");
    if (++depth > kDepthLimit) return refuse("lies too deep");
    if (!path.empty()) path += '/';
    path += part;
  }
  return path;
}

}  // namespace

bool stays_inside(std::string_view path, std::string_view target) {
  if (target.empty() || target.size() > kTargetLimit || target.front() == '/' || target.find('\0') != target.npos)
    return false;
  auto depth = static_cast<std::int64_t>(components(path).size()) - 1;
  for (const std::string_view part : components(target)) {
    if (part.empty() || part == ".") continue;
    depth += part == ".." ? -1 : 1;
    if (depth < 0) return false;
  }
  return true;
}

Result<void> TreeRules::take_parents(const std::string& path) {
  for (auto slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    const std::string parent = path.substr(0, slash);
    const auto [place, is_new] = kinds_.try_emplace(parent, Kind::folder);
    if (place->second != Kind::folder)
      return fail(Code::refused,
                  fmt::format("the entry '{}' lies below '{}', which is no folder", shown(path), shown(parent)));
    if (is_new && ++count_ > limits_.entries)
      return fail(Code::too_large, fmt::format("the archive has more than {} entries", limits_.entries));
  }
  return {};
}

Result<Entry> TreeRules::admit(const RawEntry& raw) {
  GODWIT_TRY(std::string path, plain_path(raw.name));
  const auto refuse = [&](std::string_view why) {
    return fail(Code::refused, fmt::format("the entry '{}' {}", shown(raw.name), why));
  };
  if (raw.kind == Kind::hard_link) return refuse("is a hard link");
  if (raw.kind == Kind::other) return refuse("is a device, pipe or socket");
  if ((raw.mode & 07000U) != 0 && raw.kind != Kind::link) return refuse("has a setuid, setgid or sticky bit");
  if (raw.is_sparse) return refuse("is a sparse file");
  if (raw.byte_count < 0) return refuse("has a negative size");
  if (path == kMarkName) return refuse("has the name that this handler keeps for itself");
  if (path.empty() && raw.kind != Kind::folder) return refuse("would replace the tree's root");
  GODWIT_TRY_VOID(take_parents(path));
  if (!path.empty()) {
    const auto [place, is_new] = kinds_.try_emplace(path, raw.kind);
    // A folder that was made as a parent may be named once by an entry of its own.
    if (!is_new && (place->second != Kind::folder || raw.kind != Kind::folder)) return refuse("comes twice");
    if (is_new && ++count_ > limits_.entries)
      return fail(Code::too_large, fmt::format("the archive has more than {} entries", limits_.entries));
  }
  if (!named_.insert(path).second) return refuse("comes twice");
  if (raw.kind == Kind::link && !stays_inside(path, raw.link_target))
    return refuse("is a link that leads out of the tree");
  const auto size = raw.kind == Kind::file ? static_cast<ByteCount>(raw.byte_count) : 0;
  if (size > limits_.bytes - bytes_)
    return fail(Code::too_large, fmt::format("the archive unpacks to more than {} bytes", limits_.bytes));
  bytes_ += size;
  return Entry{.path = std::move(path),
               .kind = raw.kind,
               .mode = raw.mode & 0777U,
               .byte_count = size,
               .link_target = raw.kind == Kind::link ? raw.link_target : ""};
}

}  // namespace godwit::step_files
