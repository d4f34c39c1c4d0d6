#include "device/slots/custom_switch.hpp"

#include <fmt/format.h>

#include "core/base/command.hpp"
#include "core/base/text.hpp"
#include "device/slots/boot_words.hpp"

namespace godwit::slots {

Result<std::string> CustomSwitch::run(const std::vector<std::string>& arguments) const {
  std::vector<std::string> words = command_;
  words.insert(words.end(), arguments.begin(), arguments.end());
  GODWIT_TRY(const CommandEnd end, run_command(words, "", {.time = std::chrono::minutes(1), .output = 4096}));
  if (end.ok()) return end.output;
  const std::string output(trimmed(std::string_view(end.output).substr(0, 256)));
  return fail(Code::process_failed, fmt::format("the boot command {} {} {}{}", words.front(), arguments.front(),
                                                end.in_words(), output.empty() ? "" : ": " + output));
}

Result<BootState> CustomSwitch::read() {
  GODWIT_TRY(const std::string output, run({"get"}));
  BootWords words;
  for (std::size_t begin = 0; begin < output.size();) {
    const std::size_t end = std::min(output.find('\n', begin), output.size());
    add_word(words, std::string_view(output).substr(begin, end - begin));
    begin = end + 1;
  }
  return state_in(words);
}

Result<void> CustomSwitch::write(const BootState& state) {
  GODWIT_TRY(const BootState before, read());
  if (before == state) return {};
  std::vector<std::string> arguments{"set"};
  const BootWords words = with_state({}, state);
  std::vector<std::string_view> keys{"good", "try", "left", "failed"};
  // Commands that know nothing of dm-verity are not told of it.
  for (const Side side : {Side::a, Side::b})
    if (before.verity_of(side) || state.verity_of(side)) keys.push_back(verity_key(side));
  for (const std::string_view key : keys) {
    std::string value;
    for (const auto& word : words)
      if (word.first == key) value = word.second;
    arguments.push_back(fmt::format("{}={}", key, value));
  }
  GODWIT_TRY(const std::string output, run(arguments));
  GODWIT_TRY(const BootState after, read());
  if (after != state)
    return fail(Code::process_failed, fmt::format("the boot command {} was told \"{}\" and now says \"{}\"",
                                                  command_.front(), in_words(state), in_words(after)));
  return {};
}

}  // namespace godwit::slots
