// What the authors of step handlers need on top of author.hpp: the outcome as a value, the step's files and properties,
// and the border that turns a C++ function into an act of the C table. Header only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "godwit/author.hpp"
#include "godwit/step_handler.h"

namespace godwit::author {

struct StepOutcome {
  std::int32_t result_code = 0;
  std::uint32_t extended_code = 0;
  std::string details{};
};

/// The step's file of this name; nothing: the manifest does not list it.
inline const godwit_file* file_named(const godwit_step& step, std::string_view name) {
  for (std::size_t i = 0; i < step.file_count; ++i)
    if (view(step.files[i]->name) == name) return step.files[i];
  return nullptr;
}

/// 30000104 "refused": an act that threw, and whatever has no code of its own.
inline constexpr std::uint32_t kRefused = 0x30000104;

/// The act of the table that runs `kAct` and fills the outcome, whatever is thrown.
template <StepOutcome (*kAct)(const Host&, const godwit_step&)>
void step_act(const godwit_host* host, const godwit_step* step, godwit_outcome* outcome) {
  guarded(outcome, kRefused, [&] {
    const StepOutcome done = kAct(Host(host), *step);
    say(outcome, done.result_code, done.extended_code, done.details);
  });
}

}  // namespace godwit::author
