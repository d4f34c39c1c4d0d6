// From a planner's answer to a plan that may be acted upon: every step has a handler's id, every file is one of the
// signed manifest. Pure; safe from any thread.
#pragma once

#include "core/base/error.hpp"
#include "core/base/json.hpp"
#include "core/manifest/update_manifest.hpp"
#include "device/installer/messages.hpp"

namespace godwit::installer {

/// `answer`: {"steps":[{"path","handler","files","handlerProperties","component"}]}, manifest_handler.h.
/// Errors: extension_contract with the place.
[[nodiscard]] Result<Plan> plan_from_answer(const json::Object& answer, const manifest::UpdateManifest& manifest);

}  // namespace godwit::installer
