#include "server/service/rollout/report_reducer.hpp"

#include "server/service/inventory/result_json.hpp"

namespace godwit::service {
namespace {

using Row = store::DeploymentDevice;

/// The agent began to work: another round, whatever the state.
Reduction reduce_start(const Row& row, WallTime now) {
  if (row.heard == AgentState::in_progress) return {.verdict = ReportVerdict::repeated};
  Row next = row;
  next.heard = AgentState::in_progress;
  ++next.rounds;
  next.updated = now;
  return {.verdict = ReportVerdict::applied, .row = std::move(next)};
}

Reduction reduce_end(const Row& row, DeviceState end, const twin::AgentReport& report, WallTime now) {
  Row next = row;
  next.heard = report.state;
  if (row.state == DeviceState::in_progress || (row.state == DeviceState::failed && end == DeviceState::succeeded)) {
    next.state = end;
  } else if (row.state != end) {
    return {.verdict = ReportVerdict::late};
  }
  // An agent that acknowledges a cancel or ends another round says more than the row knows.
  const bool is_news = row.state != next.state || row.heard != next.heard || row.result_json.empty();
  if (report.result && is_news) next.result_json = store_result(*report.result);
  if (next == row) return {.verdict = ReportVerdict::repeated};
  next.updated = now;
  const bool has_ended = row.state != next.state;
  return {.verdict = ReportVerdict::applied, .row = std::move(next), .has_ended = has_ended};
}

}  // namespace

std::string_view verdict_name(ReportVerdict verdict) {
  switch (verdict) {
    case ReportVerdict::applied: return "applied";
    case ReportVerdict::repeated: return "repeated";
    case ReportVerdict::late: return "late";
    case ReportVerdict::foreign: return "foreign";
  }
  return "foreign";
}

std::optional<DeviceState> end_of(const twin::AgentReport& report, const UpdateId& target) {
  const bool has_failure_code = report.result && report.result->result_code <= 0;
  switch (report.state) {
    case AgentState::in_progress: return std::nullopt;
    case AgentState::failed: return DeviceState::failed;
    case AgentState::idle:
      if (report.action == twin::Action::cancel || (report.result && report.result->result_code == result::cancelled))
        return DeviceState::canceled;
      if (report.installed_update == target && !has_failure_code) return DeviceState::succeeded;
      if (report.result) return DeviceState::failed;
      return std::nullopt;
  }
  return std::nullopt;
}

Reduction reduce(const std::optional<store::DeploymentDevice>& row, const std::optional<UpdateId>& target,
                 const twin::AgentReport& report, WallTime now) {
  if (!row || !target) return {.verdict = ReportVerdict::foreign};
  if (row->moved_on) return {.verdict = ReportVerdict::late};
  // After a retry only reports that echo its stamp speak of it. Without a retry the stamp says nothing: a merged
  // document may still hold the one of an earlier deployment.
  if (!row->retry_timestamp.empty() && report.retry_timestamp != row->retry_timestamp)
    return {.verdict = ReportVerdict::late};
  if (report.state == AgentState::in_progress) return reduce_start(*row, now);
  const auto end = end_of(report, *target);
  if (!end) return {.verdict = ReportVerdict::repeated};
  return reduce_end(*row, *end, report, now);
}

}  // namespace godwit::service
