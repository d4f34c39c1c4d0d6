#include "server/store/testing.hpp"

namespace godwit::store {
namespace {

IdentityId id(std::string_view text) { return IdentityId::parse(text).value(); }

Result<void> fill(Records& records) {
  for (int i = 1; i <= 2; ++i) {
    const std::string name = "op-" + std::to_string(i);
    GODWIT_TRY_VOID(records.logs().insert_collection({.id = name,
                                                      .description = "d",
                                                      .actor = "admin",
                                                      .created = from_unix_ms(i),
                                                      .changed = from_unix_ms(i),
                                                      .deadline = from_unix_ms(100 * i)}));
    for (const char* agent : {"a", "a/m"})
      GODWIT_TRY_VOID(
          records.logs().insert_agent({.collection_id = name, .agent = id(agent), .container = name + agent}));
  }
  return {};
}

LogFile file(const std::string& container, const std::string& name, const std::string& stored, ByteCount size) {
  return {.container = container,
          .name = name,
          .stored = stored,
          .size = size,
          .sha256 = sha256(stored),
          .received = from_unix_ms(7)};
}

TEST(Logs, a_collection_and_its_agents_are_found_again) {
  TestStore test;
  ASSERT_TRUE(test.store->write([&](Records& records) -> Result<void> {
    GODWIT_TRY_VOID(fill(records));
    EXPECT_EQ(records.logs().insert_collection({.id = "op-1"}).error().code, Code::conflict);
    GODWIT_TRY(const auto found, records.logs().find_collection("op-1"));
    EXPECT_EQ(found->deadline, from_unix_ms(100));
    GODWIT_TRY(const auto agents, records.logs().list_agents("op-1"));
    EXPECT_EQ(agents.size(), 2U);
    EXPECT_TRUE(agents.at(1).agent.is_module());
    EXPECT_EQ(records.logs().find_agent("op-1a").value()->agent.str(), "a");
    EXPECT_EQ(records.logs().find_agent("nobody").value(), std::nullopt);
    EXPECT_EQ(records.logs().list_collections("op-1", 10).value().at(0).id, "op-2");
    EXPECT_EQ(records.logs().count_collections().value(), 2U);
    return {};
  }));
}

TEST(Logs, open_and_overdue_agents_are_those_that_have_not_ended) {
  TestStore test;
  ASSERT_TRUE(test.store->write([&](Records& records) -> Result<void> {
    GODWIT_TRY_VOID(fill(records));
    EXPECT_EQ(records.logs().list_open_of(id("a")).value().at(0).collection_id, "op-1");
    EXPECT_EQ(records.logs().list_overdue(from_unix_ms(99), 10).value().size(), 0U);
    EXPECT_EQ(records.logs().list_overdue(from_unix_ms(100), 10).value().size(), 2U);
    GODWIT_TRY(auto agent, records.logs().find_agent("op-1a"));
    agent->status = OperationStatus::succeeded;
    agent->code = 200;
    agent->details = "fine";
    GODWIT_TRY_VOID(records.logs().save_agent(*agent));
    EXPECT_EQ(records.logs().list_overdue(from_unix_ms(100), 10).value().size(), 1U);
    EXPECT_EQ(records.logs().list_open_of(id("a")).value().at(0).collection_id, "op-2");
    EXPECT_EQ(records.logs().find_agent("op-1a").value()->code, 200);
    return {};
  }));
}

TEST(Logs, a_file_sent_again_replaces_the_first_and_goes_with_its_collection) {
  TestStore test;
  ASSERT_TRUE(test.store->write([&](Records& records) -> Result<void> {
    GODWIT_TRY_VOID(fill(records));
    EXPECT_EQ(records.logs().put_file(file("op-1a", "x.log", "one", 10)).value(), "");
    EXPECT_EQ(records.logs().put_file(file("op-1a", "x.log", "two", 20)).value(), "one");
    EXPECT_EQ(records.logs().put_file(file("op-1a", "y.log", "three", 5)).value(), "");
    EXPECT_EQ(records.logs().put_file(file("op-1a/m", "x.log", "four", 1)).value(), "");
    EXPECT_EQ(records.logs().totals_of_container("op-1a").value().files, 2U);
    EXPECT_EQ(records.logs().totals_of_container("op-1a").value().bytes, 25U);
    EXPECT_EQ(records.logs().totals().value().bytes, 26U);
    EXPECT_EQ(records.logs().list_files("op-1", std::nullopt, 0, 10).value().size(), 3U);
    GODWIT_TRY(const auto of_module, records.logs().list_files("op-1", id("a/m"), 0, 10));
    EXPECT_EQ(of_module.size(), 1U);
    EXPECT_EQ(records.logs().find_file("op-1", of_module.at(0).id).value()->stored, "four");
    EXPECT_EQ(records.logs().find_file("op-2", of_module.at(0).id).value(), std::nullopt);
    GODWIT_TRY_VOID(records.logs().remove_collection("op-1"));
    EXPECT_EQ(records.logs().totals().value().files, 0U);
    EXPECT_EQ(records.logs().list_containers().value().size(), 2U);
    return {};
  }));
}

}  // namespace
}  // namespace godwit::store
