// Pairs of a device: what comes for them, what is copied, what is refused before anything has changed. Goal: both sides
// have what belongs to them, and nothing of the running side is written. Method: the real doors on a disk in memory,
// one pair of partitions and one of files. Power cuts with pairs: cut_test.cpp.
#include "device/slots/pairs.hpp"

#include <gtest/gtest.h>

#include "device/slots/slots.hpp"
#include "device/slots/testing/bytes_source.hpp"
#include "device/slots/testing/fake_boot_loader.hpp"
#include "device/slots/testing/fake_disk.hpp"
#include "device/slots/uboot_switch.hpp"

namespace godwit::slots {
namespace {

using testing::FakeBootLoader;
using testing::FakeDisk;
using testing::Loss;
using testing::PowerCut;
using testing::source_of;

constexpr WriterOptions kWriter{.chunk = 2048, .grain = 512, .window = 2048};
const Path kContents = "/data/contents.json";
const Pair kFirmware{.name = "firmware", .places = {"/dev/firmware-a", "/dev/firmware-b"}};
const Pair kKernel{.name = "kernel", .places = {"/efi/A/kernel", "/efi/B/kernel"}, .is_file = true};

class Pairs : public ::testing::Test {
 protected:
  Pairs() {
    disk_.put("/dev/a", Bytes(8192, 'a'));
    disk_.put("/dev/b", Bytes(8192, 'x'));
    disk_.put(kFirmware.of(Side::a), Bytes(4096, 'f'));
    disk_.put(kFirmware.of(Side::b), Bytes(4096, 'x'));
    disk_.put(kKernel.of(Side::a), "the kernel of A");
    const Bytes copy = *print_uboot({.words = {{"good", "A"}}, .flag = 0}, 512, UBootFormat::plain);
    disk_.put("/boot/state", copy + copy);
  }
  Slots slots(Side running = Side::a) {
    return {disk_,
            boot_,
            {.sides = {"/dev/a", "/dev/b"},
             .running = running,
             .contents = kContents,
             .attempts = 3,
             .writer = kWriter,
             .pairs = pairs_}};
  }
  using Brought = std::map<std::string, Bytes>;
  static Image image_of(const Brought& brought) {
    Image image{.size = kImage.size(), .sha256 = sha256(kImage)};
    for (const auto& [name, bytes] : brought) image.pairs[name] = sha256("packed " + bytes);
    return image;
  }
  Result<Answer> install(const Brought& brought, Side running = Side::a) {
    PairSources sources;
    for (const auto& [name, bytes] : brought) sources[name] = source_of(bytes);
    return slots(running).install(image_of(brought), source_of(kImage), nullptr, {}, sources);
  }
  void expect_refused(const Brought& brought, Code code, std::string_view words) {
    const FakeDisk before = disk_;
    const auto refused = install(brought);
    ASSERT_FALSE(refused) << words;
    EXPECT_EQ(refused.error().code, code) << refused.error().message;
    EXPECT_NE(refused.error().message.find(words), std::string::npos) << refused.error().message;
    EXPECT_EQ(disk_.operations(), before.operations()) << "nothing was written: " << refused.error().message;
  }
  Bytes on(const Pair& pair, Side side) { return disk_.durable(pair.of(side)); }
  Side start() { return *FakeBootLoader(boot_).pick(); }
  /// Side B runs on trial and is kept.
  void keep_b(const Brought& brought) {
    ASSERT_EQ(start(), Side::b);
    ASSERT_EQ(slots(Side::b).apply(image_of(brought), healthy_)->kind, Answer::Kind::done);
  }

