#include "server/store/sqlite/migrations.hpp"
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
    EXPECT_EQ(records.devices().count_identities().value().devices, 0U);
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
    GODWIT_TRY_VOID(records.devices().mark_all_disconnected("restart", from_unix_ms(9)));
    GODWIT_TRY(const auto session, records.devices().find_session(device("d1")));
    EXPECT_FALSE(session->is_connected);
    EXPECT_EQ(session->subscriptions, 3);
    EXPECT_EQ(session->model_id, "dtmi:x;1");
    EXPECT_EQ(session->last_activity, from_unix_ms(5));
    EXPECT_EQ(session->last_disconnect_reason, "restart");
    EXPECT_EQ(session->connection_changed, from_unix_ms(9));
    return {};
  }));
}

TEST(Devices, modules_live_beside_their_device_and_go_with_it) {
  TestStore test;
  const IdentityId module = IdentityId::parse("d1/m1").value();
  ASSERT_TRUE(test.store->write([&](Records& records) -> Result<void> {
    GODWIT_TRY_VOID(records.devices().insert_identity(identity("d1"), test.clock.now()));
    GODWIT_TRY_VOID(records.devices().insert_identity(identity("d10"), test.clock.now()));
    DeviceIdentity of_module = identity("d1");
    of_module.id = module;
    of_module.managed_by = "us";
    GODWIT_TRY_VOID(records.devices().insert_identity(of_module, test.clock.now()));
    EXPECT_EQ(records.devices().list_identities("", 10)->size(), 2U);
    EXPECT_EQ(records.devices().count_identities()->devices, 2U);
    GODWIT_TRY(const auto modules, records.devices().list_modules(device("d1"), 10));
    EXPECT_EQ(modules.size(), 1U);
    EXPECT_EQ(modules.at(0).id, module);
    EXPECT_EQ(modules.at(0).managed_by, "us");
    EXPECT_TRUE(records.devices().find_twin(module).value());
    EXPECT_TRUE(records.devices().remove_identity(device("d1")).value());
    EXPECT_FALSE(records.devices().find_identity(module).value());
    EXPECT_FALSE(records.devices().find_twin(module).value());
    return {};
  }));
}

TEST(Devices, a_certificate_identity_comes_back_as_it_was_saved) {
  TestStore test;
  DeviceIdentity wanted = identity("d1");
  wanted.authentication = Authentication::self_signed;
  wanted.primary_thumbprint = std::string(40, 'a');
  wanted.secondary_thumbprint = std::string(64, 'b');
  ASSERT_TRUE(test.store->write([&](Records& records) -> Result<void> {
    GODWIT_TRY_VOID(records.devices().insert_identity(wanted, test.clock.now()));
    wanted.is_enabled = false;
    wanted.status_updated = from_unix_ms(77);
    GODWIT_TRY_VOID(records.devices().update_identity(wanted));
    GODWIT_TRY(const auto found, records.devices().find_identity(device("d1")));
    EXPECT_EQ(found->authentication, Authentication::self_signed);
    EXPECT_EQ(found->primary_thumbprint, wanted.primary_thumbprint);
    EXPECT_EQ(found->secondary_thumbprint, wanted.secondary_thumbprint);
    EXPECT_EQ(found->status_updated, from_unix_ms(77));
    EXPECT_FALSE(found->is_enabled);
    return {};
  }));
}

TEST(Devices, the_two_sections_are_there_as_text_too) {
  TestStore test;
  TwinRecord record;
  record.twin.desired = {.values = json::Object{{"a", 1}}, .metadata = json::Object{}, .version = 4};
  record.twin.reported = {.values = json::Object{}, .metadata = json::Object{}, .version = 9};
  ASSERT_TRUE(test.store->write([&](Records& records) -> Result<void> {
    GODWIT_TRY_VOID(records.devices().insert_identity(identity("d1"), test.clock.now()));
    GODWIT_TRY_VOID(records.devices().save_twin(device("d1"), record));
    GODWIT_TRY(const auto text, records.devices().find_twin_text(device("d1")));
    EXPECT_EQ(text->desired, R"({"a":1})");
    EXPECT_EQ(text->desired_version, 4U);
    EXPECT_EQ(text->reported, "{}");
    EXPECT_EQ(text->reported_version, 9U);
    EXPECT_FALSE(records.devices().find_twin_text(device("d2")).value());
    return {};
  }));
}

