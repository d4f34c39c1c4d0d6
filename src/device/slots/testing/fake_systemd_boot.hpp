// systemd-boot's half of boot counting, after its manual and the Boot Loader Specification: sorts the entries of both
// sides, renames the chosen one while it has a counter, boots it. It shares nothing with SystemdBootSwitch but the
// Disk, so that the two are checked against each other. For tests; one thread.
#pragma once

#include <string>

#include "device/slots/disk.hpp"
#include "device/slots/side.hpp"

namespace godwit::slots::testing {

class FakeSystemdBoot {
 public:
  FakeSystemdBoot(Disk& disk, Path entries) : disk_(disk), entries_(std::move(entries)) {}

  /// The side that this start boots, from the entry's line "options ... side=X". Errors: there is nothing to boot.
  [[nodiscard]] Result<Side> pick();

 private:
  Disk& disk_;
  Path entries_;
};

}  // namespace godwit::slots::testing
