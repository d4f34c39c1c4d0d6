// The seam to scheduled jobs: what they did to each device, for FROM devices.jobs. Whoever keeps jobs provides the
// function; it is called inside of a store job, on any worker.
#pragma once

#include <functional>
#include <vector>

#include "core/base/json.hpp"
#include "server/store/store.hpp"

namespace godwit::api::iothub {

/// JSON documents in a stable order, members as the original names them: deviceId, jobId, jobType, status, ...
using DeviceJobs = std::function<Result<std::vector<json::Object>>(store::Records&)>;

}  // namespace godwit::api::iothub
