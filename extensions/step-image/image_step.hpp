// The acts of godwit/image:1 on the slots of this device: what each one asks of slots, and how the answer reads as an
// outcome. Blocking; one thread.
#pragma once

#include "core/base/file.hpp"
#include "godwit/author.hpp"
#include "godwit/step_handler.h"

namespace godwit::step_image {

enum class Verb : std::uint8_t { is_installed, install, apply, restore };

using author::Outcome;

/// `slots_file`: slots.toml of this device.
[[nodiscard]] Outcome act(Verb verb, const Path& slots_file, const author::Host& host, const godwit_step& step);

}  // namespace godwit::step_image
