#include "tools/fleet/ledger.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>

namespace godwit::fleet {
namespace {

TEST(Ledger, keeps_the_last_promise_to_each_device) {
  const auto ledger = parse_ledger("a 1 2\nb 1 2\na 2 3\na 7 9\n");
  ASSERT_TRUE(ledger) << ledger.error().message;
  EXPECT_EQ(ledger->at("a").sequence, 7U);
  EXPECT_EQ(ledger->at("a").version, 9U);
  EXPECT_EQ(ledger->at("b").version, 2U);
}

TEST(Ledger, a_version_that_did_not_rise_is_found) {
  const auto ledger = parse_ledger("a 1 2\na 2 2\n");
  ASSERT_FALSE(ledger);
  EXPECT_EQ(ledger.error().message, "ledger line 2: device a went from sequence 1 version 2 to sequence 2 version 2");
  EXPECT_FALSE(parse_ledger("a 2 5\na 1 6\n")) << "an older patch acknowledged after a newer one";
}

TEST(Ledger, a_line_that_is_none_is_named) {
  for (const char* bad : {"a 1 2\na", "a 1 2\na 3", "a 1 2\na x 3", "a 1 2\na 3 4 5"}) {
    const auto ledger = parse_ledger(bad);
    ASSERT_FALSE(ledger) << bad;
    EXPECT_TRUE(ledger.error().message.starts_with("ledger line 2 ")) << ledger.error().message;
  }
}

TEST(Ledger, what_was_noted_is_read_back_and_appended_to) {
  char folder[] = "/tmp/godwit-ledger-XXXXXX";
  ASSERT_NE(::mkdtemp(folder), nullptr);
  const Path file = Path(folder) / "ledger";
  for (const std::uint64_t round : {1U, 2U}) {
    auto writer = LedgerWriter::open(file);
    ASSERT_TRUE(writer);
    writer->note("a", {.sequence = round, .version = round + 1});
    EXPECT_TRUE(writer->flush());
  }
  const auto ledger = read_ledger(file);
  ASSERT_TRUE(ledger) << ledger.error().message;
  EXPECT_EQ(ledger->at("a").sequence, 2U);
  EXPECT_TRUE(remove_tree(folder));
}

TEST(Ledger, a_full_disk_shows_at_flush) {
  auto writer = LedgerWriter::open("/dev/full");
  ASSERT_TRUE(writer);
  writer->note("a", {.sequence = 1, .version = 2});
  EXPECT_FALSE(writer->flush());
}

TEST(Ledger, a_twin_may_be_ahead_of_its_promise_but_not_behind) {
  const Promise promise{.sequence = 5, .version = 9};
  EXPECT_EQ(broken_promise(promise, {.sequence = 5, .version = 9}), "");
  EXPECT_EQ(broken_promise(promise, {.sequence = 6, .version = 10}), "") << "durable, acknowledgement lost";
  EXPECT_EQ(broken_promise(promise, {.sequence = 4, .version = 9}), "patch 5 was acknowledged, the twin shows 4");
  EXPECT_EQ(broken_promise(promise, {.sequence = 5, .version = 8}), "version 9 was acknowledged, the twin is at 8");
  EXPECT_EQ(broken_promise(promise, {.sequence = {}, .version = 9}), "patch 5 was acknowledged, the twin has none");
}

}  // namespace
}  // namespace godwit::fleet
