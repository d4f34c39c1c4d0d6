// The acts of microsoft/swupdate:1 on a device with two sides: the slots give SWUpdate the side that does not run, read
// back what it wrote, let the boot loader try it and keep it once it is healthy. Blocking; one thread.
#pragma once

#include <functional>

#include "core/base/file.hpp"
#include "godwit/author.hpp"
#include "godwit/step_handler.h"
#include "swupdate_config.hpp"

namespace godwit::step_swupdate {

/// One call: what the device's files say, and the step.
struct SlotCall {
  const author::Host& host;
  const godwit_step& step;
  const SwupdateConfig& config;
  Path slots_file;
};

/// Runs SWUpdate with this selection; 600 when it has written everything.
using RunSwupdate = std::function<author::Outcome(const std::string& select)>;

[[nodiscard]] author::Outcome slot_is_installed(const SlotCall& call);
[[nodiscard]] author::Outcome slot_install(const SlotCall& call, const RunSwupdate& run);
[[nodiscard]] author::Outcome slot_apply(const SlotCall& call);
[[nodiscard]] author::Outcome slot_restore(const SlotCall& call);

}  // namespace godwit::step_swupdate
