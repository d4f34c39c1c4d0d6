#include "device/slots/guard.hpp"

#include <gtest/gtest.h>

#include "core/base/testing/temp_folder.hpp"
#include "device/slots/host_disk.hpp"

namespace godwit::slots {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

class KeptState final : public BootSwitch {
 public:
  Result<BootState> read() override {
    if (damaged) return fail(Code::refused, "no copy is whole");
    return state;
  }
  Result<void> write(const BootState&) override { return fail(Code::refused, "the guard changes no boot state"); }
  BootState state;
  bool damaged = false;
};

class QuietLog final : public Log {
 public:
  void write(LogLevel, std::string_view, std::initializer_list<LogField>) override {}
};

/// A device whose time passes only while its guard waits.
class GuardTest : public ::testing::Test {
 protected:
  void SetUp() override {
    places_.contents = temporary_.path() / "contents.json";
    places_.running = Side::b;
    boot_.state = {.good = Side::a, .trial = Side::b, .attempts_left = 2, .failed = {}};
    Contents contents;
    contents.of(Side::b) = Held{.image = {.size = 4096, .sha256 = Bytes(32, 'x')}, .attempts = 3, .last_words = {}};
    ASSERT_TRUE(store_contents(disk_, places_.contents, contents));
  }
  GuardPorts ports(bool with_watchdog) {
    GuardPorts made{.up = [this] { return up_; },
                    .feed = {},
                    .wait =
                        [this](Duration time) {
                          up_ += time;
                          if (confirmed_at_ && up_ >= *confirmed_at_)
                            boot_.state = {.good = Side::b, .trial = {}, .attempts_left = 0, .failed = {}};
                          return up_ < ends_at_;
                        },
                    .restart = [this]() -> Result<void> {
                      ++restarts_;
                      if (restart_fails_) return fail(Code::io_failed, "no init answers");
                      return {};
                    },
                    .restart_at_once = [this] { ++hard_restarts_; }};
    if (with_watchdog)
      made.feed = [this]() -> Result<void> {
        last_feed_ = up_;
        return {};
      };
    return made;
  }
  Result<void> guard(bool with_watchdog = true) {
    QuietLog log;
    return guard_trial(disk_, boot_, places_, minutes(2), ports(with_watchdog), log);
  }
  std::string last_words() { return load_contents(disk_, places_.contents)->of(Side::b)->last_words; }

  const TempFolder temporary_;
  HostDisk disk_;
  KeptState boot_;
  Places places_;
  Duration up_ = seconds(10);
  Duration ends_at_ = minutes(30);
  Duration last_feed_{};
  std::optional<Duration> confirmed_at_;
  int restarts_ = 0;
  int hard_restarts_ = 0;
  bool restart_fails_ = false;
};

TEST_F(GuardTest, a_side_that_nobody_confirms_is_restarted_and_says_why) {
  ends_at_ = seconds(150);  // the restart ends the guard
  ASSERT_TRUE(guard());
  EXPECT_EQ(restarts_, 1);
  EXPECT_EQ(hard_restarts_, 0);
  EXPECT_LT(last_feed_, minutes(2)) << "a device that is given up is not kept alive";
  EXPECT_NE(last_words().find("nobody confirmed it within 2m"), std::string::npos) << last_words();
}

TEST_F(GuardTest, a_restart_that_does_not_come_is_done_by_the_kernel) {
  ASSERT_TRUE(guard());
  EXPECT_EQ(restarts_, 1);
  EXPECT_EQ(hard_restarts_, 1);
  EXPECT_GE(up_, minutes(3));
  restart_fails_ = true;
  EXPECT_FALSE(guard());
  EXPECT_EQ(hard_restarts_, 2);
}

TEST_F(GuardTest, a_side_that_is_confirmed_in_time_is_left_alone_and_its_watchdog_fed) {
  confirmed_at_ = seconds(90);
  ASSERT_TRUE(guard());
  EXPECT_EQ(restarts_ + hard_restarts_, 0);
  EXPECT_GE(last_feed_, minutes(29));
  EXPECT_EQ(last_words(), "");
}

TEST_F(GuardTest, without_watchdog_it_ends_as_soon_as_there_is_nothing_to_guard) {
  confirmed_at_ = seconds(90);
  ASSERT_TRUE(guard(false));
  EXPECT_LE(up_, seconds(100));
  EXPECT_EQ(restarts_, 0);
}

TEST_F(GuardTest, a_damaged_boot_state_restarts_nothing) {
  boot_.damaged = true;
  ASSERT_TRUE(guard());
  EXPECT_EQ(restarts_ + hard_restarts_, 0);
  EXPECT_GE(last_feed_, minutes(29));
}

}  // namespace
}  // namespace godwit::slots
