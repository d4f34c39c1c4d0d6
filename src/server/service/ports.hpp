// What the service asks of others. Wired in apps/godwitd; the service never includes the hub.
#pragma once

#include <functional>
#include <string>

#include "core/base/error.hpp"
#include "core/base/json.hpp"
#include "core/model/ids.hpp"
#include "server/store/store.hpp"

namespace godwit::service {

/// Writes a merge patch into the desired section of a device or module, inside the caller's transaction; the device
/// hears of it after the commit.
using SetDesired =
    std::function<Result<void>(store::Records& records, const IdentityId& id, const json::Object& patch)>;

}  // namespace godwit::service
