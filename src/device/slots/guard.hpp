// Looks after a side on trial when nobody else can: an agent that never starts, a program that hangs. Until the side is
// confirmed its time runs; then the guard writes down why and restarts the device, so that the boot loader counts on.
// Where it is given a watchdog it feeds that as well, so that a guard that does not come up ends a trial, too.
// Blocking; one thread. Decides by guard_next(), a pure function.
#pragma once

#include <cstdint>
#include <functional>

#include "core/base/clock.hpp"
#include "core/base/log.hpp"
#include "device/slots/slots.hpp"

namespace godwit::slots {

enum class GuardAct : std::uint8_t {
  watch,    // feed the watchdog, look again later
  leave,    // nothing to guard, and no watchdog to feed
  give_up,  // record why, restart
};

struct GuardFacts {
  bool is_on_trial = false;
  bool feeds_watchdog = false;
  Duration up{};     // since the device started
  Duration limit{};  // how long a trial may run unconfirmed
};

[[nodiscard]] constexpr GuardAct guard_next(const GuardFacts& facts) {
  if (!facts.is_on_trial) return facts.feeds_watchdog ? GuardAct::watch : GuardAct::leave;
  return facts.up < facts.limit ? GuardAct::watch : GuardAct::give_up;
}

/// The world of the guard; tests bring their own.
struct GuardPorts {
  std::function<Duration()> up;           // since the device started
  std::function<Result<void>()> feed;     // empty: no watchdog
  std::function<bool(Duration)> wait;     // false: asked to end
  std::function<Result<void>()> restart;  // asks the system to restart
  std::function<void()> restart_at_once;  // the kernel's own restart, when the system does not
};

inline constexpr Duration kGuardPause = std::chrono::seconds(5);
inline constexpr Duration kRestartPatience = std::chrono::minutes(1);

/// Returns when there is nothing to guard or `wait` said to end. A boot state that cannot be read is told to the log
/// and guarded as if it were no trial: a device whose state is damaged must not restart for ever.
/// Errors: those of `restart`, and of recording the reason; the restart is done in any case.
[[nodiscard]] Result<void> guard_trial(Disk& disk, BootSwitch& boot, const Places& places, Duration limit,
                                       const GuardPorts& ports, Log& log);

}  // namespace godwit::slots
