// An acknowledged write survives SIGKILL. A child process writes from four threads and tells each acknowledged key over
// a pipe; it is killed in the middle; every key that was told must be there when the database is opened again.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "server/store/testing.hpp"

namespace godwit::store {
namespace {

[[noreturn]] void write_for_ever(const Path& file, int pipe) {
  SystemClock clock;
  NullLog log;
  auto store = open_sqlite_store(file, trust::test_sealer(), clock, log);
  if (!store) ::_exit(2);
  for (std::uint32_t key = 0;; ++key)
    (*store)->submit(
        [key](Records& records) { return records.access().save_setting(std::to_string(key), std::string(200, 'v')); },
        [key, pipe](Result<void> result) {
          if (!result || ::write(pipe, &key, sizeof key) != sizeof key) ::_exit(3);
        });
}

}  // namespace

TEST(Crash, every_acknowledged_write_is_there_after_kill_9) {
  TemporaryFolder folder;
  const Path file = folder.path() / "db.sqlite";
  SystemClock clock;
  NullLog log;
  std::uint32_t acknowledged_in_all = 0;
  for (int round = 0; round < 4; ++round) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      ::close(ends[0]);
      write_for_ever(file, ends[1]);
    }
    ::close(ends[1]);
    std::uint32_t last = 0;
    std::uint32_t count = 0;
    const std::uint32_t enough = 300U + static_cast<std::uint32_t>(round) * 211U;
    while (::read(ends[0], &last, sizeof last) == sizeof last)
      if (++count == enough) ::kill(child, SIGKILL);
    ::close(ends[0]);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself with status " << status;
    ASSERT_GE(count, enough);
    acknowledged_in_all += count;
    auto store = open_sqlite_store(file, trust::test_sealer(), clock, log).value();
    const auto outcome = store->read([&](Records& records) -> Result<void> {
      for (std::uint32_t key = 0; key <= last; ++key) {
        GODWIT_TRY(const auto value, records.access().find_setting(std::to_string(key)));
        EXPECT_EQ(value, std::string(200, 'v')) << "key " << key << " of round " << round;
      }
      return {};
    });
    ASSERT_TRUE(outcome) << outcome.error().message;
    ASSERT_TRUE(store->write([&](Records& records) -> Result<void> {  // the next round starts from nothing
      for (std::uint32_t key = 0; key <= last; ++key)
        GODWIT_TRY_VOID(records.access().save_setting(std::to_string(key), ""));
      return {};
    }));
  }
  EXPECT_GT(acknowledged_in_all, 1200U);
}

}  // namespace godwit::store
