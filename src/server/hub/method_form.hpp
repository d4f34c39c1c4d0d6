// How a call of a direct method is written, in a request and in a scheduled job. Pure; safe from any thread.
#pragma once

#include "core/base/json.hpp"
#include "server/hub/methods.hpp"

namespace godwit::hub {

/// {"methodName","payload"?,"responseTimeoutInSeconds"?,"connectTimeoutInSeconds"?}. Names and bounds are looked at by
/// check_call(). Errors: invalid_argument, bad_json.
[[nodiscard]] Result<MethodCall> read_method_call(const json::Object& body, const IdentityId& id);

}  // namespace godwit::hub
