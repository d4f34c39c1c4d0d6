#include "core/base/file.hpp"
#include "server/store/sqlite/statement.hpp"
#include "server/store/testing.hpp"

namespace godwit::store {
namespace {

class Policies : public testing::Test {
 protected:
  Result<void> write(const std::function<Result<void>(PolicyRecords&)>& job) {
    return db.store->write([&](Records& records) { return job(records.policies()); });
  }
  std::vector<SharedAccessPolicy> all() {
    std::vector<SharedAccessPolicy> list;
    EXPECT_TRUE(db.store->read([&](Records& records) -> Result<void> {
      GODWIT_TRY(list, records.policies().list());
      return {};
    }));
    return list;
  }
  SharedAccessPolicy policy(const std::string& name) const {
    return {.name = name,
            .rights = 5,
            .is_built_in = true,
            .primary_key = Secret("first-key-first-key-first-key-32"),
            .secondary_key = Secret("second-key-second-key-second--32"),
            .created = db.clock.now(),
            .changed = db.clock.now()};
  }
  TestStore db;
};

TEST_F(Policies, come_back_as_they_were_put) {
  ASSERT_TRUE(write([&](PolicyRecords& records) -> Result<void> {
    GODWIT_TRY_VOID(records.insert(policy("service")));
    return records.insert(policy("device"));
  }));
  const auto list = all();
  ASSERT_EQ(list.size(), 2U);
  EXPECT_EQ(list[0].name, "device");
  EXPECT_EQ(list[1].name, "service");
  EXPECT_TRUE(list[1].has(AccessRight::registry_read) && list[1].has(AccessRight::service_connect));
  EXPECT_FALSE(list[1].has(AccessRight::registry_write) || list[1].has(AccessRight::device_connect));
  EXPECT_TRUE(list[1].is_built_in);
  EXPECT_EQ(list[1].primary_key.reveal(), "first-key-first-key-first-key-32");
  EXPECT_EQ(list[1].secondary_key.reveal(), "second-key-second-key-second--32");
  EXPECT_EQ(list[1].created, db.clock.now());
}

TEST_F(Policies, a_name_is_unique_in_any_case_but_found_only_as_written) {
  ASSERT_TRUE(write([&](PolicyRecords& records) { return records.insert(policy("Service")); }));
  const auto twice = write([&](PolicyRecords& records) { return records.insert(policy("service")); });
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().code, Code::conflict);
  EXPECT_EQ(twice.error().message, "a policy named 'service' exists already");
  ASSERT_TRUE(db.store->read([](Records& records) -> Result<void> {
    EXPECT_TRUE(records.policies().find("Service").value());
    EXPECT_FALSE(records.policies().find("SERVICE").value());
    return {};
  }));
}

TEST_F(Policies, change_and_go) {
  ASSERT_TRUE(write([&](PolicyRecords& records) -> Result<void> {
    GODWIT_TRY_VOID(records.insert(policy("service")));
    SharedAccessPolicy changed = policy("service");
    changed.secondary_key = Secret("another-key-of-enough-bytes-here");
    return records.update(changed);
  }));
  EXPECT_EQ(all().front().secondary_key.reveal(), "another-key-of-enough-bytes-here");
  EXPECT_EQ(all().front().primary_key.reveal(), "first-key-first-key-first-key-32");
  ASSERT_TRUE(write([](PolicyRecords& records) -> Result<void> {
    EXPECT_TRUE(records.remove("service").value());
    EXPECT_FALSE(records.remove("service").value());
    return {};
  }));
  EXPECT_TRUE(all().empty());
}

TEST_F(Policies, keys_are_not_readable_in_the_file_and_open_only_in_their_own_row) {
  ASSERT_TRUE(write([&](PolicyRecords& records) { return records.insert(policy("service")); }));
  db.store.reset();
  for (const char* suffix : {"", "-wal"})
    EXPECT_EQ(read_file(db.folder.path() / ("test.sqlite" + std::string(suffix)), 1 << 24)
                  .value_or("")
                  .find("first-key-first-key"),
              std::string::npos);
  {
    const auto raw = sqlite::Connection::open(db.folder.path() / "test.sqlite", sqlite::Connection::Mode::read_write);
    ASSERT_TRUE((*raw)->run("UPDATE shared_access_policies SET name = 'owner'"));
  }
  db.store = open_sqlite_store(db.folder.path() / "test.sqlite", trust::test_sealer(), db.clock, db.log).value();
  const auto moved = db.store->read([](Records& records) -> Result<void> {
    GODWIT_TRY([[maybe_unused]] const auto found, records.policies().find("owner"));
    return {};
  });
  ASSERT_FALSE(moved);
  EXPECT_EQ(moved.error().code, Code::crypto_failed);
}

}  // namespace
}  // namespace godwit::store
