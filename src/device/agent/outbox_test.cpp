#include "device/agent/outbox.hpp"

#include <gtest/gtest.h>

#include "core/base/testing/temp_folder.hpp"

namespace godwit::agent {
namespace {

OutboxEntry entry(std::string workflow, std::uint32_t attempt, bool is_final, std::string mark = "") {
  return {.number = 0,
          .workflow_id = std::move(workflow),
          .attempt = attempt,
          .is_final = is_final,
          .patch = "{\"mark\":\"" + mark + "\"}"};
}

std::string marks(Outbox& outbox) {
  std::string all;
  while (const auto* front = outbox.front()) {
    all += front->patch.substr(9, front->patch.size() - 11) + " ";
    EXPECT_TRUE(outbox.remove(front->number));
  }
  return all;
}

class OutboxTest : public ::testing::Test {
 protected:
  Outbox open(Outbox::Limits limits = {}) {
    auto outbox = Outbox::open(folder_.path() / "outbox", log_, limits);
    GODWIT_CHECK(outbox.has_value());
    return *std::move(outbox);
  }
  TempFolder folder_;
  NullLog log_;
};

TEST_F(OutboxTest, keeps_its_order_over_a_restart) {
  {
    auto outbox = open();
    for (int i = 0; i < 12; ++i) ASSERT_TRUE(outbox.put(entry("w" + std::to_string(i), 1, false, std::to_string(i))));
  }
  auto again = open();
  EXPECT_EQ(marks(again), "0 1 2 3 4 5 6 7 8 9 10 11 ");
  EXPECT_EQ(open().size(), 0U) << "removed entries do not come back";
}

TEST_F(OutboxTest, the_same_report_again_replaces_the_older) {
  auto outbox = open();
  ASSERT_TRUE(outbox.put(entry("w", 1, true, "old")));
  ASSERT_TRUE(outbox.put(entry("w", 1, true, "new")));
  EXPECT_EQ(marks(outbox), "new ");
}

TEST_F(OutboxTest, above_the_limit_the_same_workflows_start_goes_first_and_no_final_report) {
  auto outbox = open({.entries = 3});
  ASSERT_TRUE(outbox.put(entry("a", 1, false, "a-start")));
  ASSERT_TRUE(outbox.put(entry("a", 1, true, "a-end")));
  ASSERT_TRUE(outbox.put(entry("b", 1, false, "b-start")));
  ASSERT_TRUE(outbox.put(entry("b", 1, true, "b-end")));
  EXPECT_EQ(outbox.size(), 3U);
  ASSERT_TRUE(outbox.put(entry("c", 1, true, "c-end")));
  const auto refused = outbox.put(entry("d", 1, true, "d-end"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::too_many);
  ASSERT_TRUE(outbox.put(entry("b", 2, true, "b-end-2")))
      << "a later end of the same workflow takes the place of the earlier";
  EXPECT_EQ(marks(outbox), "a-end c-end b-end-2 ");
}

TEST_F(OutboxTest, files_that_are_no_reports_are_removed) {
  {
    auto outbox = open();
    ASSERT_TRUE(outbox.put(entry("w", 1, true, "good")));
  }
  const Path folder = folder_.path() / "outbox";
  ASSERT_TRUE(write_file_durably(folder / "0000000000000009.report.json", "{\"version\":1"));
  ASSERT_TRUE(write_file_durably(folder / "0000000000000008.report.json.tmp-123", "rest of a cut write"));
  auto outbox = open();
  EXPECT_EQ(marks(outbox), "good ");
  EXPECT_TRUE(std::filesystem::is_empty(folder));
}

TEST_F(OutboxTest, a_report_above_the_limit_is_refused) {
  auto outbox = open({.entry_bytes = 100});
  const auto refused = outbox.put(entry("w", 1, true, std::string(200, 'x')));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::too_large);
}

}  // namespace
}  // namespace godwit::agent
