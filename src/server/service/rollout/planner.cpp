#include "server/service/rollout/planner.hpp"

namespace godwit::service {

bool needs_fresh_urls(const store::DeploymentDevice& row, WallTime now, Duration lifetime) {
  return row.state == DeviceState::in_progress && row.urls_expire_at - now < lifetime / 4;
}

Do decide(const DeviceFacts& facts) {
  // A goal of a cancelled deployment is withdrawn unless a newer one takes its place.
  const bool is_withdrawn = facts.current && facts.current->row.state == DeviceState::in_progress &&
                            facts.current->deployment_state == store::SubgroupDeploymentState::canceled;
  if (facts.is_healthy && facts.wanted) {
    if (!facts.own || facts.own->moved_on) return Do::offer;
    if (facts.is_retry_asked && facts.own->state == DeviceState::failed) return Do::retry;
  } else if (is_withdrawn) {
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
