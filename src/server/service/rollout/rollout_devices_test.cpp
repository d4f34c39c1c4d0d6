// One device of a deployment: its deadlines, its own cancel and retry, agents that are modules, agents that cannot read
// every manifest. The real store; the hub is the bench.
#include "server/service/rollout/rollout_bench.hpp"

namespace godwit::service {
namespace {

using std::chrono::hours;
constexpr Deadlines kDeadlines{.silence = hours(24), .total = hours(72)};

struct OneDevice : testing::Test {
  OneDevice() {
    bench.import(update_id("1.0"));
    bench.import(update_id("1.1"));
    first = bench.add_device("dev-1", "plant");
    second = bench.add_device("dev-2", "plant");
  }
  void pass(Duration time) {
    bench.clock.advance(time);
    bench.expect(bench.rollout.tick());
  }
  [[nodiscard]] std::string code_of(const IdentityId& id, std::string_view deployment) {
    return std::string(bench.row_of(id, deployment).at("godwit").at("extendedResultCode").as_string());
  }
  Result<json::Object> cancel(const IdentityId& id, std::string_view deployment = "d1") {
    return bench.rollout.cancel_device(group_id("plant"), deployment_id(deployment), id, "ann");
  }
  Result<json::Object> retry(const IdentityId& id, std::string_view deployment = "d1") {
    return bench.rollout.retry_device(group_id("plant"), deployment_id(deployment), id, "ann");
  }
  RolloutBench bench{200, kDeadlines};
  DeviceId first = device_id("-");
  DeviceId second = device_id("-");
};

}  // namespace

TEST_F(OneDevice, that_says_nothing_fails_with_a_sentence_and_may_still_succeed_late) {
  ASSERT_TRUE(bench.deploy("d1", update_id("1.0")));
  pass(hours(24) - Duration(1));
  EXPECT_EQ(bench.state_of(first, "d1"), "InProgress");
  pass(Duration(1));
  EXPECT_EQ(bench.state_of(first, "d1"), "Failed");
  EXPECT_EQ(code_of(first, "d1"), "E0000001");
  const std::string details(bench.row_of(first, "d1").at("godwit").at("resultDetails").as_string());
  EXPECT_NE(details.find("has said nothing about this update since"), std::string::npos) << details;
  EXPECT_EQ(bench.inventory.describe_device(first).value().at("deploymentStatus").as_string(), "Failed");
  bench.begin(first);
  EXPECT_EQ(bench.state_of(first, "d1"), "Failed") << "work alone brings nothing back";
  bench.succeed(first, update_id("1.0"));
  EXPECT_EQ(bench.state_of(first, "d1"), "Succeeded");
}

TEST_F(OneDevice, that_tells_of_its_work_has_time_but_not_for_ever) {
  ASSERT_TRUE(bench.deploy("d1", update_id("1.0")));
  pass(hours(20));
  bench.begin(first);
  pass(hours(20));
  EXPECT_EQ(bench.state_of(second, "d1"), "Failed");
  EXPECT_EQ(bench.state_of(first, "d1"), "InProgress") << "it began 20 hours ago";
  bench.patch(first, twin::progress_patch({.phase = "downloading", .done_bytes = 1, .total_bytes = 9}));
  pass(hours(20));
  EXPECT_EQ(bench.state_of(first, "d1"), "InProgress") << "progress is a word";
  bench.patch(first, json::Object{{"temperature", 21}});
  bench.identify(first, "Toaster");
  pass(hours(4));
  EXPECT_EQ(bench.state_of(first, "d1"), "Failed") << "other reports are none";
  EXPECT_EQ(code_of(first, "d1"), "E0000001");
  ASSERT_TRUE(retry(first));
  for (int i = 0; i < 7; ++i) {
    EXPECT_EQ(bench.state_of(first, "d1"), "InProgress") << i;
    pass(hours(10));
    bench.patch(first, twin::progress_patch({.phase = "downloading", .done_bytes = i, .total_bytes = 9}));
  }
  pass(hours(2));
  EXPECT_EQ(bench.state_of(first, "d1"), "Failed");
  EXPECT_EQ(code_of(first, "d1"), "E0000002") << "72 hours for one try";
}

TEST_F(OneDevice, that_is_given_up_counts_for_the_rollback) {
  ASSERT_TRUE(
      bench.deploy("d1", update_id("1.1"), "plant", {},
                   store::RollbackPolicy{.update = update_id("1.0"), .failed_percentage = 100, .failed_count = 2}));
  pass(hours(24));
  EXPECT_EQ(bench.deployment_state("d1"), "Inactive");
  EXPECT_EQ(bench.rollout.list(group_id("plant"), std::nullopt, {}, "").value().values.size(), 2U);
}

TEST_F(OneDevice, whose_twin_refuses_the_goal_counts_for_the_rollback_which_fires_once) {
  bench.refusal = {"dev-2", Code::too_large};
  ASSERT_TRUE(
      bench.deploy("d1", update_id("1.1"), "plant", {},
                   store::RollbackPolicy{.update = update_id("1.0"), .failed_percentage = 50, .failed_count = 1}));
  EXPECT_EQ(bench.deployment_state("d1"), "Inactive");
  EXPECT_EQ(bench.rollout.list(group_id("plant"), std::nullopt, {}, "").value().values.size(), 2U);
  EXPECT_EQ(bench.goal(first).manifest, "manifest of Contoso/Toaster/1.0");
}

TEST_F(OneDevice, of_a_class_that_the_rollback_does_not_fit_ends_the_whole_deployment_all_the_same_and_once) {
  store::UpdateRecord both;
  both.summary = {.id = update_id("3.0", "Both"), .compatibility = {{{"model", "Toaster"}}, {{"model", "Kettle"}}}};
  both.import_manifest = "{}";
  both.etag = "e";
  bench.expect(bench.store->write([&](store::Records& records) {
    return records.catalog().insert_update(both, {{5, {.whole_manifest = "m", .manifest = "m", .signature = "s"}}});
  }));
  const auto kettle = bench.add_device("kettle-1", "plant", "Kettle");
  const auto other = bench.add_device("kettle-2", "plant", "Kettle");
  ASSERT_TRUE(
      bench.deploy("d1", both.summary.id, "plant", {},
                   store::RollbackPolicy{.update = update_id("1.0"), .failed_percentage = 50, .failed_count = 1}));
  bench.break_down(kettle);
  EXPECT_EQ(bench.deployment_state("d1"), "Inactive");
  bench.break_down(other);
  bench.add_device("kettle-3", "plant", "Kettle");
  EXPECT_EQ(bench.state_of(device_id("kettle-3"), "d1"), "none") << "nobody else gets what failed";
  const auto all = bench.rollout.list(group_id("plant"), std::nullopt, {}, "").value().values;
  ASSERT_EQ(all.size(), 2U) << "one rollback";
  EXPECT_EQ(all.at(1).at("deviceClassSubgroups").as_array().size(), 1U);
  EXPECT_EQ(bench.goal(first).manifest, "manifest of Contoso/Toaster/1.0");
}

TEST_F(OneDevice, is_cancelled_alone_and_stays_so_until_it_is_asked_again) {
  ASSERT_TRUE(bench.deploy("d1", update_id("1.0")));
  const auto before = bench.goal(first);
  const auto canceled = cancel(first);
  ASSERT_TRUE(canceled) << canceled.error().message;
  EXPECT_EQ(canceled->at("deviceState").as_string(), "Canceled");
  EXPECT_EQ(bench.goal(first).action, twin::Action::cancel);
  EXPECT_EQ(bench.goal(first).workflow_id, before.workflow_id);
  EXPECT_EQ(bench.goal(second).action, twin::Action::process_deployment);
  EXPECT_EQ(bench.deployment_state("d1"), "Active");
  bench.give_up(first);
  bench.identify(first, "Toaster");
  pass(hours(1));
  EXPECT_EQ(bench.state_of(first, "d1"), "Canceled") << "the planner leaves it alone";
  const int sent = bench.goals_sent;
  ASSERT_TRUE(cancel(first)) << "again changes nothing";
  EXPECT_EQ(bench.goals_sent, sent);
  ASSERT_TRUE(bench.rollout.retry(group_id("plant"), deployment_id("d1"), std::nullopt, "ann"));
  EXPECT_EQ(bench.state_of(first, "d1"), "Canceled") << "the retry of a group is for what failed";
  const auto retried = retry(first);
  ASSERT_TRUE(retried) << retried.error().message;
  EXPECT_EQ(retried->at("retryCount").as_int64(), 1);
  EXPECT_EQ(bench.state_of(first, "d1"), "InProgress");
  EXPECT_EQ(bench.goal(first).workflow_id, before.workflow_id);
  EXPECT_NE(bench.goal(first).retry_timestamp, "");
  EXPECT_EQ(bench.goal(first).action, twin::Action::process_deployment);
}

TEST_F(OneDevice, is_retried_alone_with_a_stamp_that_no_try_had_before) {
  ASSERT_TRUE(bench.deploy("d1", update_id("1.0")));
  bench.break_down(first);
  bench.break_down(second);
  ASSERT_TRUE(bench.rollout.retry(group_id("plant"), deployment_id("d1"), std::nullopt, "ann"));
  const std::string stamp = bench.goal(first).retry_timestamp;
  bench.break_down(first);
  ASSERT_TRUE(retry(first));
  EXPECT_GT(bench.goal(first).retry_timestamp, stamp) << "within the same millisecond";
  EXPECT_EQ(bench.goal(second).retry_timestamp, stamp);
  bench.break_down(first);
  ASSERT_TRUE(bench.rollout.retry(group_id("plant"), deployment_id("d1"), std::nullopt, "ann"));
  EXPECT_EQ(bench.state_of(first, "d1"), "InProgress");
}

TEST_F(OneDevice, is_refused_what_makes_no_sense_for_it) {
  ASSERT_TRUE(bench.deploy("d1", update_id("1.0")));
  EXPECT_EQ(cancel(device_id("nobody")).error().code, Code::not_found);
  EXPECT_EQ(cancel(first, "d9").error().code, Code::not_found);
  EXPECT_EQ(retry(first).error().code, Code::conflict) << "it works";
  bench.succeed(first, update_id("1.0"));
  EXPECT_EQ(cancel(first).error().code, Code::conflict);
  EXPECT_EQ(retry(first).error().code, Code::conflict);
  bench.break_down(second);
  ASSERT_TRUE(bench.deploy("d2", update_id("1.1")));
  EXPECT_NE(cancel(second).error().message.find("has moved on from deployment 'd1' to 'd2'"), std::string::npos);
  EXPECT_EQ(retry(second).error().code, Code::conflict);
  bench.break_down(second);
  ASSERT_TRUE(bench.deploy("hall-1", update_id("1.0"), "plant", hours(9)));
  ASSERT_TRUE(bench.rollout.cancel(group_id("plant"), deployment_id("d2"), std::nullopt, "ann"));
  EXPECT_NE(retry(second, "d2").error().message.find("is not active"), std::string::npos);
}

TEST_F(OneDevice, that_failed_has_its_goal_withdrawn_when_the_deployment_is_cancelled) {
  ASSERT_TRUE(bench.deploy("d1", update_id("1.0")));
  bench.break_down(first);
  bench.succeed(second, update_id("1.0"));
  ASSERT_TRUE(bench.rollout.cancel(group_id("plant"), deployment_id("d1"), std::nullopt, "ann"));
  EXPECT_EQ(bench.goal(first).action, twin::Action::cancel) << "its agent would start again when it reconnects";
  EXPECT_EQ(bench.goal(second).action, twin::Action::process_deployment);
  bench.give_up(first);
  EXPECT_EQ(bench.state_of(first, "d1"), "Failed");
}

TEST_F(OneDevice, can_be_a_module_with_a_group_of_its_own) {
  const IdentityId agent = bench.add_module(first, "IoTHubDeviceUpdate", "plant");
  const IdentityId other(first, ModuleId::parse("$edgeHub").value());
  bench.add_identity(other);
  bench.patch(other, json::Object{{"clients", 3}});
  EXPECT_EQ(bench.inventory.list_devices({.group = group_id("plant")}, "").value().values.size(), 3U)
      << "a module that is no update agent is none of ours";
  const auto shown = bench.inventory.describe_device(agent).value();
  EXPECT_EQ(shown.at("deviceId").as_string(), "dev-1");
  EXPECT_EQ(shown.at("moduleId").as_string(), "IoTHubDeviceUpdate");
  ASSERT_TRUE(bench.deploy("d1", update_id("1.0")));
  EXPECT_NE(bench.goal(agent).workflow_id, bench.goal(first).workflow_id);
  bench.succeed(agent, update_id("1.0"));
  bench.break_down(first);
  EXPECT_EQ(bench.state_of(agent, "d1"), "Succeeded");
  const auto page = bench.rollout.device_states(group_id("plant"), deployment_id("d1"), {.device = first}, "").value();
  ASSERT_EQ(page.values.size(), 2U) << "a device with its modules";
  EXPECT_EQ(page.values.at(1).at("moduleId").as_string(), "IoTHubDeviceUpdate");
  ASSERT_TRUE(retry(first));
  EXPECT_EQ(bench.state_of(first, "d1"), "InProgress");
  bench.remove_device(agent);
  EXPECT_EQ(bench.inventory.describe_device(agent).error().code, Code::not_found);
  EXPECT_EQ(bench.state_of(first, "d1"), "InProgress");
}

TEST_F(OneDevice, is_found_again_by_a_sync_of_modules) {
  const IdentityId agent = bench.add_module(first, "updater");
  bench.expect(bench.store->write([&](store::Records& records) -> Result<void> {
    GODWIT_TRY([[maybe_unused]] const bool was_there, records.fleet().remove_device(agent));
    GODWIT_TRY([[maybe_unused]] const bool was_there_too, records.fleet().remove_device(first));
    return {};
  }));
  ASSERT_TRUE(bench.inventory.start_sync("Modules", "ann"));
  ASSERT_TRUE(bench.rollout.tick());
  EXPECT_TRUE(bench.inventory.describe_device(agent));
  EXPECT_EQ(bench.inventory.describe_device(first).error().code, Code::not_found);
  ASSERT_TRUE(bench.inventory.start_sync("Devices", "ann"));
  ASSERT_TRUE(bench.rollout.tick());
  EXPECT_TRUE(bench.inventory.describe_device(first));
}

TEST_F(OneDevice, of_a_contract_model_that_cannot_fetch_manifests_refuses_a_large_one_at_creation) {
  bench.import(update_id("2.0"), "Kettle", true, RolloutBench::Manifest::detached);
  const auto kettle = bench.add_device("kettle", "kitchen", "Kettle");
  bench.identify(kettle, "Kettle", ContractModel::v2);
  bench.expect(bench.inventory.remove_subgroup(group_id("kitchen"), toaster_class("Kettle"),
                                               "ann"));  // it was of model 3 for a moment
  const auto refused = bench.deploy("d1", update_id("2.0"), "kitchen");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::incompatible);
  EXPECT_NE(refused.error().message.find("is too large for a twin, and the agents of device class"), std::string::npos)
      << refused.error().message;
  const auto capable = bench.add_device("kettle-3", "kitchen", "Kettle");
  ASSERT_TRUE(bench.deploy("d1", update_id("2.0"), "kitchen")) << "the other class can";
  EXPECT_EQ(bench.deployment_state("d1", "kitchen"), "ActiveWithSubgroupFailures");
  EXPECT_EQ(bench.state_of(capable, "d1", "kitchen"), "InProgress");
  EXPECT_EQ(bench.state_of(kettle, "d1", "kitchen"), "none");
}

TEST_F(OneDevice, with_the_reference_agent_fails_by_itself_on_a_manifest_that_the_agent_cannot_fetch) {
  bench.import(update_id("2.0"), "Toaster", true, RolloutBench::Manifest::detached);
  bench.identify(first, "Toaster", ContractModel::v3, "DU;agent/1.1.0");
  bench.identify(second, "Toaster", ContractModel::v3, "godwit-agent/0.1");
  ASSERT_TRUE(bench.deploy("d1", update_id("2.0")));
  EXPECT_EQ(bench.state_of(first, "d1"), "Failed");
  EXPECT_EQ(code_of(first, "d1"), "E0000004");
  EXPECT_EQ(bench.state_of(second, "d1"), "InProgress");
  ASSERT_TRUE(bench.deploy("d2", update_id("1.0")));
  EXPECT_EQ(bench.state_of(first, "d2"), "InProgress") << "small ones it can";
}

}  // namespace godwit::service
