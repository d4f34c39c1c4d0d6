// The promises of Store, kept by the SQLite engine: order, rollback, group commit, snapshots, a full disk.
#include "server/store/sqlite/sqlite_store.hpp"
#include "core/trust/test_sealer.hpp"

#include <sys/mount.h>
#include <unistd.h>

#include <atomic>
#include <future>
#include <thread>

#include "server/store/testing.hpp"

namespace godwit::store {
namespace {

Result<void> set(Records& records, std::string_view key, std::string_view value) {
  return records.access().save_setting(key, value);
}

std::optional<std::string> get(Store& store, std::string_view key) {
  std::optional<std::string> value;
  const auto outcome = store.read([&](Records& records) -> Result<void> {
    GODWIT_TRY(value, records.access().find_setting(key));
    return {};
  });
  EXPECT_TRUE(outcome) << outcome.error().message;
  return value;
}

/// Holds the writer inside a job until released, so that later jobs fall into one batch.
class Gate {
 public:
  explicit Gate(Store& store) {
    store.submit(
        [this](Records&) -> Result<void> {
          entered_.set_value();
          opened_.get_future().wait();
          return {};
        },
        [](Result<void>) {});
    entered_.get_future().wait();
  }
  void open() { opened_.set_value(); }

 private:
  std::promise<void> entered_;
  std::promise<void> opened_;
};

}  // namespace

TEST(SqliteStore, a_write_is_seen_by_a_read_and_by_the_next_opening) {
  TemporaryFolder folder;
  SystemClock clock;
  NullLog log;
  {
    auto store = open_sqlite_store(folder.path() / "a" / "db.sqlite", trust::test_sealer(), clock, log).value();
    ASSERT_TRUE(store->write([](Records& records) { return set(records, "k", "v"); }));
    EXPECT_EQ(get(*store, "k"), "v");
  }
  auto store = open_sqlite_store(folder.path() / "a" / "db.sqlite", trust::test_sealer(), clock, log).value();
  EXPECT_EQ(get(*store, "k"), "v");
}

TEST(SqliteStore, a_second_process_is_refused) {
  TestStore test;
  const auto second = open_sqlite_store(test.folder.path() / "test.sqlite", trust::test_sealer(), test.clock, test.log);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::conflict);
}

TEST(SqliteStore, a_failing_job_of_a_batch_is_rolled_back_alone) {
  TestStore test;
  Gate gate(*test.store);
  std::promise<Result<void>> bad;
  test.store->submit([](Records& records) { return set(records, "before", "1"); }, [](Result<void>) {});
  test.store->submit(
      [](Records& records) -> Result<void> {
        GODWIT_TRY_VOID(set(records, "bad", "1"));
        return fail(Code::conflict, "no");
      },
      [&](Result<void> result) { bad.set_value(std::move(result)); });
  auto thrown = std::async(std::launch::async, [&] {
    return test.store->write([](Records& records) -> Result<void> {
      (void)set(records, "thrown", "1");
      throw std::runtime_error("oops");
    });
  });
  gate.open();
  ASSERT_TRUE(test.store->write([](Records& records) { return set(records, "after", "1"); }));
  EXPECT_EQ(bad.get_future().get().error().code, Code::conflict);
  EXPECT_EQ(thrown.get().error().code, Code::internal);
  EXPECT_EQ(get(*test.store, "before"), "1");
  EXPECT_EQ(get(*test.store, "bad"), std::nullopt);
  EXPECT_EQ(get(*test.store, "thrown"), std::nullopt);
  EXPECT_EQ(get(*test.store, "after"), "1");
}

TEST(SqliteStore, actions_and_answers_follow_the_commit_in_order_and_a_rolled_back_action_is_forgotten) {
  TestStore test;
  Gate gate(*test.store);
  std::vector<std::string> events;  // touched on the writer thread only
  bool was_committed_at_action = false;
  test.store->submit(
      [&](Records& records) -> Result<void> {
        records.after_commit([&] {
          was_committed_at_action = get(*test.store, "second") == "1";
          events.push_back("action 1");
        });
        return set(records, "first", "1");
      },
      [&](Result<void>) { events.push_back("done 1"); });
  test.store->submit(
      [&](Records& records) -> Result<void> {
        records.after_commit([&] { events.push_back("action 2"); });
        return fail(Code::refused, "no");
      },
      [&](Result<void>) { events.push_back("done 2"); });
  test.store->submit(
      [&](Records& records) {
        records.after_commit([&] { events.push_back("action 3"); });
        return set(records, "second", "1");
      },
      [&](Result<void>) { events.push_back("done 3"); });
  gate.open();
  ASSERT_TRUE(test.store->write([](Records&) -> Result<void> { return {}; }));
  EXPECT_EQ(events, (std::vector<std::string>{"action 1", "done 1", "done 2", "action 3", "done 3"}));
  EXPECT_TRUE(was_committed_at_action) << "the three jobs share one commit, which came before the first action";
}

