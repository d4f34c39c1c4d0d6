// The APT manifest (the one payload file of a microsoft/apt:1 step) and the words it becomes for apt-get. Pure; safe
// from any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.hpp"

namespace godwit::step_apt {

inline constexpr std::size_t kManifestLimit = 256 * 1024;
inline constexpr std::size_t kPackagesLimit = 1000;

/// What one package shall be.
struct Wish {
  std::string name{};     // "tree" or "tree:arm64"
  std::string version{};  // exact; empty: whichever apt chooses
  bool is_removal = false;
  friend bool operator==(const Wish&, const Wish&) = default;
};

struct AptManifest {
  std::string name{};
  std::string version{};
  bool restarts_agent = false;  // agentRestartRequired, or a package of the agent itself is among them
  std::vector<Wish> packages{};
};

/// A name with a trailing '-' is a removal. Names and versions are those of Debian's policy and nothing else: no
/// option, pattern or path can be among them.
/// Errors: bad_json, too_large, invalid_argument (the place is named).
[[nodiscard]] Result<AptManifest> parse_apt_manifest(std::string_view text);

[[nodiscard]] bool is_package_name(std::string_view name);  // Debian Policy 5.6.1, with an optional ":arch"
[[nodiscard]] bool is_version(std::string_view version);    // Debian Policy 5.6.12

/// "tree=1.7.0-5", "tree", "tree-".
[[nodiscard]] std::string apt_word(const Wish& wish);

}  // namespace godwit::step_apt
