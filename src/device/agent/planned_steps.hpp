// The installer's plan as the agent keeps it: steps with their files, without what only the installer needs. Pure; safe
// from any thread.
#pragma once

#include <vector>

#include "core/base/error.hpp"
#include "device/agent/record.hpp"
#include "device/installer/messages.hpp"

namespace godwit::agent {

/// Errors: bad_packet (no step, too many files, or a file that is described badly).
[[nodiscard]] Result<std::vector<PlannedStep>> steps_of(const installer::Plan& plan);

/// The same work: what was done so far and what is to come fit together.
[[nodiscard]] bool is_same_plan(const std::vector<PlannedStep>& one, const std::vector<PlannedStep>& other);

}  // namespace godwit::agent
