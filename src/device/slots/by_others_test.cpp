// An image that another program writes onto the free side. Goal: wherever the power goes, the side is tried only when
// it was read back after that program had ended, and the device boots a whole side. Method: the calls of such an
// installer on a disk that forgets, cut in each of their operations, begun again after each start. faults: 52, 53, 54
#include <gtest/gtest.h>

#include "device/slots/slots.hpp"
#include "device/slots/testing/fake_boot_loader.hpp"
#include "device/slots/testing/fake_disk.hpp"
#include "device/slots/uboot_switch.hpp"

namespace godwit::slots {
namespace {

using testing::FakeBootLoader;
using testing::FakeDisk;
using testing::Loss;
using testing::PowerCut;

const Path kSideA = "/dev/a";
const Path kSideB = "/dev/b";
const Path kBoot = "/boot/state";
const Path kContents = "/data/contents.json";
constexpr std::size_t kPartition = 8 * 1024;
constexpr WriterOptions kWriter{.chunk = 2048, .grain = 512, .window = 2048};

class ByOthers : public ::testing::Test {
 protected:
  ByOthers() { reset(); }
  void reset() {
    disk_ = std::make_unique<FakeDisk>();
    disk_->put(kSideA, Bytes(kPartition, 'a'));
    disk_->put(kSideB, Bytes(kPartition, 'x'));
    const Bytes copy = *print_uboot({.words = {{"good", "A"}}, .flag = 0}, 512, UBootFormat::plain);
    disk_->put(kBoot, copy + copy);
    boot_ = std::make_unique<UBootSwitch>(
        *disk_,
        UBootPlace{.copies = {UBootCopy{kBoot, 0}, UBootCopy{kBoot, 512}}, .size = 512, .format = UBootFormat::plain});
  }
  Slots slots(Side running = Side::a) {
    return {*disk_,
            *boot_,
            {.sides = {kSideA, kSideB}, .running = running, .contents = kContents, .attempts = 3, .writer = kWriter}};
  }
  /// What SWUpdate does: it writes and leaves the sync to others.
  void write_b(char with) {
    const auto file = *disk_->open(kSideB, OpenMode::write);
    for (ByteCount at = 0; at < kPartition; at += 2048) ASSERT_TRUE(file->write_at(at, std::string(2048, with)));
  }
  Answer::Kind kind(const Result<Answer>& answer) {
    EXPECT_TRUE(answer) << answer.error().message;
    last_words_ = answer ? answer->details : "";
    return answer ? answer->kind : Answer::Kind::done;
  }
  Side start() { return *FakeBootLoader(*boot_).pick(); }
  const Slots::HealthCheck healthy_ = []() -> Result<void> { return {}; };

