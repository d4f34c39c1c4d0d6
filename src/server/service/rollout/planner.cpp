#include "server/service/rollout/planner.hpp"

#include <algorithm>

namespace godwit::service {

bool needs_fresh_urls(const store::DeploymentDevice& row, WallTime now, Duration lifetime) {
  return row.state == DeviceState::in_progress && row.urls_expire_at - now < lifetime / 4;
}

Judgement judge(WallTime began, WallTime last_word, WallTime now, const Deadlines& deadlines) {
  const WallTime end = began + deadlines.total;
  const WallTime silence_ends = std::max(began, last_word) + deadlines.silence;
  if (end <= now) return {.patience = Patience::too_long};
  if (silence_ends <= now) return {.patience = Patience::silent};
  return {.patience = Patience::wait, .look_again = std::min(end, silence_ends)};
}

namespace {

bool has_failed_goal_of_canceled(const DeviceFacts& facts) {
  return facts.current && !facts.current->row.moved_on && facts.current->row.state == DeviceState::failed &&
         facts.current->deployment_state == store::SubgroupDeploymentState::canceled;
}

}  // namespace

Do decide(const DeviceFacts& facts) {
  const bool is_working = facts.current && facts.current->row.state == DeviceState::in_progress;
  if (facts.ask == Ask::cancel && is_working) return Do::cancel;
  // A goal of a cancelled deployment is withdrawn unless a newer one takes its place.
  const bool is_withdrawn = is_working && facts.current->deployment_state == store::SubgroupDeploymentState::canceled;
  if (facts.is_healthy && facts.wanted) {
    if (!facts.own || facts.own->moved_on) return Do::offer;
    const bool has_failed = facts.own->state == DeviceState::failed;
    if (facts.ask == Ask::retry_failed && has_failed) return Do::retry;
    if (facts.ask == Ask::retry && (has_failed || facts.own->state == DeviceState::canceled)) return Do::retry;
  } else if (is_withdrawn || (facts.ask == Ask::withdraw && has_failed_goal_of_canceled(facts))) {
    return Do::cancel;
  }
  // A device that has left its subgroup, or whose deployment was superseded elsewhere, may finish what it began.
  if (facts.current && needs_fresh_urls(facts.current->row, facts.now, facts.url_lifetime)) return Do::refresh_urls;
  return Do::nothing;
}

bool must_roll_back(const store::RollbackPolicy& policy, std::uint64_t failed, std::uint64_t total) {
  if (total == 0 || failed < static_cast<std::uint64_t>(policy.failed_count)) return false;
  return failed * 100 >= total * static_cast<std::uint64_t>(policy.failed_percentage);
}

}  // namespace godwit::service
