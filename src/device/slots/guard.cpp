#include "device/slots/guard.hpp"

#include <fmt/format.h>

#include "core/base/config.hpp"

namespace godwit::slots {
namespace {

bool is_on_trial(BootSwitch& boot, Side running, Log& log) {
  const auto state = boot.read();
  if (!state) {
    log.error("guard.boot_state_unreadable", {{"why", state.error().message}});
    return false;
  }
  return state->trial == running && state->good != running;
}

/// So that the side that comes back can say it.
Result<void> record(Disk& disk, const Places& places, const std::string& why) {
  GODWIT_TRY(Contents contents, load_contents(disk, places.contents));
  auto& held = contents.of(places.running);
  if (!held) return {};
  held->last_words = why;
  return store_contents(disk, places.contents, contents);
}

}  // namespace

Result<void> guard_trial(Disk& disk, BootSwitch& boot, const Places& places, Duration limit, const GuardPorts& ports,
                         Log& log) {
  const bool feeds = static_cast<bool>(ports.feed);
  bool on_trial = is_on_trial(boot, places.running, log);
  log.info("guard.starts", {{"side", side_name(places.running)}, {"on_trial", on_trial}, {"watchdog", feeds}});
  for (;;) {
    switch (guard_next({.is_on_trial = on_trial, .feeds_watchdog = feeds, .up = ports.up(), .limit = limit})) {
      case GuardAct::leave: return {};
      case GuardAct::watch:
        if (feeds) GODWIT_TRY_VOID(ports.feed());
        if (!ports.wait(kGuardPause)) return {};
        // A trial begins with a start of the device only: what is confirmed stays so.
        if (on_trial && !is_on_trial(boot, places.running, log)) {
          on_trial = false;
          log.info("guard.trial_over", {{"side", side_name(places.running)}});
        }
        break;
      case GuardAct::give_up: {
        const std::string why =
            fmt::format("nobody confirmed it within {} of its start, so its guard restarted the device",
                        config::print_duration(limit));
        log.error("guard.gives_up", {{"side", side_name(places.running)}, {"why", why}});
        const auto recorded = record(disk, places, why);
        const auto asked = ports.restart();
        if (!asked) log.error("guard.restart_failed", {{"why", asked.error().message}});
        if (asked && !ports.wait(kRestartPatience)) return recorded;
        ports.restart_at_once();
        return asked ? recorded : asked;
      }
    }
  }
}

}  // namespace godwit::slots
