// What the service asks of others. Wired in apps/godwitd; the service never includes the hub.
#pragma once

#include <functional>
#include <string>

#include "core/base/error.hpp"
#include "core/base/json.hpp"
#include "core/model/ids.hpp"
#include "server/store/store.hpp"

namespace godwit::service {

/// Writes a merge patch into a device's desired section, inside the caller's transaction; the device hears of it after
/// the commit.
using SetDesired = std::function<Result<void>(store::Records& records, const DeviceId& id, const json::Object& patch)>;

}  // namespace godwit::service
