// The acts of godwit/image:1 on the slots of this device: what each one asks of slots, and how the answer reads as an
// outcome. Blocking; one thread.
#pragma once

#include <string>

#include "core/base/file.hpp"
#include "godwit/step_handler.h"

namespace godwit::step_image {

enum class Verb : std::uint8_t { is_installed, install, apply, restore };

struct StepOutcome {
  std::int32_t result_code = 0;
  std::uint32_t extended_code = 0;
  std::string details{};
};

/// `slots_file`: slots.toml of this device.
[[nodiscard]] StepOutcome act(Verb verb, const Path& slots_file, const godwit_host& host, const godwit_step& step);

}  // namespace godwit::step_image
