#include "server/store/sqlite/migrations.hpp"

#include <array>

#include "server/store/testing.hpp"

namespace godwit::store::sqlite {
namespace {

class Migrations : public testing::Test {
 protected:
  Migrations() : connection(Connection::open(file(), Connection::Mode::read_write).value()) {}
  [[nodiscard]] Path file() const { return folder.path() / "db.sqlite"; }
  [[nodiscard]] std::int64_t count(const std::string& from) const {
    auto row = connection->prepare("SELECT count(*) FROM " + from);
    return row && row->next().value_or(false) ? row->integer(0) : -1;
  }
  TemporaryFolder folder;
  std::unique_ptr<Connection> connection;
  WallTime now = FakeClock().now();
};

}  // namespace

TEST_F(Migrations, are_numbered_from_one_without_gaps) {
  int expected = 1;
  for (const Migration& migration : all_migrations()) EXPECT_EQ(migration.version, expected++);
}

TEST_F(Migrations, bring_an_empty_database_up_and_do_nothing_the_second_time) {
  ASSERT_TRUE(migrate(*connection, all_migrations(), now));
  EXPECT_EQ(schema_version(*connection).value(), all_migrations().back().version);
  ASSERT_TRUE(migrate(*connection, all_migrations(), now));
  EXPECT_EQ(count("schema_version"), static_cast<std::int64_t>(all_migrations().size()));
}

TEST_F(Migrations, keep_what_a_database_of_version_1_holds) {
  ASSERT_TRUE(migrate(*connection, all_migrations().first(1), now));
  ASSERT_TRUE(connection->run_script("INSERT INTO settings VALUES ('k', 'v')"));
  ASSERT_EQ(count("sqlite_master WHERE name = 'updates'"), 0);
  connection.reset();
  FakeClock clock;
  NullLog log;
  auto store = open_sqlite_store(file(), trust::test_sealer(), clock, log);
  ASSERT_TRUE(store) << store.error().message;
  ASSERT_TRUE((*store)->read([](Records& records) -> Result<void> {
    EXPECT_EQ(records.access().find_setting("k").value(), "v");
    EXPECT_TRUE(records.catalog().list_providers().value().empty());
    return {};
  }));
}

TEST_F(Migrations, refuse_a_database_that_is_newer_than_the_build) {
  ASSERT_TRUE(migrate(*connection, all_migrations(), now));
  ASSERT_TRUE(connection->run("INSERT INTO schema_version VALUES (?, 'from the future', 0)",
                              all_migrations().back().version + 1));
  connection.reset();
  FakeClock clock;
  NullLog log;
  const auto store = open_sqlite_store(file(), trust::test_sealer(), clock, log);
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, Code::unsupported);
}

TEST_F(Migrations, leave_nothing_of_one_that_fails) {
  const std::array broken{Migration{1, "good", "CREATE TABLE one (x)"},
                          Migration{2, "broken", "CREATE TABLE two (x); CREATE TABLE one (x);"}};
  const auto outcome = migrate(*connection, broken, now);
  ASSERT_FALSE(outcome);
  EXPECT_NE(outcome.error().message.find("migration 2 (broken)"), std::string::npos);
  EXPECT_EQ(schema_version(*connection).value(), 1);
  EXPECT_EQ(count("sqlite_master WHERE name = 'two'"), 0);
}

TEST_F(Migrations, a_file_that_is_no_database_is_refused_with_its_cause) {
  ASSERT_TRUE(write_file_durably(folder.path() / "text.sqlite", std::string(4096, 'x')));
  FakeClock clock;
  NullLog log;
  const auto store = open_sqlite_store(folder.path() / "text.sqlite", trust::test_sealer(), clock, log);
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, Code::database_failed) << store.error().message;
}

}  // namespace godwit::store::sqlite
