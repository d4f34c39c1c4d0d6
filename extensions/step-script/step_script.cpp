// The border of microsoft/script:1: one act of the step is one run of the script.
#include "godwit/author.hpp"
#include "godwit/step_handler.h"
#include "script_act.hpp"

namespace {

namespace author = godwit::author;
using namespace godwit::step_script;

template <Action kAction>
author::Outcome act_as(const author::Host& host, const godwit_step& step) {
  return run_script_step(kAction, host, step);
}

// Scripts know no backup and no restore: the answers of a missing act (1001, 1101) say so.
constexpr godwit_step_handler kTable{sizeof(godwit_step_handler),
                                     author::step_act<act_as<Action::is_installed>>,
                                     author::step_act<act_as<Action::download>>,
                                     nullptr,
                                     author::step_act<act_as<Action::install>>,
                                     author::step_act<act_as<Action::apply>>,
                                     nullptr};

}  // namespace

GODWIT_STEP_HANDLER(kTable)
