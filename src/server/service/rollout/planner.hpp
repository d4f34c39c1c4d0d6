// The planner: what one device should be told next, from facts alone. Pure; the rim (rollout.hpp) gathers the facts and
// carries the decision out. Nothing here knows of time except through the facts. Safe from any thread.
#pragma once

#include <optional>

#include "server/store/rollout_records.hpp"

namespace godwit::service {

/// The device's row in one deployment, and how that deployment stands for the row's class.
struct CurrentGoal {
  store::DeploymentDevice row;
  store::SubgroupDeploymentState deployment_state{};
};

/// What an operator has asked of this device: a retry of every failed one, or a retry or cancel of this one by name.
/// withdraw: its deployment was cancelled, so an agent must not start again on what has failed.
enum class Ask : std::uint8_t { nothing, retry_failed, retry, cancel, withdraw };

struct DeviceFacts {
  bool is_healthy = false;                       // it has a class
  std::optional<std::int64_t> wanted{};          // number of the active deployment of its subgroup
  std::optional<store::DeploymentDevice> own{};  // its row in the wanted deployment
  std::optional<CurrentGoal> current{};  // the goal its twin holds; the same row as `own`, or of another deployment
  Ask ask = Ask::nothing;                // of the wanted deployment (retries) or the current goal (cancel)
  WallTime now{};
  Duration url_lifetime{};
};

enum class Do : std::uint8_t { nothing, offer, retry, cancel, refresh_urls };

/// offer: a new workflow for the wanted deployment, which overtakes the current goal. retry, refresh_urls: the row it
/// is about stays; cancel: of the current goal.
[[nodiscard]] Do decide(const DeviceFacts& facts);

/// How long a device may be in progress.
struct Deadlines {
  Duration silence = std::chrono::hours(24 * 7);  // without a word about its work
  Duration total = std::chrono::hours(24 * 30);   // one try in all
};
enum class Patience : std::uint8_t { wait, silent, too_long };
struct Judgement {
  Patience patience = Patience::wait;
  WallTime look_again{};  // when waiting
};
/// `last_word`: when the device last told about its work; before `began`: not about this try.
[[nodiscard]] Judgement judge(WallTime began, WallTime last_word, WallTime now, const Deadlines& deadlines);

/// Less than a quarter of the lifetime is left.
[[nodiscard]] bool needs_fresh_urls(const store::DeploymentDevice& row, WallTime now, Duration lifetime);

/// True when the policy asks to roll back: both the percentage and the count of failed devices are reached.
[[nodiscard]] bool must_roll_back(const store::RollbackPolicy& policy, std::uint64_t failed, std::uint64_t total);

}  // namespace godwit::service
