// From a planner's answer to a plan that may be acted upon: every step has a handler's id, every file is one of the
// signed manifest or of a child that it names. Pure; safe from any thread.
#pragma once

#include "core/base/error.hpp"
#include "core/base/json.hpp"
#include "device/installer/messages.hpp"
#include "device/installer/verify.hpp"

namespace godwit::installer {

/// `answer`: {"steps":[{"path","handler","files","handlerProperties","component"}]}, manifest_handler.h.
/// Errors: extension_contract with the place.
[[nodiscard]] Result<Plan> plan_from_answer(const json::Object& answer, const Verified& verified);

}  // namespace godwit::installer
