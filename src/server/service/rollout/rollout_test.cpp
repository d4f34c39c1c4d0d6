// Deployments over the real store: devices are twins that the test moves, the hub is the bench.
#include "server/service/rollout/rollout.hpp"

#include "server/service/rollout/rollout_bench.hpp"

namespace godwit::service {
namespace {

/// Two toasters in group "plant", update 1.0 imported.
struct Rollouts : testing::Test {
  Rollouts() {
    bench.import(update_id("1.0"));
    bench.import(update_id("1.1"));
    first = bench.add_device("dev-1", "plant");
    second = bench.add_device("dev-2", "plant");
  }
  RolloutBench bench;
  DeviceId first = device_id("-");
  DeviceId second = device_id("-");
};

}  // namespace

TEST_F(Rollouts, a_deployment_writes_the_whole_goal_into_each_twin) {
  const auto created = bench.deploy("d1", update_id("1.0"));
  ASSERT_TRUE(created) << created.error().message;
  const auto goal = bench.goal(first);
  EXPECT_EQ(goal.action, twin::Action::process_deployment);
  EXPECT_EQ(goal.manifest, "manifest of Contoso/Toaster/1.0");
  EXPECT_EQ(goal.manifest_signature, "s");
  EXPECT_EQ(goal.root_key_package_url, "https://host:8443/rootkeys/rootkeypackage-1.json");
  EXPECT_TRUE(goal.file_urls.at("f1").starts_with("https://host:8443/download/")) << goal.file_urls.at("f1");
  EXPECT_NE(goal.workflow_id, bench.goal(second).workflow_id);
  EXPECT_EQ(bench.state_of(first, "d1"), "InProgress");
}

TEST_F(Rollouts, reports_move_devices_to_their_ends_and_the_fleet_follows) {
  ASSERT_TRUE(bench.deploy("d1", update_id("1.0")));
  bench.begin(first);
  bench.succeed(first, update_id("1.0"));
  bench.begin(second);
  bench.break_down(second, erc::hash_mismatch);
  EXPECT_EQ(bench.state_of(first, "d1"), "Succeeded");
  EXPECT_EQ(bench.state_of(second, "d1"), "Failed");
  const auto device = bench.inventory.describe_device(first).value();
  EXPECT_EQ(device.at("deploymentStatus").as_string(), "Succeeded");
  EXPECT_EQ(device.at("lastDeploymentId").as_string(), "d1");
  EXPECT_EQ(device.at("installedUpdate").at("updateId").at("version").as_string(), "1.0");
  EXPECT_EQ(device.at("lastInstallResult").at("resultCode").as_int64(), 700);
}

TEST_F(Rollouts, the_same_wish_again_is_fine_and_another_under_its_id_is_a_conflict) {
  ASSERT_TRUE(bench.deploy("d1", update_id("1.0")));
  const int sent = bench.goals_sent;
  EXPECT_TRUE(bench.deploy("d1", update_id("1.0")));
  EXPECT_EQ(bench.goals_sent, sent) << "nobody is told twice";
  EXPECT_EQ(bench.deploy("d1", update_id("1.1")).error().code, Code::conflict);
  EXPECT_EQ(bench.deploy("d1", update_id("1.0"), "plant", std::chrono::hours(1)).error().code, Code::conflict);
}

TEST_F(Rollouts, a_wish_that_cannot_be_met_is_refused_with_the_reason) {
  bench.import(update_id("9.0", "Part"), "Toaster", false);
  bench.import(update_id("1.0", "Kettle"), "Kettle");
  EXPECT_EQ(bench.deploy("d", update_id("1.0"), "nowhere").error().code, Code::not_found);
  EXPECT_EQ(bench.deploy("d", update_id("7.7")).error().message, "update Contoso/Toaster/7.7 has not been imported");
  EXPECT_NE(bench.deploy("d", update_id("9.0", "Part")).error().message.find("not deployable"), std::string::npos);
  EXPECT_EQ(bench.deploy("d", update_id("1.0", "Kettle")).error().code, Code::incompatible);
  const auto policy = [](int percentage, int count) {
    return store::RollbackPolicy{.update = update_id("1.0"), .failed_percentage = percentage, .failed_count = count};
  };
  for (const auto& wrong : {policy(0, 1), policy(101, 1), policy(50, 0)})
    EXPECT_EQ(bench.deploy("d", update_id("1.1"), "plant", {}, wrong).error().code, Code::invalid_argument);
  EXPECT_EQ(bench.deploy("d", update_id("1.0"), "plant", {}, policy(1, 1)).error().code, Code::invalid_argument)
      << "rolls back to itself";
  EXPECT_EQ(bench.rollout.describe(group_id("plant"), deployment_id("d"), std::nullopt).error().code, Code::not_found)
      << "nothing was stored";
}

TEST_F(Rollouts, a_newer_deployment_overtakes_and_late_reports_change_nothing) {
  ASSERT_TRUE(bench.deploy("d1", update_id("1.0")));
  bench.succeed(first, update_id("1.0"));
  bench.begin(second);
  const auto old_report = bench.report_on_goal(second, AgentState::failed, result::failure);
  bench.clock.advance(std::chrono::seconds(1));
  ASSERT_TRUE(bench.deploy("d2", update_id("1.1")));
  EXPECT_EQ(bench.deployment_state("d1"), "Inactive");
  EXPECT_EQ(bench.deployment_state("d2"), "Active");
  EXPECT_TRUE(bench.row_of(second, "d1").at("movedOnToNewDeployment").as_bool());
  EXPECT_TRUE(bench.row_of(first, "d1").at("movedOnToNewDeployment").as_bool());
  EXPECT_EQ(bench.state_of(first, "d1"), "Succeeded");
  EXPECT_EQ(bench.state_of(second, "d1"), "Canceled") << "nobody will report how it ended";
  bench.patch(second, twin::report_patch(old_report));
  EXPECT_EQ(bench.state_of(second, "d1"), "Canceled");
  EXPECT_EQ(bench.state_of(second, "d2"), "InProgress");
  bench.succeed(second, update_id("1.1"));
  EXPECT_EQ(bench.state_of(second, "d2"), "Succeeded");
}

TEST_F(Rollouts, a_finished_device_never_goes_back_to_in_progress_by_a_report) {
  ASSERT_TRUE(bench.deploy("d1", update_id("1.0")));
  bench.succeed(first, update_id("1.0"));
  bench.begin(first);  // an agent that runs the same goal again after its token was renewed
  EXPECT_EQ(bench.state_of(first, "d1"), "Succeeded");
  bench.break_down(second);
  bench.begin(second);
  bench.break_down(second);
  EXPECT_EQ(bench.state_of(second, "d1"), "Failed");
  EXPECT_EQ(bench.row_of(second, "d1").at("godwit").at("rounds").as_int64(), 1);
}

TEST_F(Rollouts, cancel_withdraws_unfinished_goals_and_keeps_what_has_ended) {
  ASSERT_TRUE(bench.deploy("d1", update_id("1.0")));
  bench.succeed(first, update_id("1.0"));
  const auto workflow = bench.goal(second).workflow_id;
  const auto canceled = bench.rollout.cancel(group_id("plant"), deployment_id("d1"), toaster_class(), "ann");
  ASSERT_TRUE(canceled) << canceled.error().message;
  EXPECT_TRUE(canceled->at("isCanceled").as_bool());
  EXPECT_EQ(bench.goal(second).action, twin::Action::cancel);
  EXPECT_EQ(bench.goal(second).workflow_id, workflow);
  EXPECT_EQ(bench.goal(first).action, twin::Action::process_deployment);
  EXPECT_EQ(bench.state_of(first, "d1"), "Succeeded");
  EXPECT_EQ(bench.state_of(second, "d1"), "Canceled");
  EXPECT_EQ(bench.deployment_state("d1"), "Canceled");
  bench.give_up(second);
  EXPECT_EQ(bench.state_of(second, "d1"), "Canceled");
  EXPECT_TRUE(bench.rollout.cancel(group_id("plant"), deployment_id("d1"), std::nullopt, "ann"))
      << "again changes nothing";
  bench.add_device("dev-3", "plant");
  EXPECT_EQ(bench.state_of(device_id("dev-3"), "d1"), "none") << "a cancelled deployment never becomes active";
}

TEST_F(Rollouts, retry_asks_failed_devices_again_with_a_stamp) {
  ASSERT_TRUE(bench.deploy("d1", update_id("1.0")));
  bench.succeed(first, update_id("1.0"));
  const auto workflow = bench.goal(second).workflow_id;
  const auto first_failure = bench.report_on_goal(second, AgentState::failed, result::failure);
  bench.break_down(second);
  const auto retried = bench.rollout.retry(group_id("plant"), deployment_id("d1"), toaster_class(), "ann");
  ASSERT_TRUE(retried) << retried.error().message;
  EXPECT_TRUE(retried->at("isRetried").as_bool());
  EXPECT_EQ(bench.state_of(second, "d1"), "InProgress");
  EXPECT_EQ(bench.row_of(second, "d1").at("retryCount").as_int64(), 1);
  EXPECT_EQ(bench.goal(second).workflow_id, workflow);
  const std::string stamp = bench.goal(second).retry_timestamp;
  EXPECT_NE(stamp, "");
  EXPECT_EQ(bench.goal(first).retry_timestamp, "") << "only failed devices";
  bench.patch(second, twin::report_patch(first_failure));
  EXPECT_EQ(bench.state_of(second, "d1"), "InProgress") << "the failure of the first try came late";
  bench.break_down(second);
  ASSERT_TRUE(bench.rollout.retry(group_id("plant"), deployment_id("d1"), std::nullopt, "ann"));
  EXPECT_NE(bench.goal(second).retry_timestamp, stamp) << "two retries within a millisecond differ";
  bench.succeed(second, update_id("1.0"));
  EXPECT_EQ(bench.state_of(second, "d1"), "Succeeded");
  ASSERT_TRUE(bench.rollout.cancel(group_id("plant"), deployment_id("d1"), std::nullopt, "ann"));
  EXPECT_EQ(bench.rollout.retry(group_id("plant"), deployment_id("d1"), std::nullopt, "ann").error().code,
            Code::conflict);
}

TEST_F(Rollouts, a_future_deployment_waits_and_supersedes_only_when_it_starts) {
  ASSERT_TRUE(bench.deploy("now", update_id("1.0")));
  ASSERT_TRUE(bench.deploy("later", update_id("1.1"), "plant", std::chrono::hours(1)));
  EXPECT_EQ(bench.deployment_state("later"), "Active");
  EXPECT_EQ(bench.deployment_state("now"), "Active");
  EXPECT_EQ(bench.state_of(first, "later"), "none");
  const auto waiting =
      bench.rollout.status(group_id("plant"), deployment_id("later")).value().at("subgroupStatus").at(0);
  EXPECT_EQ(waiting.at("totalDevices").as_uint64(), 2U);
  EXPECT_EQ(waiting.at("devicesInProgressCount").as_uint64(), 0U);
  bench.clock.advance(std::chrono::minutes(59));
  ASSERT_TRUE(bench.rollout.tick());
  EXPECT_EQ(bench.state_of(first, "later"), "none");
  bench.clock.advance(std::chrono::minutes(1));
  ASSERT_TRUE(bench.rollout.tick());
  EXPECT_EQ(bench.state_of(first, "later"), "InProgress");
  EXPECT_EQ(bench.deployment_state("now"), "Inactive");
}

TEST_F(Rollouts, devices_that_come_later_get_it_also_of_a_class_that_is_new_in_the_group) {
  store::UpdateRecord both;
  both.summary = {.id = update_id("3.0", "Both"), .compatibility = {{{"model", "Toaster"}}, {{"model", "Kettle"}}}};
  both.import_manifest = "{}";
  both.etag = "e";
  bench.expect(bench.store->write([&](store::Records& records) {
    return records.catalog().insert_update(both, {{5, {.manifest = "m", .signature = "s"}}});
  }));
  ASSERT_TRUE(bench.deploy("d1", both.summary.id));
  const auto third = bench.add_device("dev-3", "plant");
  EXPECT_EQ(bench.state_of(third, "d1"), "InProgress");
  const auto kettle = bench.add_device("dev-4", "plant", "Kettle");
  EXPECT_EQ(bench.state_of(kettle, "d1"), "InProgress");
  EXPECT_EQ(bench.rollout.describe(group_id("plant"), deployment_id("d1"), std::nullopt)
                .value()
                .at("deviceClassSubgroups")
                .as_array()
                .size(),
            2U);
}

TEST_F(Rollouts, a_device_that_leaves_finishes_and_one_that_returns_is_offered_again) {
  bench.add_device("dev-9", "hall");
  ASSERT_TRUE(bench.deploy("d1", update_id("1.0")));
  const auto workflow = bench.goal(first).workflow_id;
  bench.tag(first, "hall");
  EXPECT_EQ(bench.goal(first).workflow_id, workflow) << "no deployment wants it there";
  bench.succeed(first, update_id("1.0"));
  EXPECT_EQ(bench.state_of(first, "d1"), "Succeeded");
  ASSERT_TRUE(bench.deploy("hall-1", update_id("1.1"), "hall"));
  EXPECT_EQ(bench.state_of(first, "hall-1", "hall"), "InProgress");
  bench.tag(first, "plant");
  EXPECT_EQ(bench.state_of(first, "d1"), "InProgress");
  EXPECT_NE(bench.goal(first).workflow_id, workflow) << "the agent would take the old id for done";
  EXPECT_EQ(bench.state_of(first, "hall-1", "hall"), "Canceled");
}

TEST_F(Rollouts, a_device_whose_twin_refuses_the_goal_has_failed_with_the_reason) {
  bench.refusal = {"dev-1", Code::too_large};
  ASSERT_TRUE(bench.deploy("d1", update_id("1.0")));
  EXPECT_EQ(bench.state_of(first, "d1"), "Failed");
  EXPECT_NE(std::string(bench.row_of(first, "d1").at("godwit").at("resultDetails").as_string()).find("the hub says no"),
            std::string::npos);
  EXPECT_EQ(bench.state_of(second, "d1"), "InProgress");
  bench.refusal = {"dev-2", Code::database_failed};
  EXPECT_EQ(bench.deploy("d2", update_id("1.1")).error().code, Code::database_failed)
      << "a failure of the store is not the device's";
  EXPECT_EQ(bench.deployment_state("d1"), "Active") << "and everything is rolled back";
}

TEST_F(Rollouts, urls_are_renewed_before_they_end_under_the_same_workflow) {
  ASSERT_TRUE(bench.deploy("d1", update_id("1.0")));
  bench.succeed(second, update_id("1.0"));
  const auto before = bench.goal(first);
  bench.clock.advance(std::chrono::hours(3));
  ASSERT_TRUE(bench.rollout.tick());
  EXPECT_EQ(bench.goal(first), before) << "a quarter is left";
  bench.clock.advance(Duration(1));
  const int sent = bench.goals_sent;
  ASSERT_TRUE(bench.rollout.tick());
  EXPECT_EQ(bench.goals_sent, sent + 1) << "only the device that still works";
  EXPECT_NE(bench.goal(first).file_urls, before.file_urls);
  EXPECT_EQ(bench.goal(first).workflow_id, before.workflow_id);
}

TEST_F(Rollouts, enough_failures_roll_the_whole_group_back) {
  bench.add_device("dev-3", "plant");
  ASSERT_TRUE(
      bench.deploy("d1", update_id("1.1"), "plant", {},
                   store::RollbackPolicy{.update = update_id("1.0"), .failed_percentage = 50, .failed_count = 2}));
  bench.succeed(first, update_id("1.1"));
  bench.break_down(second);
  EXPECT_EQ(bench.deployment_state("d1"), "Active");
  bench.break_down(device_id("dev-3"));
  EXPECT_EQ(bench.deployment_state("d1"), "Inactive");
  const auto all = bench.rollout.list(group_id("plant"), std::nullopt, {}, "").value().values;
  ASSERT_EQ(all.size(), 2U);
  const auto& rollback = all.at(1).as_object();
  EXPECT_TRUE(rollback.at("isCloudInitiatedRollback").as_bool());
  const std::string id(rollback.at("deploymentId").as_string());
  for (const char* device : {"dev-1", "dev-2", "dev-3"})
    EXPECT_EQ(bench.state_of(device_id(device), id), "InProgress") << device;
}

TEST_F(Rollouts, delete_needs_a_cancel_and_then_leaves_nothing) {
  ASSERT_TRUE(bench.deploy("d1", update_id("1.0")));
  EXPECT_EQ(bench.rollout.remove(group_id("plant"), deployment_id("d1"), std::nullopt, "ann").error().code,
            Code::conflict);
  ASSERT_TRUE(bench.rollout.cancel(group_id("plant"), deployment_id("d1"), std::nullopt, "ann"));
  ASSERT_TRUE(bench.rollout.remove(group_id("plant"), deployment_id("d1"), std::nullopt, "ann"));
  EXPECT_EQ(bench.deployment_state("d1").substr(0, 5), "group");
  EXPECT_EQ(bench.rollout.describe(group_id("plant"), deployment_id("d1"), std::nullopt).error().code, Code::not_found);
  EXPECT_EQ(bench.inventory.describe_device(first).value().at("lastDeploymentId").as_string(), "d1")
      << "history stays on the device";
}

TEST_F(Rollouts, an_update_is_in_use_while_a_live_deployment_wants_it) {
  const auto is_used = [&](const UpdateId& id) {
    bool is_used_now = false;
    bench.expect(bench.store->read([&](store::Records& records) -> Result<void> {
      GODWIT_TRY(is_used_now, Rollout::is_update_in_use(records, id));
      return {};
    }));
    return is_used_now;
  };
  ASSERT_TRUE(
      bench.deploy("d1", update_id("1.1"), "plant", std::chrono::hours(1),
                   store::RollbackPolicy{.update = update_id("1.0"), .failed_percentage = 50, .failed_count = 2}));
  EXPECT_TRUE(is_used(update_id("1.1")));
  EXPECT_TRUE(is_used(update_id("1.0"))) << "as the target of a rollback";
  ASSERT_TRUE(bench.rollout.cancel(group_id("plant"), deployment_id("d1"), std::nullopt, "ann"));
  EXPECT_FALSE(is_used(update_id("1.1")));
}

TEST(Rollout, a_big_group_is_swept_in_chunks_that_a_restart_continues) {
  RolloutBench bench(3);
  bench.import(update_id("1.0"));
  for (int i = 0; i < 10; ++i) bench.add_device("dev-" + std::to_string(i), "plant");
  ASSERT_TRUE(bench.deploy("d1", update_id("1.0")));
  EXPECT_EQ(bench.goals_sent, 3) << "the first chunk is the request's own";
  EXPECT_EQ(bench.rollout.retry(group_id("plant"), deployment_id("d1"), std::nullopt, "ann").error().code,
            Code::conflict)
      << "not before the sweep has ended";
  Rollout restarted(*bench.store, bench.clock, bench.log, bench.catalog, bench.inventory, bench.urls,
                    [&](store::Records& records, const IdentityId& id, const json::Object& patch) {
                      return bench.set_desired(records, id, patch);
                    },
                    {.limits = {.chunk = 3}});
  ASSERT_TRUE(restarted.tick());
  EXPECT_EQ(bench.goals_sent, 10);
  ASSERT_TRUE(restarted.tick());
  EXPECT_EQ(bench.goals_sent, 10);
  for (int i = 0; i < 10; ++i) bench.break_down(device_id("dev-" + std::to_string(i)));
  ASSERT_TRUE(restarted.retry(group_id("plant"), deployment_id("d1"), std::nullopt, "ann"));
  ASSERT_TRUE(restarted.tick());
  EXPECT_EQ(bench.goals_sent, 20);
  ASSERT_TRUE(restarted.cancel(group_id("plant"), deployment_id("d1"), std::nullopt, "ann"));
  EXPECT_EQ(restarted.remove(group_id("plant"), deployment_id("d1"), std::nullopt, "ann").error().code, Code::conflict)
      << "its cancel is on the way";
  ASSERT_TRUE(restarted.tick());
  EXPECT_EQ(bench.goals_sent, 30);
  EXPECT_TRUE(restarted.remove(group_id("plant"), deployment_id("d1"), std::nullopt, "ann"));
}

TEST(Rollout, the_planners_thread_starts_a_deployment_when_it_is_woken_and_stops_when_told) {
  RolloutBench bench(1);
  bench.import(update_id("1.0"));
  for (int i = 0; i < 5; ++i) bench.add_device("dev-" + std::to_string(i), "plant");
  bench.rollout.start();
  ASSERT_TRUE(bench.deploy("d1", update_id("1.0")));
  for (int i = 0; i < 500 && bench.state_of(device_id("dev-4"), "d1") != "InProgress"; ++i)
    std::this_thread::sleep_for(Duration(10));
  EXPECT_EQ(bench.state_of(device_id("dev-4"), "d1"), "InProgress");
  bench.rollout.stop();
}

}  // namespace godwit::service
