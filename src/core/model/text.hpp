// Counting characters of checked UTF-8, for limits that are written in characters. Pure; safe from any thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace godwit {

/// Code points of valid UTF-8: every byte that is not a continuation byte.
[[nodiscard]] inline std::size_t count_characters(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

[[nodiscard]] constexpr bool is_ascii_digit(char c) { return c >= '0' && c <= '9'; }
[[nodiscard]] constexpr bool is_ascii_alphanumeric(char c) {
  return is_ascii_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

}  // namespace godwit
