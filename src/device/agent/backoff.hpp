// How long to wait before trying again. Pure; safe from any thread.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/base/clock.hpp"
#include "core/base/random.hpp"

namespace godwit::agent {

/// `first` doubled `attempt` times (0: first), at most `limit`; of that, between one half and the whole, by chance, so
/// that a fleet does not come back all at once.
[[nodiscard]] inline Duration backoff(std::uint32_t attempt, Duration first, Duration limit, Random& random) {
  Duration wait = std::min(first, limit);
  for (std::uint32_t i = 0; i < attempt && wait < limit; ++i) wait = std::min(wait * 2, limit);
  const auto half = wait.count() / 2;
  return Duration{wait.count() - half + static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(half) + 1))};
}

}  // namespace godwit::agent
