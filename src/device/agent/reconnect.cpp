#include "device/agent/reconnect.hpp"

#include <algorithm>

#include "device/agent/backoff.hpp"

namespace godwit::agent {

Setback setback_of(const Error& error, bool was_online) {
  switch (error.code) {
    case Code::unavailable:
    case Code::too_many: return Setback::busy;
    case Code::unauthorized:
    case Code::tls_failed:
    case Code::refused:
    case Code::unsupported: return Setback::refused;
    default: return was_online ? Setback::cut : Setback::network;
  }
}

Duration reconnect_wait(Setback setback, std::uint32_t attempt, const ReconnectSettings& settings, Random& random) {
  const auto doubled_from = [&](Duration first) { return backoff(attempt, first, settings.longest_wait, random); };
  switch (setback) {
    case Setback::cut: {
      // A connection that is cut again and again shortly after its welcome is waited for as if there were no way.
      if (attempt > 0) return doubled_from(settings.first_wait);
      const Duration widest = std::min(settings.spread, settings.longest_wait);
      return Duration{static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(widest.count()) + 1))};
    }
    case Setback::network: return doubled_from(settings.first_wait);
    case Setback::busy: return doubled_from(settings.busy_wait);
    case Setback::refused: return doubled_from(settings.refused_wait);
  }
  return settings.longest_wait;
}

}  // namespace godwit::agent
