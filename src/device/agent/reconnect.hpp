// When a device that is not connected tries again: by what happened, with jitter, so that a fleet never storms its hub.
// Pure; safe from any thread.
#pragma once

#include <cstdint>

#include "core/base/clock.hpp"
#include "core/base/error.hpp"
#include "core/base/random.hpp"

namespace godwit::agent {

/// What stands between device and hub.
enum class Setback : std::uint8_t {
  cut,      // a connection that stood was lost: most likely every device of the hub lost it in the same moment
  network,  // no way to the hub, or a fault of this device (a file): asking costs the hub nothing
  busy,     // the hub said that it has no time now
  refused,  // the hub does not take this device's credential, or the device not the hub's: a person has to act
};

struct ReconnectSettings {
  Duration first_wait = std::chrono::seconds(1);     // network; doubled each time, as the next two
  Duration busy_wait = std::chrono::seconds(10);     // busy
  Duration refused_wait = std::chrono::seconds(30);  // refused: each try costs both sides a handshake
  Duration longest_wait = std::chrono::minutes(5);   // bounds every wait
  Duration spread = std::chrono::seconds(10);        // cut: anywhere between at once and this
};

/// `was_online`: the connection that ended with `error` had been welcomed by the hub.
[[nodiscard]] Setback setback_of(const Error& error, bool was_online);

/// The wait before the next try. `attempt` counts tries that failed since the last good connection, from 0.
[[nodiscard]] Duration reconnect_wait(Setback setback, std::uint32_t attempt, const ReconnectSettings& settings,
                                      Random& random);

}  // namespace godwit::agent
