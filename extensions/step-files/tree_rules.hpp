// What an archive may hold: the rules that each entry is checked against before anything of it is written. Pure; one
// object for one pass over one archive; one thread.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "core/base/bytes.hpp"
#include "core/base/error.hpp"

namespace godwit::step_files {

/// Extended codes of this handler; the sentences are in the table of core/model.
namespace code {
inline constexpr std::uint32_t bad_properties = 0x34000001, bad_archive = 0x34000002, unsafe_entry = 0x34000003,
                               too_large = 0x34000004, cannot_write = 0x34000005, restart_failed = 0x34000006,
                               unhealthy = 0x34000007, restore_failed = 0x34000008;
}

/// In the root of each installed tree; no archive may bring it.
inline constexpr std::string_view kMarkName = ".godwit-files.json";

enum class Kind : std::uint8_t { file, folder, link, hard_link, other };

/// An entry as the archive tells it.
struct RawEntry {
  std::string name{};
  Kind kind = Kind::other;
  std::uint32_t mode = 0;  // permission bits with setuid and its kin
  std::int64_t byte_count = 0;
  std::string link_target{};
  bool is_sparse = false;
};

/// An entry that may be written.
struct Entry {
  std::string path{};  // relative, plain components joined by '/'; empty: the tree's root
  Kind kind = Kind::file;
  std::uint32_t mode = 0;  // 0..0777
  ByteCount byte_count = 0;
  std::string link_target{};
};

struct TreeLimits {
  ByteCount bytes = ByteCount{1} << 30;  // all files together, unpacked
  std::size_t entries = 200'000;
};

class TreeRules {
 public:
  explicit TreeRules(TreeLimits limits) : limits_(limits) {}

  /// Errors: refused (a name that leads out or is there already, a link that leads out, a hard link, a device, setuid,
  /// a sparse file, a parent that is no folder), too_large (a limit is reached). The sentence names the entry.
  [[nodiscard]] Result<Entry> admit(const RawEntry& raw);
  [[nodiscard]] ByteCount bytes() const { return bytes_; }

 private:
  [[nodiscard]] Result<void> take_parents(const std::string& path);

  TreeLimits limits_;
  ByteCount bytes_ = 0;
  std::size_t count_ = 0;
  std::set<std::string, std::less<>> named_{};  // by an entry of their own; the others are parents
  std::map<std::string, Kind, std::less<>> kinds_{};
};

/// Where a link at `path` leads when it is followed by name only: true while that is inside the tree.
[[nodiscard]] bool stays_inside(std::string_view path, std::string_view target);

}  // namespace godwit::step_files
