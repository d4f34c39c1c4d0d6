#include "server/store/sqlite/fleet.hpp"

#include "server/store/testing.hpp"

namespace godwit::store {
namespace {

DeviceId device_id(std::string_view text) { return DeviceId::parse(text).value(); }
GroupId group_id(std::string_view text) { return GroupId::parse(text).value(); }
DeviceClassId class_id(char digit) { return DeviceClassId::parse(std::string(40, digit)).value(); }
UpdateId update_id(std::string_view version) { return UpdateId::parse("Contoso", "Toaster", version).value(); }

FleetDevice device(std::string_view name, std::string_view group, std::optional<DeviceClassId> of_class) {
  return {.id = device_id(name),
          .group = group_id(group),
          .class_id = std::move(of_class),
          .created = from_unix_ms(1),
          .updated = from_unix_ms(2)};
}

Result<void> counters_equal_a_recount(FleetRecords& fleet) {
  GODWIT_TRY(const auto counted, fleet.counts(std::nullopt, std::nullopt));
  GODWIT_TRY(const auto again, fleet.recount());
  EXPECT_EQ(counted, again);
  return {};
}

}  // namespace

TEST(FleetRecords, a_device_comes_back_as_it_was_saved) {
  TestStore test;
  ASSERT_TRUE(test.store->write([](Records& records) -> Result<void> {
    FleetDevice full = device("d", "plant", class_id('a'));
    full.model_id = "dtmi:x;1";
    full.installed = update_id("1.0");
    full.attempted = update_id("1.1");
    full.deployment = 7;
    full.last_deployment_id = "d7";
    full.state = DeviceState::canceled;
    full.result_json = "{}";
    GODWIT_TRY_VOID(records.fleet().save_device(full));
    EXPECT_EQ(records.fleet().find_device(full.id).value(), full);
    FleetDevice bare = device("d", "$default", std::nullopt);
    bare.failed_check = "ADUGroup";
    bare.health_problem = "wrong";
    GODWIT_TRY_VOID(records.fleet().save_device(bare));
    EXPECT_EQ(records.fleet().find_device(bare.id).value(), bare);
    EXPECT_FALSE(records.fleet().find_device(device_id("nobody")).value());
    return {};
  }));
}

TEST(FleetRecords, counters_follow_every_change_of_a_device) {
  TestStore test;
  ASSERT_TRUE(test.store->write([](Records& records) -> Result<void> {
    FleetRecords& fleet = records.fleet();
    for (const char* name : {"d1", "d2", "d3"}) {
      GODWIT_TRY_VOID(fleet.save_device(device(name, "plant", class_id('a'))));
      GODWIT_TRY_VOID(counters_equal_a_recount(fleet));
    }
    GODWIT_TRY(auto moved, fleet.find_device(device_id("d2")));
    moved->group = group_id("hall");
    moved->installed = update_id("1.0");
    GODWIT_TRY_VOID(fleet.save_device(*moved));
    GODWIT_TRY_VOID(fleet.save_device(*moved));  // again changes nothing
    GODWIT_TRY_VOID(counters_equal_a_recount(fleet));
    GODWIT_TRY(const auto hall, fleet.counts(group_id("hall"), class_id('a')));
    EXPECT_EQ(hall.size(), 1U);
    EXPECT_EQ(hall.at(0).devices, 1U);
    EXPECT_EQ(hall.at(0).installed, update_id("1.0"));
    EXPECT_TRUE(fleet.remove_device(device_id("d2")).value());
    EXPECT_FALSE(fleet.remove_device(device_id("d2")).value());
    GODWIT_TRY_VOID(counters_equal_a_recount(fleet));
    EXPECT_TRUE(fleet.counts(group_id("hall"), std::nullopt).value().empty()) << "no rows of zero stay";
    return {};
  }));
}

TEST(FleetRecords, lists_filter_by_place_state_and_health) {
  TestStore test;
  ASSERT_TRUE(test.store->write([](Records& records) -> Result<void> {
    FleetRecords& fleet = records.fleet();
    FleetDevice failed = device("d1", "plant", class_id('a'));
    failed.state = DeviceState::failed;
    GODWIT_TRY_VOID(fleet.save_device(failed));
    GODWIT_TRY_VOID(fleet.save_device(device("d2", "plant", class_id('b'))));
    GODWIT_TRY_VOID(fleet.save_device(device("d3", "hall", std::nullopt)));
    const auto names = [&fleet](const FleetFilter& filter, const std::string& after = "", std::size_t limit = 10) {
      std::string joined;
      const auto found = fleet.list_devices(filter, after, limit).value();
      for (const auto& one : found) joined += one.id.str() + " ";
      return joined;
    };
    EXPECT_EQ(names({}), "d1 d2 d3 ");
    EXPECT_EQ(names({}, "d1", 1), "d2 ");
    EXPECT_EQ(names({.group = group_id("plant")}), "d1 d2 ");
    EXPECT_EQ(names({.class_id = class_id('b')}), "d2 ");
    EXPECT_EQ(names({.state = DeviceState::failed}), "d1 ");
    EXPECT_EQ(names({.is_never_deployed = true}), "d2 d3 ");
    EXPECT_EQ(names({.is_healthy = false}), "d3 ");
    EXPECT_EQ(names({.is_healthy = true}), "d1 d2 ");
    return {};
  }));
}

TEST(FleetRecords, classes_groups_and_subgroups_come_and_go) {
  TestStore test;
  ASSERT_TRUE(test.store->write([](Records& records) -> Result<void> {
    FleetRecords& fleet = records.fleet();
    EXPECT_EQ(fleet.list_groups().value().at(0).id.str(), "$default") << "it is there from the start";
    const FleetClass one{.id = class_id('a'),
                         .value = {.compatibility = {{"model", "T"}}, .contract = ContractModel::v2},
                         .created = from_unix_ms(5)};
    GODWIT_TRY_VOID(fleet.save_class(one));
    FleetClass named = one;
    named.friendly_name = "Toaster";
    GODWIT_TRY_VOID(fleet.save_class(named));
    GODWIT_TRY(const auto found, fleet.find_class(one.id));
    EXPECT_EQ(found->friendly_name, "Toaster");
    EXPECT_EQ(found->value.compatibility, one.value.compatibility);
    EXPECT_EQ(found->value.contract, ContractModel::v2);
    EXPECT_EQ(fleet.list_classes("Toaster", "", 10).value().size(), 1U);
    EXPECT_TRUE(fleet.list_classes("toaster", "", 10).value().empty());
    GODWIT_TRY_VOID(fleet.save_group({.id = group_id("plant"), .created = from_unix_ms(1)}));
    GODWIT_TRY_VOID(fleet.save_group({.id = group_id("plant"), .created = from_unix_ms(9)}));
    EXPECT_EQ(fleet.find_group(group_id("plant")).value()->created, from_unix_ms(1)) << "the first time counts";
    GODWIT_TRY_VOID(fleet.save_subgroup({.group = group_id("plant"), .class_id = one.id, .created = from_unix_ms(1)}));
    EXPECT_EQ(fleet.list_subgroups(group_id("plant"), std::nullopt).value().size(), 1U);
    EXPECT_EQ(fleet.list_subgroups(std::nullopt, class_id('b')).value().size(), 0U);
    EXPECT_TRUE(fleet.remove_subgroup(group_id("plant"), one.id).value());
    EXPECT_TRUE(fleet.remove_group(group_id("plant")).value());
    EXPECT_TRUE(fleet.remove_class(one.id).value());
    EXPECT_FALSE(fleet.find_class(one.id).value());
    return {};
  }));
}

TEST(FleetRecords, operations_keep_how_far_they_are_and_old_ones_go) {
  TestStore test;
  ASSERT_TRUE(test.store->write([](Records& records) -> Result<void> {
    FleetRecords& fleet = records.fleet();
    FleetOperation one{.id = "o1", .kind = "All", .created = from_unix_ms(1), .last_action = from_unix_ms(1)};
    GODWIT_TRY_VOID(fleet.save_operation(one));
    EXPECT_EQ(fleet.list_operations(true, 10).value().size(), 1U);
    one.status = OperationStatus::succeeded;
    one.after = "d9";
    one.etag = 2;
    GODWIT_TRY_VOID(fleet.save_operation(one));
    EXPECT_EQ(fleet.find_operation("o1").value()->after, "d9");
    EXPECT_TRUE(fleet.list_operations(true, 10).value().empty());
    GODWIT_TRY_VOID(fleet.remove_operations_before(from_unix_ms(1)));
    EXPECT_TRUE(fleet.find_operation("o1").value());
    GODWIT_TRY_VOID(fleet.remove_operations_before(from_unix_ms(2)));
    EXPECT_FALSE(fleet.find_operation("o1").value());
    return {};
  }));
}

}  // namespace godwit::store
