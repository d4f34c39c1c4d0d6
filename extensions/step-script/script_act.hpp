// One act of a script step: the command is made, the script run, its result file read. Blocking, one thread.
#pragma once

#include "godwit/author.hpp"
#include "script_call.hpp"

namespace godwit::step_script {

/// Never throws for what a script does; the outcome says it.
[[nodiscard]] author::Outcome run_script_step(Action action, const author::Host& host, const godwit_step& step,
                                              const ExtraArguments& extra = {});

}  // namespace godwit::step_script
