// Numbers in files and boot states that have a byte order. Pure; safe from any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace godwit {

/// The unsigned number in the first sizeof(Number) bytes, the least significant one first; there must be that many.
template <class Number>
[[nodiscard]] constexpr Number little_endian(std::string_view bytes) {
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < sizeof(Number); ++i)
    number |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  return static_cast<Number>(number);
}

/// Adds sizeof(Number) bytes of an unsigned number, the least significant one first.
template <class Number>
void append_little_endian(std::string& out, Number number) {
  for (std::size_t i = 0; i < sizeof number; ++i) out += static_cast<char>((number >> (8 * i)) & 0xFFU);
}

}  // namespace godwit