TEST(SqliteStore, a_read_sees_one_snapshot_while_writes_go_on) {
  TestStore test;
  ASSERT_TRUE(test.store->write([](Records& records) { return set(records, "k", "old"); }));
  const auto outcome = test.store->read([&](Records& records) -> Result<void> {
    GODWIT_TRY(const auto first, records.access().find_setting("k"));
    auto writing = std::async(
        std::launch::async, [&] { return test.store->write([](Records& writer) { return set(writer, "k", "new"); }); });
    GODWIT_TRY_VOID(writing.get());
    GODWIT_TRY(const auto second, records.access().find_setting("k"));
    EXPECT_EQ(first, "old");
    EXPECT_EQ(second, "old");
    return {};
  });
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(get(*test.store, "k"), "new");
}

TEST(SqliteStore, writing_inside_a_read_is_an_internal_error) {
  TestStore test;
  const auto outcome = test.store->read([](Records& records) { return set(records, "k", "v"); });
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, Code::internal);
  EXPECT_EQ(get(*test.store, "k"), std::nullopt);
}

TEST(SqliteStore, a_job_sees_the_writes_of_earlier_jobs_of_its_batch) {
  TestStore test;
  Gate gate(*test.store);
  std::optional<std::string> seen;
  test.store->submit([](Records& records) { return set(records, "k", "v"); }, [](Result<void>) {});
  test.store->submit(
      [&](Records& records) -> Result<void> {
        GODWIT_TRY(seen, records.access().find_setting("k"));
        return {};
      },
      [](Result<void>) {});
  gate.open();
  ASSERT_TRUE(test.store->write([](Records&) -> Result<void> { return {}; }));
  EXPECT_EQ(seen, "v");
}

TEST(SqliteStore, closing_answers_everything_that_was_queued) {
  std::atomic<int> answered = 0;
  {
    TestStore test;
    for (int i = 0; i < 300; ++i)
      test.store->submit([i](Records& records) { return set(records, std::to_string(i), "x"); },
                         [&](Result<void> result) { answered += result ? 1 : 0; });
  }
  EXPECT_EQ(answered, 300);
}

TEST(SqliteStore, many_threads_read_and_write_at_once) {
  TestStore test;
  std::vector<std::thread> threads;
  std::atomic<int> failures = 0;
  for (int t = 0; t < 24; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 10; ++i) {
        const std::string key = std::to_string(t) + "/" + std::to_string(i);
        if (!test.store->write([&](Records& records) { return set(records, key, "x"); })) ++failures;
        if (get(*test.store, key) != "x") ++failures;
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
}

// A small file system of its own fills up; jobs that fit go on, the one that does not names the cause, and room brings
// it back.
TEST(SqliteStore, a_full_disk_fails_the_write_with_its_cause_and_later_writes_work_again) {
  TemporaryFolder folder;
  if (::mount("tmpfs", folder.path().c_str(), "tmpfs", 0, "size=3m") != 0)
    GTEST_SKIP() << "cannot mount a tmpfs here (needs root)";
  {
    SystemClock clock;
    NullLog log;
    auto store = open_sqlite_store(folder.path() / "db.sqlite", trust::test_sealer(), clock, log).value();
    ASSERT_TRUE(store->write([](Records& records) { return set(records, "kept", "yes"); }));
    const std::string large(8 * 1024 * 1024, 'x');
    Gate gate(*store);
    std::promise<Result<void>> beside;
    store->submit([](Records& records) { return set(records, "beside", "yes"); },
                  [&](Result<void> result) { beside.set_value(std::move(result)); });
    auto full = std::async(std::launch::async, [&] {
      return store->write([&](Records& records) { return set(records, "large", large); });
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    gate.open();
    const auto outcome = full.get();
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().code, Code::disk_full) << outcome.error().message;
    EXPECT_TRUE(beside.get_future().get()) << "a neighbour in the batch is not lost";
    EXPECT_TRUE(store->write([](Records& records) { return set(records, "small", "yes"); }));
    EXPECT_EQ(get(*store, "kept"), "yes");
    EXPECT_EQ(get(*store, "beside"), "yes");
    EXPECT_EQ(get(*store, "large"), std::nullopt);
  }
  EXPECT_EQ(::umount(folder.path().c_str()), 0);
}

}  // namespace godwit::store
