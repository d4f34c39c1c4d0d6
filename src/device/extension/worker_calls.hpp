// Turns one call, as JSON, into the C structs of its contract, and runs the function. Used by the worker only; one
// thread.
#pragma once

#include "core/base/error.hpp"
#include "core/base/json.hpp"
#include "device/extension/registry.hpp"
#include "godwit/common.h"

namespace godwit::extension {

/// `entry` is the library's entry function for `type`. Errors: extension_contract (no table for the ABI, no such verb,
/// a table too short), invalid_argument (the host's call is not complete), extension_crashed (an exception came out).
[[nodiscard]] Result<void> run_call(Type type, void* entry, const json::Object& call, const godwit_host& host,
                                    godwit_outcome& outcome);

}  // namespace godwit::extension
