// Which ranges of the source a group is made from. Pure; safe from any thread.
#pragma once

#include <optional>
#include <vector>

#include "core/delta/format.hpp"
#include "core/delta/source_index.hpp"

namespace godwit::delta {

/// The matches with their surroundings (what changed lies near what did not), joined, in the order of the source; at
/// most kSourceBytesMax bytes in kWindowCountMax windows. Where not all fit, the longest matches do.
[[nodiscard]] std::vector<Window> choose_windows(const std::vector<Match>& matches, ByteCount source_size);

/// The matches as they are, if they alone make the whole group of `length` bytes.
[[nodiscard]] std::optional<std::vector<Window>> exact_windows(const std::vector<Match>& matches, std::size_t length);

}  // namespace godwit::delta