TEST(Devices, a_report_is_read_and_written_without_the_desired_section) {
  TestStore test;
  TwinRecord record;
  record.version = 3;
  record.twin.tags = json::Object{{"t", 1}};
  record.twin.desired = {.values = json::Object{{"a", 1}}, .metadata = json::Object{{"m", 1}}, .version = 4};
  record.twin.reported = {.values = json::Object{{"r", 1}}, .metadata = json::Object{{"n", 1}}, .version = 9};
  ASSERT_TRUE(test.store->write([&](Records& records) -> Result<void> {
    GODWIT_TRY_VOID(records.devices().insert_identity(identity("d1"), test.clock.now()));
    GODWIT_TRY_VOID(records.devices().save_twin(device("d1"), record));
    GODWIT_TRY(auto found, records.devices().find_reported(device("d1")));
    EXPECT_EQ(found->version, 3U);
    EXPECT_EQ(found->twin.tags, record.twin.tags);
    EXPECT_EQ(found->twin.reported.values, record.twin.reported.values);
    EXPECT_EQ(found->twin.reported.metadata, record.twin.reported.metadata);
    EXPECT_EQ(found->twin.reported.version, 9U);
    EXPECT_EQ(found->twin.desired.version, 4U);
    found->version = 5;
    found->twin.reported.values["r"] = 2;
    found->twin.reported.version = 10;
    GODWIT_TRY_VOID(records.devices().save_reported(device("d1"), *found));
    GODWIT_TRY(const auto after, records.devices().find_twin(device("d1")));
    EXPECT_EQ(after->version, 5U);
    EXPECT_EQ(after->twin.desired.values, record.twin.desired.values);
    EXPECT_EQ(after->twin.desired.metadata, record.twin.desired.metadata);
    EXPECT_EQ(after->twin.reported.values, found->twin.reported.values);
    EXPECT_EQ(after->twin.reported.version, 10U);
    EXPECT_EQ(records.devices().save_reported(device("d2"), *found).error().code, Code::not_found);
    return {};
  }));
}

TEST(Devices, keys_are_not_readable_in_the_file_and_not_under_another_key) {
  TemporaryFolder folder;
  FakeClock clock;
  NullLog log;
  const Path file = folder.path() / "db.sqlite";
  DeviceIdentity wanted = identity("d1");
  wanted.primary_key = Secret{"a-key-that-must-not-be-readable!"};
  {
    auto store = open_sqlite_store(file, trust::test_sealer(), clock, log).value();
    ASSERT_TRUE(store->write([&](Records& r) { return r.devices().insert_identity(wanted, clock.now()); }));
  }
  const std::string bytes = read_file(file, 64 * 1024 * 1024).value();
  EXPECT_NE(bytes.find("d1"), std::string::npos);
  EXPECT_EQ(bytes.find("must-not-be-readable"), std::string::npos);
  const auto other = trust::Sealer::from_key(Secret(std::string(32, 'o'))).value();
  const auto refused = open_sqlite_store(file, other, clock, log);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::crypto_failed);
  EXPECT_NE(refused.error().message.find("secrets/store.key"), std::string::npos);
  EXPECT_TRUE(open_sqlite_store(file, trust::test_sealer(), clock, log));
}

TEST(Devices, keys_that_an_older_schema_kept_plain_are_sealed_when_the_store_is_opened) {
  TemporaryFolder folder;
  FakeClock clock;
  NullLog log;
  const Path file = folder.path() / "db.sqlite";
  {
    auto connection = sqlite::Connection::open(file, sqlite::Connection::Mode::read_write).value();
    ASSERT_TRUE(sqlite::migrate(*connection, sqlite::all_migrations().first(3), clock.now()));
    ASSERT_TRUE(connection->run("INSERT INTO identities VALUES ('old', 1, '', ?, ?, 'g', 1, 0)",
                                sqlite::BlobView{"plain-primary-key"}, sqlite::BlobView{"plain-secondary"}));
    ASSERT_TRUE(connection->run("INSERT INTO sessions (device_id, last_activity) VALUES ('old', 0)"));
  }
  auto store = open_sqlite_store(file, trust::test_sealer(), clock, log).value();
  ASSERT_TRUE(store->read([&](Records& records) -> Result<void> {
    GODWIT_TRY(const auto found, records.devices().find_identity(device("old")));
    EXPECT_EQ(found->primary_key.reveal(), "plain-primary-key");
    EXPECT_EQ(found->secondary_key.reveal(), "plain-secondary");
    return {};
  }));
  store.reset();
  EXPECT_EQ(read_file(file, 64 * 1024 * 1024).value().find("plain-primary-key"), std::string::npos);
}

}  // namespace godwit::store
