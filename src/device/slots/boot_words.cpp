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

/// Absent counts as 0.
Result<int> number_of(const BootWords& words, std::string_view key, int most) {
  const std::string value = value_of(words, key);
  if (value.empty()) return 0;
  const auto number = to_number<int>(value);
  if (!number || *number < 0 || *number > most)
    return fail(Code::refused,
                fmt::format("the boot loader's word {}={:.32} is no number from 0 to {}", key, value, most));
  return *number;
}

/// U-Boot compares after it has counted: `bootlimit` attempts are made.
constexpr int kMostCounted = 1'000'000;

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

Result<BootState> state_in(const BootWords& words, AttemptCounter counter) {
  BootState state;
  GODWIT_TRY(const auto good, side_of(words, "good"));
  if (!good) return fail(Code::refused, "the boot loader's state names no good side (good=A or good=B)");
  state.good = *good;
  GODWIT_TRY(state.trial, side_of(words, "try"));
  GODWIT_TRY(state.failed, side_of(words, "failed"));
  for (const Side side : {Side::a, Side::b}) {
    const std::string value = value_of(words, verity_key(side));
    if (value.empty()) continue;
    auto& verity = state.verity_of(side);
    verity = parse_verity_word(value);
    if (!verity)
      return fail(Code::refused, fmt::format("the boot loader's word {}={:.100} is no HASH_OFFSET:ROOT_HASH",
                                             verity_key(side), value));
  }
  if (counter == AttemptCounter::script) {
    GODWIT_TRY(state.attempts_left, number_of(words, "left", kMostAttempts));
    return state;
  }
  GODWIT_TRY(const int limit, number_of(words, "bootlimit", kMostCounted));
  GODWIT_TRY(const int counted, number_of(words, "bootcount", kMostCounted));
  if (value_of(words, "upgrade_available") != "1") state.trial.reset();
  if (state.trial || state.failed) state.attempts_left = std::clamp(limit - counted, 0, kMostAttempts);
  return state;
}

BootWords with_state(BootWords words, const BootState& state, AttemptCounter counter) {
  put(words, "good", std::string(side_name(state.good)));
  put(words, "try", word_of(state.trial));
  put(words, "failed", word_of(state.failed));
  for (const Side side : {Side::a, Side::b}) {
    const auto& verity = state.verity_of(side);
    put(words, verity_key(side), verity ? verity_word(*verity) : "");
  }
  const bool has_attempts = state.trial || state.failed;
  if (counter == AttemptCounter::script) {
    put(words, "left", has_attempts ? std::to_string(state.attempts_left) : "");
    return words;
  }
  // A new trial gets its attempts as the limit; what is left of one that ends is told by the count.
  const int limit = number_of(words, "bootlimit", kMostCounted).value_or(0);
  const bool goes_on = value_of(words, "upgrade_available") == "1" && limit >= state.attempts_left;
  const int given = goes_on ? limit : state.attempts_left;
  put(words, "upgrade_available", state.trial ? "1" : "0");
  if (has_attempts) put(words, "bootlimit", std::to_string(given));
  put(words, "bootcount", std::to_string(has_attempts ? given - state.attempts_left : 0));
  return words;
}

}  // namespace godwit::slots