  std::unique_ptr<FakeDisk> disk_;
  std::unique_ptr<BootSwitch> boot_;
  std::string last_words_;
};

TEST_F(ByOthers, a_side_is_freed_written_tried_and_kept) {
  EXPECT_EQ(kind(slots().settle(healthy_)), Answer::Kind::done) << "nothing is on trial";
  EXPECT_EQ(kind(slots().free_other()), Answer::Kind::done);
  write_b('b');
  EXPECT_EQ(kind(slots().take_over(0, {}, {})), Answer::Kind::restart);
  EXPECT_EQ(kind(slots().settle(healthy_)), Answer::Kind::not_tried);
  EXPECT_EQ(start(), Side::b);
  EXPECT_EQ(kind(slots(Side::b).free_other()), Answer::Kind::blocked) << "A is the only good side";
  const auto ill = [] { return Result<void>(fail(Code::timed_out, "the oven stays cold")); };
  EXPECT_EQ(kind(slots(Side::b).settle(ill)), Answer::Kind::unhealthy);
  EXPECT_EQ(kind(slots(Side::b).settle(healthy_)), Answer::Kind::done);
  EXPECT_EQ(boot_->read()->good, Side::b);
  EXPECT_EQ(kind(slots(Side::b).settle(healthy_)), Answer::Kind::done);
  EXPECT_EQ(slots(Side::b).look()->contents.of(Side::b)->image.sha256, sha256(std::string(kPartition, 'b')));
}

TEST_F(ByOthers, a_side_that_falls_back_says_so_and_may_be_written_again) {
  ASSERT_EQ(kind(slots().free_other()), Answer::Kind::done);
  write_b('b');
  ASSERT_EQ(kind(slots().take_over(0, {}, {})), Answer::Kind::restart);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(start(), Side::b);
  EXPECT_EQ(start(), Side::a);
  EXPECT_EQ(kind(slots().settle(healthy_)), Answer::Kind::fell_back);
  EXPECT_NE(last_words_.find("3 of 3 attempts used"), std::string::npos) << last_words_;
  EXPECT_EQ(kind(slots().take_over(0, {}, {})), Answer::Kind::not_there) << "it was not freed";
  EXPECT_EQ(kind(slots().free_other()), Answer::Kind::done);
  EXPECT_EQ(kind(slots().settle(healthy_)), Answer::Kind::done);
}

TEST_F(ByOthers, what_was_not_confirmed_is_taken_back) {
  EXPECT_EQ(kind(slots().take_back()), Answer::Kind::done);
  ASSERT_EQ(kind(slots().free_other()), Answer::Kind::done);
  write_b('b');
  ASSERT_EQ(kind(slots().take_over(0, {}, {})), Answer::Kind::restart);
  EXPECT_EQ(kind(slots().take_back()), Answer::Kind::done);
  EXPECT_EQ(start(), Side::a);
  ASSERT_EQ(kind(slots().free_other()), Answer::Kind::done);
  ASSERT_EQ(kind(slots().take_over(0, {}, {})), Answer::Kind::restart);
  EXPECT_EQ(start(), Side::b);
  EXPECT_EQ(kind(slots(Side::b).take_back()), Answer::Kind::restart);
  EXPECT_EQ(start(), Side::a);
}

TEST_F(ByOthers, a_side_that_holds_something_else_than_was_said_is_not_tried) {
  ASSERT_EQ(kind(slots().free_other()), Answer::Kind::done);
  write_b('b');
  const Bytes digest = sha256(std::string(3000, 'b'));
  EXPECT_EQ(slots().take_over(3001, digest, {}).error().code, Code::digest_mismatch);
  EXPECT_EQ(slots().take_over(kPartition + 1, digest, {}).error().code, Code::too_large);
  EXPECT_EQ(start(), Side::a);
  EXPECT_EQ(kind(slots().take_over(3000, digest, {})), Answer::Kind::restart);
}

TEST_F(ByOthers, power_may_go_at_any_operation) {
  int cuts = 0;
  for (const Loss loss : {Loss::all, Loss::nothing, Loss::random}) {
    for (int cut = 0;; ++cut) {
      reset();
      disk_->cuts = {cut};
      bool was_cut = false;
      const auto install = [&] {
        ASSERT_EQ(kind(slots().free_other()), Answer::Kind::done);
        write_b('b');
        ASSERT_EQ(kind(slots().take_over(0, {}, {})), Answer::Kind::restart);
      };
      try {
        install();
      } catch (const PowerCut&) {
        was_cut = true;
        ++cuts;
        disk_->lose_power(loss, static_cast<std::uint64_t>(cut));
        const auto state = boot_->read();
        ASSERT_TRUE(state) << "cut " << cut << ": no copy of the boot state is whole";
        if (state->trial == Side::b) {
          ASSERT_EQ(disk_->durable(kSideB), Bytes(kPartition, 'b')) << "cut " << cut;
          ASSERT_TRUE(slots().look()->contents.of(Side::b)) << "cut " << cut;
        } else {
          ASSERT_EQ(start(), Side::a) << "cut " << cut;
          install();
        }
      }
      disk_->cuts.clear();
      ASSERT_EQ(start(), Side::b) << "cut " << cut;
      ASSERT_EQ(disk_->durable(kSideB), Bytes(kPartition, 'b')) << "cut " << cut;
      ASSERT_EQ(kind(slots(Side::b).settle(healthy_)), Answer::Kind::done);
      if (!was_cut) break;
    }
  }
  EXPECT_GT(cuts, 20);
}

}  // namespace
}  // namespace godwit::slots
