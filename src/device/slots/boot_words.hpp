// The words of a boot environment, "key=value", in the order in which they stood, and the BootState in them: good, try,
// left, failed, verity_A, verity_B; with U-Boot's own counter its words in place of left. Every other word is somebody
// else's and kept. Values; safe from any thread.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "device/slots/boot_switch.hpp"

namespace godwit::slots {

/// Who counts the attempts of a trial.
enum class AttemptCounter : std::uint8_t {
  script,     // the boot script counts `left` down
  bootcount,  // U-Boot with CONFIG_BOOTCOUNT_ENV counts `bootcount` up to `bootlimit` while `upgrade_available` is 1
};

using BootWords = std::vector<std::pair<std::string, std::string>>;

/// The word that keeps a side's root hash.
[[nodiscard]] constexpr std::string_view verity_key(Side side) { return side == Side::a ? "verity_A" : "verity_B"; }

/// Adds "key=value"; a text without '=' or with an empty key is ignored, as the loaders do.
void add_word(BootWords& words, std::string_view text);
/// Errors: refused, naming the word that is none of ours.
[[nodiscard]] Result<BootState> state_in(const BootWords& words, AttemptCounter counter = AttemptCounter::script);
/// The same words with those of `state` put in; an absent one is left out.
[[nodiscard]] BootWords with_state(BootWords words, const BootState& state,
                                   AttemptCounter counter = AttemptCounter::script);

}  // namespace godwit::slots