  static inline const Bytes kImage = Bytes(5000, 'i');
  const Slots::HealthCheck healthy_ = []() -> Result<void> { return {}; };
  const Bytes new_firmware_ = Bytes(3000, 'F');
  const Bytes new_kernel_ = Bytes(2500, 'K');
  FakeDisk disk_;
  std::vector<Pair> pairs_{kFirmware, kKernel};
  UBootSwitch boot_{disk_, UBootPlace{.copies = {UBootCopy{"/boot/state", 0}, UBootCopy{"/boot/state", 512}},
                                      .size = 512,
                                      .format = UBootFormat::plain}};
};

TEST_F(Pairs, what_comes_along_lies_in_the_places_of_the_new_side) {
  const Brought both{{"firmware", new_firmware_}, {"kernel", new_kernel_}};
  const auto installed = install(both);
  ASSERT_TRUE(installed) << installed.error().message;
  EXPECT_EQ(installed->kind, Answer::Kind::restart);
  EXPECT_TRUE(on(kFirmware, Side::b).starts_with(new_firmware_ + "xx"));
  EXPECT_EQ(on(kKernel, Side::b), new_kernel_);
  EXPECT_EQ(on(kFirmware, Side::a), Bytes(4096, 'f'));
  EXPECT_EQ(on(kKernel, Side::a), "the kernel of A");
  EXPECT_EQ(*slots().stage(image_of(both)), Stage::due);
  const Held held = *slots().look()->contents.of(Side::b);
  EXPECT_EQ(held.pairs.at("kernel"), (PairContent{.size = new_kernel_.size(), .sha256 = sha256(new_kernel_)}));
  EXPECT_EQ(held.pairs.at("firmware"), (PairContent{.size = new_firmware_.size(), .sha256 = sha256(new_firmware_)}));
  keep_b(both);
  EXPECT_EQ(*slots(Side::b).stage(image_of(both)), Stage::good);
}

TEST_F(Pairs, an_image_with_another_kernel_is_another_image) {
  const Brought brought{{"kernel", new_kernel_}};
  ASSERT_TRUE(install(brought));
  keep_b(brought);
  EXPECT_EQ(*slots(Side::b).stage(image_of(brought)), Stage::good);
  const Brought newer{{"kernel", "newer"}};
  EXPECT_NE(*slots(Side::b).stage(image_of(newer)), Stage::good);
  EXPECT_NE(*slots(Side::b).stage(image_of({})), Stage::good) << "what it does not name it does not have by chance";
  ASSERT_EQ(install(newer, Side::b)->kind, Answer::Kind::restart);
  EXPECT_EQ(on(kKernel, Side::a), "newer");
  EXPECT_EQ(on(kKernel, Side::b), new_kernel_);
}

TEST_F(Pairs, what_the_update_does_not_name_is_copied_from_the_running_side) {
  ASSERT_EQ(install({})->kind, Answer::Kind::restart);
  EXPECT_EQ(on(kFirmware, Side::b), Bytes(4096, 'f')) << "nothing is known of A: all of it";
  EXPECT_EQ(on(kKernel, Side::b), "the kernel of A");
  keep_b({});
  const Brought brought{{"firmware", new_firmware_}};
  ASSERT_TRUE(install(brought, Side::b));
  EXPECT_EQ(on(kKernel, Side::a), "the kernel of A");
  EXPECT_TRUE(on(kFirmware, Side::a).starts_with(new_firmware_));
}

TEST_F(Pairs, of_a_partition_as_much_is_copied_as_was_written_onto_it) {
  const Brought brought{{"firmware", new_firmware_}, {"kernel", new_kernel_}};
  ASSERT_TRUE(install(brought));
  keep_b(brought);
  const ByteCount before = disk_.written_to(kFirmware.of(Side::a));
  ASSERT_TRUE(install({}, Side::b));
  EXPECT_EQ(on(kFirmware, Side::a), new_firmware_ + Bytes(1096, 'f'));
  EXPECT_EQ(disk_.written_to(kFirmware.of(Side::a)) - before, new_firmware_.size());
  EXPECT_EQ(slots(Side::b).look()->contents.of(Side::a)->pairs.at("firmware").size, new_firmware_.size());
}

TEST_F(Pairs, a_place_that_somebody_else_has_written_is_copied_whole) {
  const Brought brought{{"firmware", new_firmware_}, {"kernel", new_kernel_}};
  ASSERT_TRUE(install(brought));
  keep_b(brought);
  disk_.put(kFirmware.of(Side::b), Bytes(4096, 'o'));
  ASSERT_TRUE(install({}, Side::b));
  EXPECT_EQ(on(kFirmware, Side::a), Bytes(4096, 'o'));
}

TEST_F(Pairs, what_cannot_be_is_refused_before_anything_has_changed) {
  const Brought fits{{"firmware", new_firmware_}};
  ASSERT_TRUE(install(fits));
  const Bytes state = disk_.durable("/boot/state");
  expect_refused({{"dtb", "x"}}, Code::refused, "'dtb', but slots.toml of this device has only firmware, kernel");
  expect_refused({{"firmware", Bytes(4097, 'F')}}, Code::too_large, "more than the 4096 bytes");
  expect_refused({{"kernel", ""}}, Code::invalid_argument, "pair kernel of side B (/efi/B/kernel): ");
  disk_.free = 100'000;
  expect_refused({{"kernel", Bytes(100'000, 'k')}}, Code::too_large, "100000 bytes free, and 131072 more are needed");
  expect_refused({{"kernel", Bytes(200'000, 'k')}}, Code::too_large, "bytes that have room");
  EXPECT_EQ(disk_.durable("/boot/state"), state);
  EXPECT_EQ(*slots().stage(image_of(fits)), Stage::due) << "what was there before still is";
  pairs_.clear();
  expect_refused({{"kernel", "x"}}, Code::refused, "has no pairs");
}

TEST_F(Pairs, a_file_that_is_missing_on_the_running_side_has_to_come_along) {
  ASSERT_TRUE(disk_.remove(kKernel.of(Side::a)));
  expect_refused({{"firmware", new_firmware_}}, Code::refused, "/efi/A/kernel of the running side");
  EXPECT_EQ(install({{"kernel", new_kernel_}})->kind, Answer::Kind::restart);
}

TEST_F(Pairs, what_is_damaged_on_the_way_to_the_medium_is_never_tried) {
  class Forgetful final : public Disk {
   public:
    explicit Forgetful(FakeDisk& disk) : disk_(disk) {}
    Result<std::unique_ptr<DiskFile>> open(const Path& path, OpenMode mode) override {
      if (path == spoils && mode != OpenMode::read) {
        auto file = *disk_.open(path, mode);
        GODWIT_TRY(const ByteCount size, file->size());
        if (size > 700) GODWIT_TRY_VOID(file->write_at(700, "?"));
      }
      return disk_.open(path, mode);
    }
    Result<void> rename(const Path& from, const Path& to) override { return disk_.rename(from, to); }
    Result<void> remove(const Path& path) override { return disk_.remove(path); }
    Result<void> sync_folder(const Path& folder) override { return disk_.sync_folder(folder); }
    Result<std::vector<std::string>> list(const Path& folder) override { return disk_.list(folder); }
    Result<Room> room(const Path& folder) override { return disk_.room(folder); }
    Path spoils{};

   private:
    FakeDisk& disk_;
  };
  const Brought both{{"firmware", new_firmware_}, {"kernel", new_kernel_}};
  for (const Path& place : {kFirmware.of(Side::b), kKernel.of(Side::b)}) {
    Forgetful disk(disk_);
    disk.spoils = place;
    Slots door(disk, boot_,
               {.sides = {"/dev/a", "/dev/b"},
                .running = Side::a,
                .contents = kContents,
                .attempts = 3,
                .writer = kWriter,
                .pairs = pairs_});
    PairSources sources;
    for (const auto& [name, bytes] : both) sources[name] = source_of(bytes);
    const auto refused = door.install(image_of(both), source_of(kImage), nullptr, {}, sources);
    ASSERT_FALSE(refused) << place;
    EXPECT_EQ(refused.error().code, Code::digest_mismatch) << refused.error().message;
    EXPECT_FALSE(boot_.read()->trial);
    EXPECT_FALSE(door.look()->contents.of(Side::b));
  }
}

TEST_F(Pairs, what_arrived_before_a_cut_is_not_written_again) {
  const Bytes kernel(7 * 2048, 'K');
  const auto whole = [&] { return install({{"kernel", kernel}}); };
  FakeDisk before = disk_;
  ASSERT_TRUE(whole());
  const ByteCount once = disk_.written_to(kKernel.of(Side::b));
  EXPECT_EQ(once, kernel.size());
  for (int cut = 0; cut < 40; ++cut) {
    disk_ = before;
    disk_.cuts = {cut};
    try {
      ASSERT_TRUE(whole());
    } catch (const PowerCut&) {
      disk_.lose_power(Loss::all, 0);
    }
    ASSERT_TRUE(whole()) << "cut " << cut;
    EXPECT_EQ(disk_.durable(kKernel.of(Side::b)), kernel);
    EXPECT_LE(disk_.written_to(kKernel.of(Side::b)), once + kWriter.window) << "cut " << cut;
  }
}

TEST_F(Pairs, the_end_of_a_longer_file_does_not_stay) {
  disk_.put(kKernel.of(Side::b), Bytes(9000, '?'));
  ASSERT_TRUE(install({{"kernel", new_kernel_}}));
  EXPECT_EQ(on(kKernel, Side::b), new_kernel_);
}

TEST_F(Pairs, another_installer_gets_copies_and_may_replace_them) {
  EXPECT_EQ(slots().free_other()->kind, Answer::Kind::done);
  EXPECT_EQ(on(kFirmware, Side::b), Bytes(4096, 'f'));
  EXPECT_EQ(on(kKernel, Side::b), "the kernel of A");
  disk_.put("/dev/b", Bytes(8192, 'b'));
  disk_.put(kKernel.of(Side::b), "a kernel of the other installer");
  ASSERT_EQ(slots().take_over(0, {}, {})->kind, Answer::Kind::restart);
  const Held held = *slots().look()->contents.of(Side::b);
  EXPECT_EQ(held.pairs.at("kernel").sha256, sha256("a kernel of the other installer"));
  EXPECT_EQ(held.pairs.at("firmware").sha256, sha256(Bytes(4096, 'f')));
  EXPECT_EQ(start(), Side::b);
  EXPECT_EQ(slots(Side::b).settle(healthy_)->kind, Answer::Kind::done);
}

TEST(PairContents, are_printed_and_read_back) {
  Contents contents;
  contents.of(Side::b) = Held{.image = {.size = 5, .sha256 = Bytes(32, '\1'), .pairs = {{"kernel", Bytes(32, '\2')}}},
                              .attempts = 3,
                              .pairs = {{"kernel", {.size = 7, .sha256 = Bytes(32, '\3')}},
                                        {"firmware", {.size = 9, .sha256 = Bytes(32, '\4')}}}};
  const auto back = parse_contents(print_contents(contents));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(*back, contents);
  Bytes damaged = print_contents(contents);
  damaged.replace(damaged.find("\"size\":7"), 8, "\"size\":0");
  EXPECT_EQ(parse_contents(damaged).error().code, Code::refused);
}

}  // namespace
}  // namespace godwit::slots
