#include "server/store/sqlite/rollout.hpp"

#include "server/store/testing.hpp"

namespace godwit::store {
namespace {

using State = SubgroupDeploymentState;

DeviceId device_id(std::string_view text) { return DeviceId::parse(text).value(); }
GroupId group_id(std::string_view text) { return GroupId::parse(text).value(); }
DeviceClassId class_id(char digit) { return DeviceClassId::parse(std::string(40, digit)).value(); }
UpdateId update_id(std::string_view version) { return UpdateId::parse("Contoso", "Toaster", version).value(); }

DeploymentRecord deployment(std::string_view id, std::int64_t start = 10, std::string_view group = "plant") {
  return {.group = group_id(group),
          .id = DeploymentId::parse(id).value(),
          .update = update_id("1.0"),
          .start = from_unix_ms(start),
          .created = from_unix_ms(1)};
}
SubgroupDeployment subgroup(std::int64_t number, State state, char of_class = 'a', std::int64_t start = 10) {
  return {.deployment = number,
          .group = group_id("plant"),
          .class_id = class_id(of_class),
          .state = state,
          .start = from_unix_ms(start)};
}
DeploymentDevice row(std::int64_t number, std::string_view device, DeviceState state, std::int64_t urls_end = 100) {
  return {.deployment = number,
          .device = device_id(device),
          .group = group_id("plant"),
          .class_id = class_id('a'),
          .workflow_id = "w-" + std::string(device) + std::to_string(number),
          .state = state,
          .urls_expire_at = from_unix_ms(urls_end),
          .created = from_unix_ms(1),
          .updated = from_unix_ms(1)};
}

}  // namespace

TEST(RolloutRecords, deployments_are_found_by_group_and_id_and_listed_in_order) {
  TestStore test;
  ASSERT_TRUE(test.store->write([](Records& records) -> Result<void> {
    RolloutRecords& rollout = records.rollout();
    auto full = deployment("late", 30);
    full.rollback = RollbackPolicy{.update = update_id("0.9"), .failed_percentage = 20, .failed_count = 2};
    full.is_rollback = true;
    GODWIT_TRY(const auto late, rollout.insert_deployment(full));
    GODWIT_TRY(const auto early, rollout.insert_deployment(deployment("early", 20)));
    EXPECT_LT(late, early);
    EXPECT_EQ(rollout.insert_deployment(deployment("late")).error().code, Code::conflict);
    EXPECT_TRUE(rollout.insert_deployment(deployment("late", 1, "hall"))) << "the id is the group's own";
    const auto found = rollout.find_deployment(group_id("plant"), full.id).value();
    EXPECT_EQ(found->number, late);
    EXPECT_EQ(found->rollback, full.rollback);
    EXPECT_TRUE(found->is_rollback);
    EXPECT_EQ(rollout.find_deployment_by_number(early).value()->id.str(), "early");
    const auto names = [&rollout](RolloutRecords::ListOrder order, std::size_t offset = 0) {
      std::string joined;
      const auto listed = rollout.list_deployments(group_id("plant"), std::nullopt, order, offset, 10).value();
      for (const auto& one : listed) joined += one.id.str() + " ";
      return joined;
    };
    EXPECT_EQ(names({}), "late early ");
    EXPECT_EQ(names({.by_start = true}), "early late ");
    EXPECT_EQ(names({.by_start = true, .is_descending = true}, 1), "early ");
    EXPECT_EQ(rollout.count_deployments().value(), 3U);
    return {};
  }));
}

TEST(RolloutRecords, the_database_itself_refuses_a_second_active_deployment_of_a_subgroup) {
  TestStore test;
  const auto two_active = test.store->write([](Records& records) -> Result<void> {
    GODWIT_TRY_VOID(records.rollout().save_subgroup(subgroup(1, State::active)));
    return records.rollout().save_subgroup(subgroup(2, State::active));
  });
  ASSERT_FALSE(two_active);
  EXPECT_TRUE(test.store->write([](Records& records) -> Result<void> {
    GODWIT_TRY_VOID(records.rollout().save_subgroup(subgroup(1, State::active)));
    return records.rollout().save_subgroup(subgroup(2, State::active, 'b'));
  }));
}

TEST(RolloutRecords, due_live_and_sweeping_subgroups_are_found) {
  TestStore test;
  ASSERT_TRUE(test.store->write([](Records& records) -> Result<void> {
    RolloutRecords& rollout = records.rollout();
    GODWIT_TRY(const auto number, rollout.insert_deployment(deployment("d")));
    GODWIT_TRY_VOID(rollout.save_subgroup(subgroup(number, State::scheduled, 'a', 50)));
    auto active = subgroup(number, State::active, 'b', 5);
    active.sweep = Sweep::retry;
    active.sweep_after = "d7";
    active.retry_timestamp = "t";
    active.is_retried = true;
    GODWIT_TRY_VOID(rollout.save_subgroup(active));
    GODWIT_TRY_VOID(rollout.save_subgroup(subgroup(number, State::canceled, 'c', 1)));
    EXPECT_TRUE(rollout.list_due(from_unix_ms(49), 10).value().empty());
    EXPECT_EQ(rollout.list_due(from_unix_ms(50), 10).value().size(), 1U);
    EXPECT_EQ(rollout.list_live(group_id("plant"), std::nullopt).value().size(), 2U);
    EXPECT_EQ(rollout.count_live().value(), 1U);
    EXPECT_TRUE(rollout.is_update_in_use(update_id("1.0")).value());
    EXPECT_FALSE(rollout.is_update_in_use(update_id("1.1")).value());
    const auto sweeping = rollout.list_sweeping(10).value();
    EXPECT_EQ(sweeping.size(), 1U);
    EXPECT_EQ(sweeping.at(0).sweep, Sweep::retry);
    EXPECT_EQ(sweeping.at(0).sweep_after, "d7");
    EXPECT_EQ(sweeping.at(0).retry_timestamp, "t");
    EXPECT_TRUE(sweeping.at(0).is_retried);
    EXPECT_EQ(rollout.find_active(group_id("plant"), class_id('b')).value()->deployment, number);
    EXPECT_FALSE(rollout.find_active(group_id("plant"), class_id('a')).value());
    return {};
  }));
}

TEST(RolloutRecords, device_rows_come_back_and_counters_equal_a_recount) {
  TestStore test;
  ASSERT_TRUE(test.store->write([](Records& records) -> Result<void> {
    RolloutRecords& rollout = records.rollout();
    auto first = row(1, "d1", DeviceState::in_progress);
    first.heard = AgentState::failed;
    first.retry_count = 2;
    first.retry_timestamp = "t";
    first.moved_on = true;
    first.rounds = 3;
    first.result_json = "{}";
    GODWIT_TRY_VOID(rollout.save_device(first));
    GODWIT_TRY_VOID(rollout.save_device(row(1, "d2", DeviceState::in_progress)));
    GODWIT_TRY_VOID(rollout.save_device(row(2, "d1", DeviceState::failed)));
    EXPECT_EQ(rollout.find_device(1, first.device).value(), first);
    EXPECT_EQ(rollout.find_by_workflow(first.device, "w-d12").value()->deployment, 2);
    EXPECT_FALSE(rollout.find_by_workflow(device_id("d2"), "w-d12").value()) << "of another device";
    first.state = DeviceState::succeeded;
    first.class_id = class_id('b');
    GODWIT_TRY_VOID(rollout.save_device(first));
    EXPECT_EQ(rollout.all_counts().value(), rollout.recount().value());
    EXPECT_EQ(rollout.counts(1).value().size(), 2U);
    EXPECT_EQ(rollout.list_devices(1, {.state = DeviceState::in_progress}, "", 10).value().size(), 1U);
    EXPECT_EQ(rollout.list_devices(1, {}, "d1", 10).value().size(), 1U);
    GODWIT_TRY_VOID(rollout.remove_device(device_id("d1")));
    EXPECT_EQ(rollout.all_counts().value(), rollout.recount().value());
    EXPECT_EQ(rollout.all_counts().value().size(), 1U);
    return {};
  }));
}

TEST(RolloutRecords, only_urls_of_devices_in_progress_expire_soonest_first) {
  TestStore test;
  ASSERT_TRUE(test.store->write([](Records& records) -> Result<void> {
    RolloutRecords& rollout = records.rollout();
    GODWIT_TRY_VOID(rollout.save_device(row(1, "d1", DeviceState::in_progress, 30)));
    GODWIT_TRY_VOID(rollout.save_device(row(1, "d2", DeviceState::in_progress, 20)));
    GODWIT_TRY_VOID(rollout.save_device(row(1, "d3", DeviceState::succeeded, 10)));
    EXPECT_TRUE(rollout.list_expiring(from_unix_ms(20), 10).value().empty());
    const auto expiring = rollout.list_expiring(from_unix_ms(31), 10).value();
    EXPECT_EQ(expiring.size(), 2U);
    EXPECT_EQ(expiring.at(0).device.str(), "d2");
    GODWIT_TRY_VOID(rollout.end_urls());
    EXPECT_EQ(rollout.list_expiring(from_unix_ms(1), 10).value().size(), 2U);
    return {};
  }));
}

TEST(RolloutRecords, removal_takes_subgroups_devices_and_counters_along) {
  TestStore test;
  ASSERT_TRUE(test.store->write([](Records& records) -> Result<void> {
    RolloutRecords& rollout = records.rollout();
    GODWIT_TRY(const auto number, rollout.insert_deployment(deployment("d")));
    for (const char of_class : {'a', 'b'})
      GODWIT_TRY_VOID(rollout.save_subgroup(subgroup(number, State::canceled, of_class)));
    GODWIT_TRY_VOID(rollout.save_device(row(number, "d1", DeviceState::failed)));
    GODWIT_TRY_VOID(rollout.remove_subgroup(number, class_id('a')));
    EXPECT_EQ(rollout.list_subgroups(number).value().size(), 1U);
    EXPECT_FALSE(rollout.find_device(number, device_id("d1")).value());
    GODWIT_TRY_VOID(rollout.remove_deployment(number));
    EXPECT_FALSE(rollout.find_deployment_by_number(number).value());
    EXPECT_TRUE(rollout.list_subgroups(number).value().empty());
    EXPECT_TRUE(rollout.all_counts().value().empty());
    GODWIT_TRY(const auto next, rollout.insert_deployment(deployment("d")));
    EXPECT_GT(next, number) << "a number is never used twice";
    return {};
  }));
}

TEST(RolloutRecords, the_report_log_keeps_the_newest_of_each_device) {
  TestStore test;
  ASSERT_TRUE(test.store->write([](Records& records) -> Result<void> {
    RolloutRecords& rollout = records.rollout();
    GODWIT_TRY_VOID(
        rollout.append_report({.device = device_id("other"), .verdict = "foreign", .report_json = "{}"}, 3));
    for (int i = 1; i <= 5; ++i)
      GODWIT_TRY_VOID(rollout.append_report({.device = device_id("d"),
                                             .time = from_unix_ms(i),
                                             .workflow_id = std::to_string(i),
                                             .deployment = i,
                                             .verdict = "applied",
                                             .report_json = "{}"},
                                            3));
    const auto kept = rollout.list_reports(device_id("d"), 10).value();
    EXPECT_EQ(kept.size(), 3U);
    EXPECT_EQ(kept.front().workflow_id, "5");
    EXPECT_EQ(kept.back().workflow_id, "3");
    EXPECT_EQ(rollout.list_reports(device_id("other"), 10).value().size(), 1U);
    return {};
  }));
}

}  // namespace godwit::store
