// The boot loader's half of the contract in boot_switch.hpp, as its script does it: picks a side, counts an attempt
// down before it boots, gives up. It reads and writes the same bytes as the real ones, through a Disk, so that its own
// writes can be cut as well. For tests; one thread.
#pragma once

#include "device/slots/boot_switch.hpp"
#include "device/slots/disk.hpp"

namespace godwit::slots::testing {

class FakeBootLoader {
 public:
  explicit FakeBootLoader(BootSwitch& state) : state_(state) {}

  /// The side that this start boots. Errors: what the loader could not read: a device that does not start.
  [[nodiscard]] Result<Side> pick() {
    GODWIT_TRY(BootState state, state_.read());
    if (!state.trial) return state.good;
    const Side tried = *state.trial;
    if (state.attempts_left > 0) {
      --state.attempts_left;
      GODWIT_TRY_VOID(state_.write(state));
      return tried;
    }
    state.trial.reset();
    state.failed = tried;
    GODWIT_TRY_VOID(state_.write(state));
    return state.good;
  }

  /// The picked side could not be loaded: a trial ends at once. Gives the side to boot instead.
  [[nodiscard]] Result<Side> give_up(Side picked) {
    GODWIT_TRY(BootState state, state_.read());
    if (picked == state.good) return state.good;
    state.failed = picked;
    state.trial.reset();
    GODWIT_TRY_VOID(state_.write(state));
    return state.good;
  }

 private:
  BootSwitch& state_;
};

}  // namespace godwit::slots::testing
