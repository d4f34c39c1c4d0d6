#include "device/slots/boot_words.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/text.hpp"

namespace godwit::slots {
namespace {

std::string value_of(const BootWords& words, std::string_view key) {
  // The last one counts: that is what a loader that reads them in order ends with.
  const auto found = std::find_if(words.rbegin(), words.rend(), [&](const auto& word) { return word.first == key; });
  return found == words.rend() ? "" : found->second;
}

Result<std::optional<Side>> side_of(const BootWords& words, std::string_view key) {
  const std::string value = value_of(words, key);
  if (value.empty()) return std::optional<Side>{};
  if (const auto side = parse_side(value)) return std::optional<Side>{*side};
  return fail(Code::refused, fmt::format("the boot loader's word {}={:.32} is neither A nor B", key, value));
}

void put(BootWords& words, std::string_view key, std::string value) {
  std::erase_if(words, [&](const auto& word) { return word.first == key; });
  if (!value.empty()) words.emplace_back(std::string(key), std::move(value));
}

constexpr std::array<std::string_view, 2> kVerityKeys{"verity_A", "verity_B"};

std::string word_of(std::optional<Side> side) { return side ? std::string(side_name(*side)) : ""; }

}  // namespace

std::string in_words(const BootState& state) {
  std::string words = fmt::format("good={}", side_name(state.good));
  if (state.trial) words += fmt::format(" try={}", side_name(*state.trial));
  if (state.trial || state.failed) words += fmt::format(" left={}", state.attempts_left);
  if (state.failed) words += fmt::format(" failed={}", side_name(*state.failed));
  return words;
}

void add_word(BootWords& words, std::string_view text) {
  const auto equals = text.find('=');
  if (equals == 0 || equals == std::string_view::npos) return;
  words.emplace_back(std::string(text.substr(0, equals)), std::string(text.substr(equals + 1)));
}

Result<BootState> state_in(const BootWords& words) {
  BootState state;
  GODWIT_TRY(const auto good, side_of(words, "good"));
  if (!good) return fail(Code::refused, "the boot loader's state names no good side (good=A or good=B)");
  state.good = *good;
  GODWIT_TRY(state.trial, side_of(words, "try"));
  GODWIT_TRY(state.failed, side_of(words, "failed"));
  if (const std::string left = value_of(words, "left"); !left.empty()) {
    const auto number = to_number<int>(left);
    if (!number || *number < 0 || *number > kMostAttempts)
      return fail(Code::refused,
                  fmt::format("the boot loader's word left={:.32} is no number from 0 to {}", left, kMostAttempts));
    state.attempts_left = *number;
  }
  for (std::size_t i = 0; i < kVerityKeys.size(); ++i) {
    const std::string value = value_of(words, kVerityKeys[i]);
    if (value.empty()) continue;
    state.verity[i] = parse_verity_word(value);
    if (!state.verity[i])
      return fail(Code::refused,
                  fmt::format("the boot loader's word {}={:.100} is no HASH_OFFSET:ROOT_HASH", kVerityKeys[i], value));
  }
  return state;
}

BootWords with_state(BootWords words, const BootState& state) {
  put(words, "good", std::string(side_name(state.good)));
  put(words, "try", word_of(state.trial));
  put(words, "left", state.trial || state.failed ? std::to_string(state.attempts_left) : "");
  put(words, "failed", word_of(state.failed));
  for (std::size_t i = 0; i < kVerityKeys.size(); ++i)
    put(words, kVerityKeys[i], state.verity[i] ? verity_word(*state.verity[i]) : "");
  return words;
}

}  // namespace godwit::slots
