// Chance that depends on nothing but its name: the same seed and the same words give the same number, whatever happened
// before and in which order answers came. Pure; any thread.
#pragma once

#include <bit>
#include <cstdint>
#include <initializer_list>

namespace godwit::fleet {

/// A well mixed 64-bit number of the words.
[[nodiscard]] constexpr std::uint64_t mix(std::initializer_list<std::uint64_t> words) {
  std::uint64_t state = 0x9E3779B97F4A7C15ULL;
  for (const std::uint64_t word : words) {  // splitmix64 over each word
    state += word + 0x9E3779B97F4A7C15ULL;
    state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9ULL;
    state = (state ^ (state >> 27)) * 0x94D049BB133111EBULL;
    state ^= state >> 31;
  }
  return state;
}

/// 0 <= result < 1.
[[nodiscard]] constexpr double unit(std::uint64_t mixed) {
  return static_cast<double>(mixed >> 11) * (1.0 / 9007199254740992.0);
}

/// The place of `index` in a shuffled order of 0..count-1 (index < count): a permutation without a table. Four rounds
/// of a Feistel network over the next even power of two; what falls outside walks on.
[[nodiscard]] constexpr std::uint64_t shuffled(std::uint64_t index, std::uint64_t count, std::uint64_t key) {
  if (count < 2) return 0;
  const unsigned width = static_cast<unsigned>(std::bit_width(count - 1));
  const unsigned half = (width + 1) / 2;
  const std::uint64_t mask = (std::uint64_t{1} << half) - 1;
  do {
    std::uint64_t left = index >> half;
    std::uint64_t right = index & mask;
    for (std::uint64_t round = 0; round < 4; ++round) {
      const std::uint64_t next = left ^ (mix({key, round, right}) & mask);
      left = right;
      right = next;
    }
    index = (left << half) | right;
  } while (index >= count);
  return index;
}

}  // namespace godwit::fleet
