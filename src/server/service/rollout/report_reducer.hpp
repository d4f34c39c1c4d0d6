// What a device's report means for its deployment: a pure reducer. The rules:
//  - a workflow id that no deployment of the device has is foreign; one that was overtaken by a newer deployment or by
//  a retry is
//    late: both change nothing;
//  - idle with the deployment's update installed is success; 255 is failure; result code -1 is cancelled; idle with a
//  result but
//    without the update is failure (the agent restored what was there);
//  - the agent may go several rounds 6 -> 255 for one workflow (it starts again after a reconnect): rounds are counted;
//  - what has ended never goes back to in progress by a report. A failed device that later reports the update installed
//  succeeded
//    after all; Succeeded and Canceled stay.
// Safe from any thread.
#pragma once

#include <optional>

#include "core/twin/dialect.hpp"
#include "server/store/rollout_records.hpp"

namespace godwit::service {

enum class ReportVerdict : std::uint8_t { applied, repeated, late, foreign };
[[nodiscard]] std::string_view verdict_name(ReportVerdict verdict);

struct Reduction {
  ReportVerdict verdict = ReportVerdict::foreign;
  std::optional<store::DeploymentDevice> row{};  // the row to store; nullopt: unchanged
  bool has_ended = false;                        // this report brought the end of the try
};

/// `row`: the device's row with the report's workflow id, `target`: the update of its deployment.
[[nodiscard]] Reduction reduce(const std::optional<store::DeploymentDevice>& row, const std::optional<UpdateId>& target,
                               const twin::AgentReport& report, WallTime now);

/// How an ended report ended; nullopt while the agent works or says nothing about the end.
[[nodiscard]] std::optional<DeviceState> end_of(const twin::AgentReport& report, const UpdateId& target);

}  // namespace godwit::service
