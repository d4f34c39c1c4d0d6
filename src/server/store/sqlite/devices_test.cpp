#include "server/store/testing.hpp"

namespace godwit::store {
namespace {

DeviceId device(std::string_view text) { return DeviceId::parse(text).value(); }

DeviceIdentity identity(std::string_view id) {
  return {.id = device(id),
          .primary_key = Secret{std::string("\0key-1", 6)},
          .secondary_key = Secret{"key-2"},
          .generation = "g1",
          .created = from_unix_ms(1000)};
}

}  // namespace

TEST(Devices, a_new_identity_has_a_session_and_an_empty_twin) {
  TestStore test;
  ASSERT_TRUE(test.store->write(
      [&](Records& records) { return records.devices().insert_identity(identity("d1"), test.clock.now()); }));
  ASSERT_TRUE(test.store->read([&](Records& records) -> Result<void> {
    GODWIT_TRY(const auto found, records.devices().find_identity(device("d1")));
    EXPECT_EQ(found->primary_key.reveal(), std::string("\0key-1", 6));
    EXPECT_EQ(found->created, from_unix_ms(1000));
    EXPECT_TRUE(found->is_enabled);
    GODWIT_TRY(const auto session, records.devices().find_session(device("d1")));
    EXPECT_FALSE(session->is_connected);
    GODWIT_TRY(const auto twin, records.devices().find_twin(device("d1")));
    EXPECT_EQ(twin->version, 1U);
    EXPECT_EQ(twin->twin.desired.version, 1U);
    EXPECT_TRUE(twin->twin.reported.values.empty());
    EXPECT_EQ(json::print(twin->twin.desired.metadata),
              R"({"$lastUpdated":")" + format_time_7(test.clock.now()) + R"("})");
    EXPECT_FALSE(records.devices().find_twin(device("d2")).value());
    return {};
  }));
}

TEST(Devices, a_twin_comes_back_as_it_was_saved) {
  TestStore test;
  TwinRecord record;
  record.version = 7;
  record.twin.tags = json::Object{{"ADUGroup", "g"}};
  record.twin.desired = {.values = json::Object{{"a", json::Object{{"b", 1}}}},
                         .metadata = json::Object{{"$lastUpdated", "t"}},
                         .version = 4};
  record.twin.reported = {
      .values = json::Object{{"x", "\u00e9"}, {"y", 2.5}}, .metadata = json::Object{}, .version = 9};
  ASSERT_TRUE(test.store->write([&](Records& records) -> Result<void> {
    GODWIT_TRY_VOID(records.devices().insert_identity(identity("d1"), test.clock.now()));
    return records.devices().save_twin(device("d1"), record);
  }));
  ASSERT_TRUE(test.store->read([&](Records& records) -> Result<void> {
    GODWIT_TRY(const auto found, records.devices().find_twin(device("d1")));
    EXPECT_EQ(found->version, 7U);
    EXPECT_EQ(found->twin.tags, record.twin.tags);
    EXPECT_EQ(found->twin.desired.values, record.twin.desired.values);
    EXPECT_EQ(found->twin.desired.metadata, record.twin.desired.metadata);
    EXPECT_EQ(found->twin.desired.version, 4U);
    EXPECT_EQ(found->twin.reported.values, record.twin.reported.values);
    EXPECT_EQ(found->twin.reported.version, 9U);
    return {};
  }));
}

TEST(Devices, the_same_id_twice_is_a_conflict_and_unknown_ones_are_not_found) {
  TestStore test;
  ASSERT_TRUE(test.store->write(
      [&](Records& records) { return records.devices().insert_identity(identity("d1"), test.clock.now()); }));
  EXPECT_EQ(
      test.store
          ->write([&](Records& records) { return records.devices().insert_identity(identity("d1"), test.clock.now()); })
          .error()
          .code,
      Code::conflict);
  EXPECT_EQ(
      test.store->write([&](Records& records) { return records.devices().save_twin(device("d2"), {}); }).error().code,
      Code::not_found);
  EXPECT_EQ(test.store->write([&](Records& records) { return records.devices().save_session(device("d2"), {}); })
                .error()
                .code,
            Code::not_found);
  EXPECT_EQ(test.store->write([&](Records& records) { return records.devices().update_identity(identity("d2")); })
                .error()
                .code,
            Code::not_found);
}

TEST(Devices, removing_an_identity_takes_twin_and_session_along) {
  TestStore test;
  ASSERT_TRUE(test.store->write([&](Records& records) -> Result<void> {
    GODWIT_TRY_VOID(records.devices().insert_identity(identity("d1"), test.clock.now()));
    EXPECT_TRUE(records.devices().remove_identity(device("d1")).value());
    EXPECT_FALSE(records.devices().remove_identity(device("d1")).value());
    EXPECT_FALSE(records.devices().find_twin(device("d1")).value());
    EXPECT_FALSE(records.devices().find_session(device("d1")).value());
    EXPECT_EQ(records.devices().count_identities().value(), 0U);
    return records.devices().insert_identity(identity("d1"), test.clock.now());
  }));
}

TEST(Devices, lists_come_in_id_order_page_by_page) {
  TestStore test;
  ASSERT_TRUE(test.store->write([&](Records& records) -> Result<void> {
    for (const char* id : {"c", "a", "b"})
      GODWIT_TRY_VOID(records.devices().insert_identity(identity(id), test.clock.now()));
    return {};
  }));
  ASSERT_TRUE(test.store->read([&](Records& records) -> Result<void> {
    GODWIT_TRY(const auto first, records.devices().list_identities("", 2));
    EXPECT_EQ(first.size(), 2U);
    EXPECT_EQ(first[1].id.str(), "b");
    GODWIT_TRY(const auto second, records.devices().list_identities("b", 2));
    EXPECT_EQ(second.size(), 1U);
    EXPECT_EQ(second[0].id.str(), "c");
    return {};
  }));
}

TEST(Devices, after_a_restart_nobody_is_connected) {
  TestStore test;
  ASSERT_TRUE(test.store->write([&](Records& records) -> Result<void> {
    GODWIT_TRY_VOID(records.devices().insert_identity(identity("d1"), test.clock.now()));
    GODWIT_TRY_VOID(records.devices().save_session(device("d1"), {.subscriptions = 3,
                                                                  .granted_qos = 1,
                                                                  .model_id = "dtmi:x;1",
                                                                  .is_connected = true,
                                                                  .last_activity = from_unix_ms(5)}));
    GODWIT_TRY_VOID(records.devices().mark_all_disconnected("restart"));
    GODWIT_TRY(const auto session, records.devices().find_session(device("d1")));
    EXPECT_FALSE(session->is_connected);
    EXPECT_EQ(session->subscriptions, 3);
    EXPECT_EQ(session->model_id, "dtmi:x;1");
    EXPECT_EQ(session->last_activity, from_unix_ms(5));
    EXPECT_EQ(session->last_disconnect_reason, "restart");
    return {};
  }));
}

}  // namespace godwit::store
