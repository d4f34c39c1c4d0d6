// The two sides of a device, A and B: one runs, the other is written. Values; safe from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace godwit::slots {

enum class Side : std::uint8_t { a, b };

[[nodiscard]] constexpr Side other(Side side) { return side == Side::a ? Side::b : Side::a; }
[[nodiscard]] constexpr std::string_view side_name(Side side) { return side == Side::a ? "A" : "B"; }
/// Where what is kept of A and B stands: 0 and 1.
[[nodiscard]] constexpr std::size_t index_of(Side side) { return side == Side::a ? 0 : 1; }
/// "A" or "B", nothing for any other word.
[[nodiscard]] constexpr std::optional<Side> parse_side(std::string_view name) {
  if (name == "A") return Side::a;
  if (name == "B") return Side::b;
  return std::nullopt;
}

}  // namespace godwit::slots
