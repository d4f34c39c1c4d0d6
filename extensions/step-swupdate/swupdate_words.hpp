// What SWUpdate says: its error lines and its progress messages, as values. Pure; safe from any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace godwit::step_swupdate {

/// Extended codes of this handler; the sentences are in the table of core/model.
namespace code {
inline constexpr std::uint32_t bad_image_list = 0x30100001, no_criteria = 0x30100002, bad_config = 0x30100003,
                               not_trusted = 0x30100004, other_hardware = 0x30100005, bad_image = 0x30100006,
                               switch_failed = 0x30100007, swupdate_exit = 0x30101000;
}

/// Collects the error lines of a run, without their decoration, and knows the cause where it is one of the known ones.
class SwupdateErrors {
 public:
  void take(std::string_view line);
  [[nodiscard]] const std::string& text() const { return text_; }
  /// SWUpdate said that the update is in place, and no error after it.
  [[nodiscard]] bool says_success() const { return says_success_ && text_.empty(); }
  /// `status`: the exit status, or 128 + signal.
  [[nodiscard]] std::uint32_t extended_code(unsigned status) const;

 private:
  std::string text_{};
  bool says_success_ = false;
};

/// The fixed message of SWUpdate's progress socket (progress_ipc.h of 2022.12), as far as we read it.
inline constexpr std::size_t kProgressMessageSize = 2416;
struct Progress {
  std::uint32_t step = 0;     // from 1
  std::uint32_t steps = 0;    // 0: not known yet
  std::uint32_t percent = 0;  // 0..100 of this step
  std::string image{};
};
/// Nothing: not such a message, or one whose numbers make no sense.
[[nodiscard]] std::optional<Progress> parse_progress(std::string_view message);

}  // namespace godwit::step_swupdate
