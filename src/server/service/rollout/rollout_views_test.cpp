// What operators read: shapes, counts, reasons, over the real store.
#include "server/service/rollout/rollout_bench.hpp"

namespace godwit::service {
namespace {

std::string text(const json::Object& object, std::string_view key) { return std::string(object.at(key).as_string()); }

std::vector<std::string> ids(const FleetPage& page, std::string_view key) {
  std::vector<std::string> found;
  for (const auto& value : page.values) found.emplace_back(value.as_object().at(key).as_string());
  return found;
}

}  // namespace

TEST(Views, a_device_appears_when_it_tells_what_it_is_and_moves_with_tag_and_properties) {
  RolloutBench bench;
  const auto id = device_id("dev-1");
  bench.add_identity(id);
  EXPECT_EQ(bench.inventory.describe_device(id).error().code, Code::not_found);
  EXPECT_EQ(text(bench.inventory.list_health({.is_healthy = false}, "").value().values.at(0).as_object(), "deviceId"),
            "dev-1");
  bench.identify(id, "Toaster");
  auto device = bench.inventory.describe_device(id).value();
  EXPECT_EQ(text(device, "groupId"), "$default");
  EXPECT_EQ(text(device, "deviceClassId"), toaster_class().str());
  EXPECT_FALSE(device.contains("deploymentStatus")) << "absent, not null";
  bench.tag(id, "plant");
  bench.identify(id, "Kettle");
  device = bench.inventory.describe_device(id).value();
  EXPECT_EQ(text(device, "groupId"), "plant");
  EXPECT_EQ(text(device, "deviceClassId"), toaster_class("Kettle").str());
  EXPECT_EQ(bench.inventory.describe_group(group_id("$default")).value().at("deviceCount").as_uint64(), 0U);
  EXPECT_EQ(bench.inventory.describe_group(group_id("plant")).value().at("deviceCount").as_uint64(), 1U);
  bench.tag(id, "not a group");
  EXPECT_EQ(bench.inventory.describe_device(id).error().code, Code::not_found);
  const auto health = bench.inventory.list_health({.device = id}, "").value().values.at(0).as_object();
  EXPECT_EQ(text(health, "state"), "unhealthy");
  EXPECT_EQ(health.at("healthChecks").as_array().back().at("name").as_string(), "ADUGroup");
  EXPECT_EQ(health.at("healthChecks").as_array().back().at("result").as_string(), "userError");
  bench.remove_device(id);
  EXPECT_TRUE(bench.inventory.list_health({.device = id}, "").value().values.empty());
}

TEST(Views, compliance_moves_from_new_to_in_progress_to_latest_and_adds_up) {
  RolloutBench bench;
  bench.import(update_id("1.0"));
  bench.import(update_id("1.1"));
  bench.import(update_id("2.0", "Part"), "Toaster", false);
  const auto first = bench.add_device("dev-1", "plant");
  bench.add_device("dev-2", "plant");
  bench.add_device("dev-3", "", "Kettle");
  const auto counts = [&](const std::optional<GroupId>& group) {
    const auto object = bench.inventory.compliance(group, std::nullopt).value();
    return std::array<std::uint64_t, 4>{
        object.at("totalDeviceCount").as_uint64(), object.at("onLatestUpdateDeviceCount").as_uint64(),
        object.at("newUpdatesAvailableDeviceCount").as_uint64(), object.at("updatesInProgressDeviceCount").as_uint64()};
  };
  using Counts = std::array<std::uint64_t, 4>;
  EXPECT_EQ(counts(std::nullopt), (Counts{3, 1, 2, 0})) << "the kettle has no update that fits";
  ASSERT_TRUE(bench.deploy("old", update_id("1.0")));
  EXPECT_EQ(counts(group_id("plant")), (Counts{2, 0, 2, 0})) << "an older version is not progress";
  ASSERT_TRUE(bench.deploy("new", update_id("1.1")));
  EXPECT_EQ(counts(group_id("plant")), (Counts{2, 0, 0, 2}));
  bench.succeed(first, update_id("1.1"));
  EXPECT_EQ(counts(group_id("plant")), (Counts{2, 1, 0, 1}));
  EXPECT_TRUE(bench.inventory.describe_device(first).value().at("onLatestUpdate").as_bool());
  const auto best = bench.inventory.best_update(group_id("plant"), toaster_class()).value();
  EXPECT_EQ(best.at("update").at("updateId").at("version").as_string(), "1.1");
  EXPECT_EQ(best.at("deviceCount").as_uint64(), 1U);
  EXPECT_EQ(bench.inventory.best_updates(group_id("plant")).value().values.size(), 1U);
  bench.import(update_id("1.2"));
  EXPECT_EQ(counts(group_id("plant")), (Counts{2, 0, 2, 0})) << "a newer import counts at once";
}

TEST(Views, status_counts_devices_by_state_and_a_failure_is_explained) {
  RolloutBench bench;
  bench.import(update_id("1.0"));
  const auto first = bench.add_device("dev-1", "plant");
  const auto second = bench.add_device("dev-2", "plant");
  ASSERT_TRUE(bench.deploy("d1", update_id("1.0")));
  bench.succeed(first, update_id("1.0"));
  bench.break_down(second, erc::signature_failed);
  const auto status = bench.rollout.subgroup_status(group_id("plant"), deployment_id("d1"), toaster_class()).value();
  EXPECT_EQ(status.at("totalDevices").as_uint64(), 2U);
  EXPECT_EQ(status.at("devicesCompletedSucceededCount").as_uint64(), 1U);
  EXPECT_EQ(status.at("devicesCompletedFailedCount").as_uint64(), 1U);
  EXPECT_EQ(status.at("devicesInProgressCount").as_uint64(), 0U);
  const auto own = bench.row_of(second, "d1").at("godwit").as_object();
  EXPECT_EQ(text(own, "extendedResultCode"), extended_code_hex(erc::signature_failed));
  EXPECT_EQ(text(own, "extendedResultText"), extended_code_text(erc::signature_failed));
  EXPECT_EQ(own.at("step").as_uint64(), 1U);
  const auto device = bench.inventory.describe_device(second).value();
  const auto& result = device.at("lastInstallResult").as_object();
  EXPECT_EQ(result.at("extendedResultCode").as_int64(), -1'608'515'584) << "0xA0200000 as a signed number";
  EXPECT_EQ(result.at("stepResults").as_array().size(), 2U);
  const auto explained = bench.inventory.explain_device(second).value();
  EXPECT_EQ(text(explained, "whyNoUpdate"), "deployment 'd1' failed on this device; it can be retried");
  EXPECT_EQ(explained.at("result").at("failedStep").as_uint64(), 1U);
  EXPECT_EQ(explained.at("reports").as_array().size(), 1U);
}

TEST(Views, progress_is_shown_while_the_device_works_on_the_deployment_and_not_after) {
  RolloutBench bench;
  bench.import(update_id("1.0"));
  const auto id = bench.add_device("dev-1", "plant");
  ASSERT_TRUE(bench.deploy("d1", update_id("1.0")));
  bench.begin(id);
  bench.patch(id,
              twin::progress_patch({.phase = "downloading", .step = 1, .steps = 2, .done_bytes = 5, .total_bytes = 9}));
  const auto own = bench.row_of(id, "d1").at("godwit").as_object();
  EXPECT_EQ(text(own, "phase"), "downloading");
  EXPECT_EQ(own.at("step").as_int64(), 1);
  EXPECT_EQ(bench.inventory.explain_device(id).value().at("progress").at("doneBytes").as_int64(), 5);
  bench.succeed(id, update_id("1.0"));
  EXPECT_FALSE(bench.row_of(id, "d1").at("godwit").as_object().contains("phase"));
}

TEST(Views, the_default_group_is_first_in_every_order) {
  RolloutBench bench;
  bench.add_device("dev-1", "alpha");
  bench.add_device("dev-2", "beta");
  bench.add_device("dev-3", "beta");
  bench.add_device("dev-4", "!x");  // not a group: unhealthy
  const auto order = [&](GroupOrder by, bool is_descending) {
    return ids(bench.inventory.list_groups(by, is_descending, "").value(), "groupId");
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(order(GroupOrder::group_id, false), (Names{"$default", "alpha", "beta"}));
  EXPECT_EQ(order(GroupOrder::group_id, true), (Names{"$default", "beta", "alpha"}));
  EXPECT_EQ(order(GroupOrder::device_count, true), (Names{"$default", "beta", "alpha"}));
  EXPECT_EQ(order(GroupOrder::device_count, false), (Names{"$default", "alpha", "beta"}));
}

TEST(Views, lists_filter_and_page) {
  RolloutBench bench;
  bench.import(update_id("1.0"));
  for (int i = 0; i < 105; ++i) bench.add_device("dev-" + std::to_string(1000 + i), i < 3 ? "plant" : "");
  const auto first = bench.inventory.list_devices({}, "").value();
  EXPECT_EQ(first.values.size(), 100U);
  const auto rest = bench.inventory.list_devices({}, first.next_token).value();
  EXPECT_EQ(rest.values.size(), 5U);
  EXPECT_EQ(rest.next_token, "");
  ASSERT_TRUE(bench.deploy("d1", update_id("1.0")));
  bench.break_down(device_id("dev-1001"));
  EXPECT_EQ(ids(bench.inventory.list_devices({.group = group_id("plant"), .state = DeviceState::failed}, "").value(),
                "deviceId"),
            std::vector<std::string>{"dev-1001"});
  EXPECT_EQ(
      bench.inventory.list_devices({.group = group_id("plant"), .is_never_deployed = true}, "").value().values.size(),
      0U);
  EXPECT_EQ(bench.inventory.list_devices({.group = group_id("$default"), .is_never_deployed = true}, "")
                .value()
                .values.size(),
            100U);
  EXPECT_EQ(bench.rollout.device_states(group_id("plant"), deployment_id("d1"), {.state = DeviceState::in_progress}, "")
                .value()
                .values.size(),
            2U);
}

TEST(Views, the_course_of_a_deployment_is_told_by_the_last_change_of_each_device) {
  RolloutBench bench;
  bench.import(update_id("1.0"));
  bench.import(update_id("2.0"));
  for (int i = 0; i < 4; ++i) bench.add_device("dev-" + std::to_string(i), "plant");
  const auto course = [&](std::string_view id) {
    std::vector<std::vector<std::int64_t>> points;
    const auto body = bench.rollout.progress(group_id("plant"), deployment_id(id)).value();
    for (const json::Value& value : body.at("value").as_array()) {
      const json::Object& point = value.as_object();
      std::vector<std::int64_t> numbers;
      for (const auto* name : {"totalDevices", "devicesInProgressCount", "devicesCompletedSucceededCount",
                               "devicesCompletedFailedCount", "devicesCanceledCount"})
        numbers.push_back(point.at(name).to_number<std::int64_t>());
      points.push_back(std::move(numbers));
    }
    return points;
  };
  EXPECT_EQ(bench.rollout.progress(group_id("plant"), deployment_id("none")).error().code, Code::not_found);
  ASSERT_TRUE(bench.deploy("d1", update_id("1.0")));
  EXPECT_EQ(course("d1").back(), (std::vector<std::int64_t>{4, 4, 0, 0, 0}));
  bench.clock.advance(std::chrono::minutes(10));
  bench.succeed(device_id("dev-0"), update_id("1.0"));
  bench.clock.advance(std::chrono::minutes(10));
  bench.break_down(device_id("dev-1"));
  bench.clock.advance(std::chrono::minutes(40));
  auto points = course("d1");
  ASSERT_LE(points.size(), 121U);
  ASSERT_GE(points.size(), 118U);
  EXPECT_EQ(points.front(), (std::vector<std::int64_t>{4, 4, 0, 0, 0}));
  EXPECT_EQ(points[25], (std::vector<std::int64_t>{4, 3, 1, 0, 0}));  // half a minute each
  EXPECT_EQ(points[50], (std::vector<std::int64_t>{4, 2, 1, 1, 0}));
  // A later deployment takes the devices over: those that had ended keep their time, the others end now.
  ASSERT_TRUE(bench.deploy("d2", update_id("2.0")));
  points = course("d1");
  EXPECT_EQ(points[25], (std::vector<std::int64_t>{4, 3, 1, 0, 0}));
  EXPECT_EQ(points.back(), (std::vector<std::int64_t>{4, 0, 1, 1, 2}));
}

TEST(Views, classes_can_be_named_found_and_deleted_only_when_unused) {
  RolloutBench bench;
  const auto id = bench.add_device("dev-1", "plant");
  EXPECT_EQ(bench.inventory.rename_class(toaster_class(), "no spaces please", "ann").error().code,
            Code::invalid_argument);
  EXPECT_EQ(text(bench.inventory.rename_class(toaster_class(), "Toaster-2", "ann").value(), "friendlyName"),
            "Toaster-2");
  EXPECT_EQ(bench.inventory.list_classes("Toaster-2", "").value().values.size(), 1U);
  EXPECT_EQ(bench.inventory.list_classes("Toaster", "").value().values.size(), 0U);
  EXPECT_EQ(bench.inventory.remove_class(toaster_class(), "ann").error().code, Code::conflict);
  EXPECT_EQ(bench.inventory.remove_group(group_id("plant"), "ann").error().code, Code::conflict);
  EXPECT_EQ(bench.inventory.remove_group(group_id("$default"), "ann").error().code, Code::conflict);
  EXPECT_EQ(bench.inventory.list_subgroups(group_id("plant"), {{"MODEL", "Toaster"}}).value().values.size(), 1U);
  EXPECT_EQ(bench.inventory.list_subgroups(group_id("plant"), {{"model", "Kettle"}}).value().values.size(), 0U);
  EXPECT_EQ(bench.inventory.remove_subgroup(group_id("plant"), toaster_class(), "ann").error().code, Code::conflict);
  bench.remove_device(id);
  EXPECT_TRUE(bench.inventory.remove_group(group_id("plant"), "ann"));
  EXPECT_EQ(bench.inventory.describe_group(group_id("plant")).error().code, Code::not_found);
  EXPECT_TRUE(bench.inventory.remove_class(toaster_class(), "ann"));
}

TEST(Views, a_device_sync_reads_every_twin_again_in_chunks) {
  RolloutBench bench(2);
  for (int i = 0; i < 5; ++i) bench.add_device("dev-" + std::to_string(i), "plant");
  bench.expect(bench.store->write([&](store::Records& records) -> Result<void> {  // an inventory that was lost
    for (int i = 0; i < 5; ++i)
      GODWIT_TRY_VOID(records.fleet().remove_device(device_id("dev-" + std::to_string(i))).map([](bool) {}));
    return {};
  }));
  EXPECT_EQ(bench.inventory.list_devices({}, "").value().values.size(), 0U);
  EXPECT_EQ(bench.inventory.start_sync("Everything", "ann").error().code, Code::invalid_argument);
  const auto id = bench.inventory.start_sync("All", "ann").value();
  EXPECT_EQ(bench.inventory.start_sync("All", "ann").error().code, Code::conflict) << "one at a time";
  EXPECT_EQ(text(bench.inventory.describe_operation(id).value(), "status"), "NotStarted");
  ASSERT_TRUE(bench.rollout.tick());
  EXPECT_EQ(text(bench.inventory.describe_operation(id).value(), "status"), "Succeeded");
  EXPECT_EQ(bench.inventory.list_devices({}, "").value().values.size(), 5U);
  EXPECT_TRUE(bench.inventory.list_operations(true, 10).value().values.empty());
  EXPECT_EQ(bench.inventory.list_operations(false, 10).value().values.size(), 1U);
}

TEST(Views, patches_that_tell_nothing_about_updates_are_not_logged) {
  RolloutBench bench;
  bench.import(update_id("1.0"));
  const auto id = bench.add_device("dev-1", "plant");
  ASSERT_TRUE(bench.deploy("d1", update_id("1.0")));
  const auto reports = [&] { return bench.inventory.explain_device(id).value().at("reports").as_array().size(); };
  json::Object foreign;
  foreign["temperature"] = 21;
  bench.patch(id, foreign);
  bench.patch(id, twin::progress_patch({.phase = "downloading"}));
  EXPECT_EQ(reports(), 0U);
  auto stranger = bench.report_on_goal(id, AgentState::failed, 0);
  stranger.workflow_id = "nodeployment";
  bench.patch(id, twin::report_patch(stranger));
  EXPECT_EQ(reports(), 1U);
  EXPECT_EQ(bench.state_of(id, "d1"), "InProgress");
}

TEST(Views, an_agent_that_says_idle_without_a_workflow_ends_nothing) {
  RolloutBench bench;
  bench.import(update_id("1.0"));
  const auto id = bench.add_device("dev-1", "plant");
  ASSERT_TRUE(bench.deploy("d1", update_id("1.0")));
  bench.begin(id);
  twin::AgentReport awake;
  bench.patch(id, twin::report_patch(awake));
  EXPECT_EQ(bench.state_of(id, "d1"), "InProgress");
}

}  // namespace godwit::service
