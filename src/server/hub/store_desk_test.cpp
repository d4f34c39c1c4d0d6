// Goal: nothing that is asked of the store is lost or answered twice, and writes keep their order.
#include "server/hub/store_desk.hpp"

#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "server/store/testing.hpp"

namespace godwit::hub {
namespace {

struct StoreDeskTest : ::testing::Test, store::TestStore {
  StoreDeskTest() { loop.start(); }
  ~StoreDeskTest() override {
    desk.stop_reads();
    loop.run_and_wait([this] { desk.hurry(); });
    desk.wait_for_writes();
    loop.stop();
  }
  static Result<void> set(store::Records& records, const std::string& value) {
    return records.access().save_setting("value", value);
  }
  std::string stored() {
    std::string found;
    EXPECT_TRUE(store
                    ->read([&](store::Records& records) -> Result<void> {
                      GODWIT_TRY(const auto text, records.access().find_setting("value"));
                      found = text.value_or("");
                      return {};
                    })
                    .has_value());
    return found;
  }
  /// Lets the loop run what has been posted, and what that posts.
  void settle(const std::function<bool()>& is_done) {
    for (int round = 0; round < 10'000; ++round) {
      bool done = false;
      loop.run_and_wait([&] { done = is_done(); });
      if (done) return;
      std::this_thread::yield();
    }
    FAIL() << "the desk did not answer";
  }

  net::Loop loop{"desk"};
  StoreDesk desk{loop, *store, std::chrono::hours(1)};  // gathered writes wait until they must
};

TEST_F(StoreDeskTest, EachReadOfATurnIsAnsweredOnceOnTheLoop) {
  std::vector<int> answers(100);
  int total = 0;
  loop.run_and_wait([&] {
    for (std::size_t i = 0; i < answers.size(); ++i)
      desk.read(
          [i](store::Records&) -> Result<void> { return i % 2 == 0 ? Result<void>{} : fail(Code::not_found, "odd"); },
          [&, i](const Result<void>& outcome) {
            EXPECT_TRUE(loop.is_current());
            EXPECT_EQ(outcome.has_value(), i % 2 == 0);
            ++answers[i];
            ++total;
          });
  });
  settle([&] { return total == 100; });
  EXPECT_EQ(answers, std::vector<int>(100, 1));
}

TEST_F(StoreDeskTest, AReadThatThrowsFailsAndTheOthersOfItsTurnAreAnsweredToo) {
  std::vector<std::optional<Code>> answers(3);
  int total = 0;
  loop.run_and_wait([&] {
    for (std::size_t i = 0; i < 3; ++i)
      desk.read(
          [i](store::Records&) -> Result<void> {
            if (i == 1) throw std::runtime_error("broken");
            return {};
          },
          [&, i](const Result<void>& outcome) {
            if (!outcome) answers[i] = outcome.error().code;
            ++total;
          });
  });
  settle([&] { return total == 3; });
  EXPECT_EQ(answers[0], std::nullopt);
  EXPECT_EQ(answers[1], Code::internal);
  EXPECT_EQ(answers[2], Code::internal) << "it was not run and must not be called done";
}

TEST_F(StoreDeskTest, AWriteFollowsThoseThatWereHeldBack) {
  int answered = 0;
  const auto count = [&](const Result<void>& outcome) { answered += outcome ? 1 : 0; };
  loop.run_and_wait([&] {
    desk.write_soon([](store::Records& records) { return set(records, "early"); }, count);
    desk.write([](store::Records& records) { return set(records, "late"); }, count);
  });
  settle([&] { return answered == 2; });
  EXPECT_EQ(stored(), "late");
}

TEST_F(StoreDeskTest, AHeldBackWriteComesByItselfAndWhenHurried) {
  int answered = 0;
  const auto count = [&](const Result<void>& outcome) { answered += outcome ? 1 : 0; };
  loop.run_and_wait([&] { desk.write_soon([](store::Records& records) { return set(records, "held"); }, count); });
  EXPECT_EQ(stored(), "");
  loop.run_and_wait([&] { desk.hurry(); });
  settle([&] { return answered == 1; });
  EXPECT_EQ(stored(), "held");

  StoreDesk quick(loop, *store, Duration(1));
  loop.run_and_wait([&] { quick.write_soon([](store::Records& records) { return set(records, "timed"); }, count); });
  settle([&] { return answered == 2; });
  EXPECT_EQ(stored(), "timed");
}

}  // namespace
}  // namespace godwit::hub
