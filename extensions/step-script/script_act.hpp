// One act of a script step: the command is made, the script run, its result file read. Blocking, one thread.
#pragma once

#include "script_call.hpp"
#include "support/step.hpp"

namespace godwit::step_script {

/// Never throws for what a script does; the outcome says it.
[[nodiscard]] author::StepOutcome run_script_step(Action action, const author::Host& host, const godwit_step& step,
                                                  const ExtraArguments& extra = {});

}  // namespace godwit::step_script
