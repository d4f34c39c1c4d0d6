#include "server/service/rollout/planner.hpp"

#include <gtest/gtest.h>

namespace godwit::service {
namespace {

using State = store::SubgroupDeploymentState;
constexpr Duration kLifetime = std::chrono::hours(4);
const WallTime kNow = from_unix_ms(1'000'000'000);

store::DeploymentDevice row(std::int64_t deployment, DeviceState state, bool moved_on = false,
                            Duration urls_left = kLifetime) {
  return {.deployment = deployment,
          .device = DeviceId::parse("d").value(),
          .group = GroupId::parse("$default").value(),
          .class_id = DeviceClassId::parse(std::string(40, 'a')).value(),
          .state = state,
          .moved_on = moved_on,
          .urls_expire_at = kNow + urls_left};
}

DeviceFacts facts(bool is_healthy, std::optional<std::int64_t> wanted, std::optional<store::DeploymentDevice> own,
                  std::optional<CurrentGoal> current) {
  return {.is_healthy = is_healthy,
          .wanted = wanted,
          .own = std::move(own),
          .current = std::move(current),
          .now = kNow,
          .url_lifetime = kLifetime};
}

/// The device's newest deployment is the wanted one.
DeviceFacts on_it(DeviceState state, State deployment = State::active, bool moved_on = false,
                  Duration urls_left = kLifetime) {
  const auto own = row(1, state, moved_on, urls_left);
  return facts(true, 1, own, CurrentGoal{.row = own, .deployment_state = deployment});
}
/// It is in another deployment, and nothing or number 2 is wanted.
DeviceFacts on_other(DeviceState state, State deployment, std::optional<std::int64_t> wanted,
                     Duration urls_left = kLifetime) {
  return facts(true, wanted, std::nullopt,
               CurrentGoal{.row = row(1, state, false, urls_left), .deployment_state = deployment});
}

}  // namespace

TEST(Planner, a_device_that_the_active_deployment_has_not_reached_is_offered_it) {
  EXPECT_EQ(decide(facts(true, 1, std::nullopt, std::nullopt)), Do::offer);
  EXPECT_EQ(decide(on_other(DeviceState::in_progress, State::inactive, 2)), Do::offer);
  EXPECT_EQ(decide(on_other(DeviceState::succeeded, State::inactive, 2)), Do::offer);
  EXPECT_EQ(decide(on_other(DeviceState::in_progress, State::canceled, 2)), Do::offer)
      << "the newer goal replaces the withdrawn one";
}

TEST(Planner, a_device_that_comes_back_after_another_deployment_is_offered_again) {
  EXPECT_EQ(decide(on_it(DeviceState::succeeded, State::active, true)), Do::offer);
  EXPECT_EQ(decide(on_it(DeviceState::canceled, State::active, true)), Do::offer);
}

TEST(Planner, a_device_that_has_its_goal_is_left_alone) {
  for (const DeviceState state :
       {DeviceState::succeeded, DeviceState::in_progress, DeviceState::failed, DeviceState::canceled})
    EXPECT_EQ(decide(on_it(state)), Do::nothing) << device_state_name(state);
}

TEST(Planner, an_unhealthy_device_is_offered_nothing) {
  EXPECT_EQ(decide(facts(false, std::nullopt, std::nullopt, std::nullopt)), Do::nothing);
  EXPECT_EQ(decide(facts(false, 1, std::nullopt, std::nullopt)), Do::nothing);
}

TEST(Planner, only_failed_devices_are_retried_and_only_when_asked) {
  for (const DeviceState state :
       {DeviceState::succeeded, DeviceState::in_progress, DeviceState::failed, DeviceState::canceled}) {
    auto asked = on_it(state);
    asked.ask = Ask::retry_failed;
    EXPECT_EQ(decide(asked), state == DeviceState::failed ? Do::retry : Do::nothing) << device_state_name(state);
    asked.ask = Ask::retry;
    const bool is_retried = state == DeviceState::failed || state == DeviceState::canceled;
    EXPECT_EQ(decide(asked), is_retried ? Do::retry : Do::nothing) << device_state_name(state) << " by its name";
  }
}

TEST(Planner, a_cancel_reaches_only_devices_in_progress) {
  for (const DeviceState state :
       {DeviceState::succeeded, DeviceState::in_progress, DeviceState::failed, DeviceState::canceled})
    EXPECT_EQ(decide(on_other(state, State::canceled, std::nullopt)),
              state == DeviceState::in_progress ? Do::cancel : Do::nothing)
        << device_state_name(state);
}

TEST(Planner, a_device_is_cancelled_by_name_only_while_it_works) {
  for (const DeviceState state :
       {DeviceState::succeeded, DeviceState::in_progress, DeviceState::failed, DeviceState::canceled}) {
    auto asked = on_it(state);
    asked.ask = Ask::cancel;
    EXPECT_EQ(decide(asked), state == DeviceState::in_progress ? Do::cancel : Do::nothing) << device_state_name(state);
  }
}

TEST(Planner, the_cancel_of_a_deployment_withdraws_failed_goals_too_because_agents_start_again_on_them) {
  for (const DeviceState state : {DeviceState::succeeded, DeviceState::failed, DeviceState::canceled}) {
    auto asked = on_other(state, State::canceled, std::nullopt);
    asked.ask = Ask::withdraw;
    EXPECT_EQ(decide(asked), state == DeviceState::failed ? Do::cancel : Do::nothing) << device_state_name(state);
  }
  auto of_active = on_other(DeviceState::failed, State::active, std::nullopt);
  of_active.ask = Ask::withdraw;
  EXPECT_EQ(decide(of_active), Do::nothing);
}

TEST(Planner, patience_ends_with_silence_and_in_any_case_after_the_whole_time) {
  const Deadlines deadlines{.silence = Duration(100), .total = Duration(1'000)};
  const auto at = [](std::int64_t ms) { return from_unix_ms(ms); };
  struct Case {
    std::int64_t last_word, now;
    Patience patience;
    std::int64_t look_again;
  };
  for (const Case& c : {Case{0, 5'099, Patience::wait, 5'100}, Case{0, 5'100, Patience::silent, 0},
                        Case{5'050, 5'149, Patience::wait, 5'150}, Case{5'050, 5'150, Patience::silent, 0},
                        Case{5'950, 5'999, Patience::wait, 6'000}, Case{5'950, 6'000, Patience::too_long, 0},
                        Case{5'999, 9'000, Patience::too_long, 0}}) {
    const Judgement judgement = judge(at(5'000), at(c.last_word), at(c.now), deadlines);
    EXPECT_EQ(judgement.patience, c.patience) << c.last_word << " " << c.now;
    if (c.patience != Patience::wait) continue;
    EXPECT_EQ(judgement.look_again, at(c.look_again)) << c.now;
  }
}

TEST(Planner, a_device_that_left_its_subgroup_finishes_what_it_began) {
  EXPECT_EQ(decide(on_other(DeviceState::in_progress, State::active, std::nullopt)), Do::nothing);
  EXPECT_EQ(decide(on_other(DeviceState::in_progress, State::inactive, std::nullopt)), Do::nothing);
}

TEST(Planner, urls_are_renewed_in_their_last_quarter_while_the_device_works) {
  const Duration quarter = kLifetime / 4;
  EXPECT_EQ(decide(on_it(DeviceState::in_progress, State::active, false, quarter - Duration(1))), Do::refresh_urls);
  EXPECT_EQ(decide(on_it(DeviceState::in_progress, State::active, false, quarter)), Do::nothing);
  EXPECT_EQ(decide(on_it(DeviceState::in_progress, State::active, false, Duration(-1))), Do::refresh_urls);
  EXPECT_EQ(decide(on_it(DeviceState::succeeded, State::active, false, Duration(0))), Do::nothing);
  EXPECT_EQ(decide(on_other(DeviceState::in_progress, State::inactive, std::nullopt, Duration(0))), Do::refresh_urls);
}

TEST(Planner, a_rollback_needs_both_the_percentage_and_the_count) {
  const store::RollbackPolicy policy{
      .update = UpdateId::parse("a", "b", "1.0").value(), .failed_percentage = 50, .failed_count = 3};
  EXPECT_FALSE(must_roll_back(policy, 2, 2)) << "count not reached";
  EXPECT_FALSE(must_roll_back(policy, 3, 7)) << "percentage not reached";
  EXPECT_TRUE(must_roll_back(policy, 3, 6));
  EXPECT_TRUE(must_roll_back(policy, 3, 3));
  EXPECT_FALSE(must_roll_back(policy, 0, 0));
}

}  // namespace godwit::service
