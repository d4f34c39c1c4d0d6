// The device's package system: locks, repair, apt-get and dpkg as processes. Blocking, one thread; as root.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "apt_words.hpp"
#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "godwit/author.hpp"

namespace godwit::step_apt {

/// Extended codes of this handler; the sentences are in the table of core/model.
namespace code {
inline constexpr std::uint32_t bad_manifest = 0x30200001, no_criteria = 0x30200002, locked = 0x30200003,
                               broken = 0x30200004, not_found = 0x30200005, not_as_asked = 0x30200006,
                               restore_failed = 0x30200007, bad_deb = 0x30200008, apt_exit = 0x30201000;
}

/// A failure with its extended code, or none: `extended_code` 0 is success.
struct Trouble {
  std::uint32_t extended_code = 0;
  std::string details{};
  bool was_cancelled = false;
  [[nodiscard]] explicit operator bool() const { return extended_code != 0 || was_cancelled; }
  [[nodiscard]] author::Outcome outcome() const;
};

class AptSystem {
 public:
  /// `host` outlives this. Locks of others are waited for as long as `lock_wait`.
  AptSystem(const author::Host& host, Path work_dir, std::chrono::seconds lock_wait)
      : host_(host), work_dir_(std::move(work_dir)), lock_wait_(lock_wait) {}

  [[nodiscard]] Result<InstalledPackages> installed() const;

  /// What a cut left: interrupted dpkg runs are finished (dpkg --configure -a), unmet dependencies fixed, packages that
  /// were cut while they were unpacked put back from the repositories. Does nothing on a whole system.
  [[nodiscard]] Trouble repair() const;

  /// apt-get update; a failure is a warning in the log only.
  void refresh_lists() const;

  struct Run {
    bool only_download = false;
    bool may_download = true;
    bool heeds_cancel = true;
    bool reinstalls = false;  // also what has its version already
  };
  /// apt-get install of `words` (apt_word(), or paths of .deb files).
  [[nodiscard]] Trouble install(const std::vector<std::string>& words, const Run& run) const;

  /// The packages that install(words) would touch.
  [[nodiscard]] Result<std::vector<std::string>> would_touch(const std::vector<std::string>& words) const;
  [[nodiscard]] Result<std::vector<std::string>> automatic_packages() const;
  [[nodiscard]] Trouble mark_automatic(const std::vector<std::string>& names) const;
  /// Fetches the .deb of a version into `folder`; false: it is nowhere to be had.
  [[nodiscard]] bool fetch(const std::string& name, const std::string& version, const Path& folder) const;

 private:
  [[nodiscard]] Trouble wait_for_locks(bool heeds_cancel) const;
  [[nodiscard]] Trouble run(const Path& program, const std::vector<std::string>& words, bool heeds_cancel) const;
  [[nodiscard]] Trouble run_once(const Path& program, const std::vector<std::string>& words, bool heeds_cancel) const;
  [[nodiscard]] Trouble put_back_what_was_cut() const;
  [[nodiscard]] Result<std::string> output_of(const std::vector<std::string>& words) const;

  const author::Host& host_;
  Path work_dir_;
  std::chrono::seconds lock_wait_;
};

}  // namespace godwit::step_apt
