#include "device/slots/layout.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/sysmacros.h>

#include <map>
#include <tuple>

#include "core/base/testing/temp_folder.hpp"
#include "device/slots/host_disk.hpp"

namespace godwit::slots {
namespace {

class LayoutTest : public ::testing::Test {
 protected:
  void SetUp() override {
    host_ = {.disk_names = folder_ / "disk", .root = folder_};
    for (const char* kind : {"by-partlabel", "by-partuuid"}) ASSERT_TRUE(make_folders(host_.disk_names / kind));
    for (const char* part : {"vda3", "vda4", "vda9"}) ASSERT_TRUE(write_file_durably(folder_ / part, "x"));
    std::filesystem::create_symlink("../../vda3", host_.disk_names / "by-partlabel" / "side-a");
    std::filesystem::create_symlink("../../vda4", host_.disk_names / "by-partlabel" / "side-b");
    std::filesystem::create_symlink("../../vda4", host_.disk_names / "by-partuuid" / "ab-04");
    boot("quiet root=PARTUUID=AB-04 ro\n");
  }

  void boot(const std::string& line) { ASSERT_TRUE(write_file_durably(folder_ / "cmdline", line)); }
  Result<SlotsConfig> load(const std::string& slots, const std::string& boot = "environment = \"/dev/vda1\"\n") {
    const Path file = folder_ / "slots.toml";
    EXPECT_TRUE(write_file_durably(file, fmt::format("[slots]\n{}command_line = \"{}\"\n[boot]\n{}", slots,
                                                     (folder_ / "cmdline").string(), boot)));
    return load_slots_config(file);
  }
  Result<Places> places(const std::string& slots) {
    GODWIT_TRY(const SlotsConfig config, load(slots));
    return find_places(config, host_);
  }

  const TempFolder temporary_;
  const Path folder_ = temporary_.path();
  Host host_;
  const std::string labels_ = "a = \"PARTLABEL=side-a\"\nb = \"PARTLABEL=side-b\"\n";
};

TEST_F(LayoutTest, the_running_side_is_the_one_that_the_kernel_was_started_with) {
  const auto found = places(labels_);
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(found->running, Side::b);
  EXPECT_EQ(found->sides[0], std::filesystem::canonical(folder_ / "vda3"));
  boot(fmt::format("root=PARTUUID=ab-04 root={}", (folder_ / "vda3").string()));
  EXPECT_EQ(places(labels_)->running, Side::a) << "the last word counts";
}

TEST_F(LayoutTest, a_system_on_neither_side_and_one_partition_for_both_are_refused) {
  boot("root=" + (folder_ / "vda9").string());
  EXPECT_EQ(places(labels_).error().code, Code::refused);
  boot("quiet");
  EXPECT_NE(places(labels_).error().message.find("no root="), std::string::npos);
  boot("root=PARTUUID=ab-04");
  EXPECT_EQ(places("a = \"PARTLABEL=side-b\"\nb = \"PARTUUID=ab-04\"\n").error().code, Code::invalid_argument);
  EXPECT_EQ(places("a = \"PARTLABEL=none\"\nb = \"PARTLABEL=side-b\"\n").error().code, Code::not_found);
  EXPECT_EQ(places("a = \"PARTLABEL=../x\"\nb = \"PARTLABEL=side-b\"\n").error().code, Code::invalid_argument);
  EXPECT_EQ(places("a = \"vda3\"\nb = \"PARTLABEL=side-b\"\n").error().code, Code::invalid_argument);
}

TEST_F(LayoutTest, what_is_missing_or_cannot_be_is_said_with_its_key) {
  const auto says = [&](const Result<SlotsConfig>& loaded, std::string_view words) {
    return !loaded && loaded.error().message.find(words) != std::string::npos;
  };
  EXPECT_TRUE(says(load("a = \"/dev/x\"\n"), "slots.b"));
  EXPECT_TRUE(says(load(labels_, ""), "boot.environment is missing"));
  EXPECT_TRUE(says(load(labels_, "loader = \"custom\"\n"), "boot.command is missing"));
  EXPECT_TRUE(says(load(labels_, "loader = \"lilo\"\n"), "boot.loader"));
  EXPECT_TRUE(says(load(labels_ + "attempts = 10\n"), "slots.attempts"));
  EXPECT_TRUE(says(load(labels_ + "attempts = 1\n"), "slots.attempts"));
  EXPECT_TRUE(says(load(labels_, "environment = \"/dev/x\"\nsecond_offset = 100\n"), "overlap"));
  EXPECT_TRUE(says(load(labels_, "environment = \"/dev/x\"\ncounter = \"bootcount\"\n"), "boot.format"));
  EXPECT_TRUE(says(load(labels_, "loader = \"systemd-boot\"\nentries = \"efi\"\n"), "boot.entries"));
  EXPECT_TRUE(says(load(labels_, "loader = \"systemd-boot\"\nentry_a = \"a+3\"\n"), "boot.entry_a"));
  EXPECT_TRUE(says(load(labels_, "loader = \"systemd-boot\"\nentry_a = \"side-b\"\n"), "the same"));
  EXPECT_TRUE(load(labels_, "loader = \"systemd-boot\"\n"));
  std::filesystem::permissions(folder_ / "slots.toml", std::filesystem::perms(0622));
  EXPECT_EQ(load_slots_config(folder_ / "slots.toml").error().code, Code::refused);
}

/// A sysfs with two disks, their partitions, and a mapped device on each partition of vda.
class OneDiskTest : public LayoutTest {
 protected:
  void SetUp() override {
    LayoutTest::SetUp();
    const Path devices = folder_ / "sys" / "devices";
    for (const char* part : {"vda/vda1", "vda/vda2", "vda/vda3", "vda/vda4", "sdb/sdb1"}) {
      ASSERT_TRUE(make_folders(devices / part));
      ASSERT_TRUE(write_file_durably(devices / part / "partition", "1"));
    }
    for (const char* mapped : {"dm-0", "dm-1"}) ASSERT_TRUE(make_folders(devices / mapped / "slaves"));
    std::filesystem::create_symlink("../../vda/vda4", devices / "dm-0" / "slaves" / "vda4");
    std::filesystem::create_symlink("../../vda/vda4", devices / "dm-1" / "slaves" / "vda4");
    std::filesystem::create_symlink("../../sdb/sdb1", devices / "dm-1" / "slaves" / "sdb1");
    ASSERT_TRUE(make_folders(folder_ / "sys" / "block"));
    const std::pair<const char*, const char*> numbers[] = {
        {"8:1", "vda/vda1"},  {"8:2", "vda/vda2"}, {"8:3", "vda/vda3"}, {"8:4", "vda/vda4"},
        {"8:17", "sdb/sdb1"}, {"253:0", "dm-0"},   {"253:1", "dm-1"}};
    for (const auto& [number, device] : numbers)
      std::filesystem::create_symlink(Path("../devices") / device, folder_ / "sys" / "block" / number);
    host_.disks = {.sys_block = folder_ / "sys" / "block",
                   .number_of = [this](const Path& path) -> Result<DeviceNumber> {
                     const auto found = numbers_.find(path.filename().string());
                     if (found == numbers_.end()) return fail(Code::not_found, path.string());
                     return found->second;
                   }};
    ASSERT_TRUE(write_file_durably(folder_ / "boot", "x"));
  }

  Result<void> check(const std::string& more = "") {
    GODWIT_TRY(const SlotsConfig config,
               load(labels_ + fmt::format("data = \"{}\"\n", (folder_ / "data").string()) + more,
                    fmt::format("environment = \"{}\"\n", (folder_ / "boot").string())));
    GODWIT_TRY(const Places places, find_places(config, host_));
    HostDisk disk;
    return check_disks(config, places, disk, host_);
  }

  std::map<std::string, DeviceNumber> numbers_{{"vda3", {makedev(8, 3), true}},
                                               {"vda4", {makedev(8, 4), true}},
                                               {"boot", {makedev(8, 1), true}},
                                               {"data", {makedev(8, 2), false}}};
};

TEST_F(OneDiskTest, both_sides_the_boot_state_and_the_data_are_on_one_disk) {
  ASSERT_TRUE(check()) << check().error().message;
  for (const auto& [name, key, word] :
       {std::tuple("vda4", "slots.b", "b"), std::tuple("boot", "boot.environment", "boot"),
        std::tuple("data", "slots.data", "data")}) {
    const DeviceNumber before = std::exchange(numbers_[name], {makedev(8, 17), true});
    const auto refused = check();
    ASSERT_FALSE(refused) << name;
    EXPECT_EQ(refused.error().code, Code::refused);
    EXPECT_NE(refused.error().message.find(fmt::format("{} (", key)), std::string::npos) << refused.error().message;
    EXPECT_NE(refused.error().message.find("lies on the disk sdb"), std::string::npos) << refused.error().message;
    EXPECT_NE(refused.error().message.find("on vda"), std::string::npos) << refused.error().message;
    EXPECT_TRUE(check(fmt::format("other_disk = [\"{}\"]\n", word)));
    numbers_[name] = before;
  }
  EXPECT_EQ(check("other_disk = [\"a\"]\n").error().code, Code::invalid_argument);
}

TEST_F(OneDiskTest, a_mapped_device_lies_where_its_parts_do) {
  numbers_["vda4"] = {makedev(253, 0), true};
  EXPECT_TRUE(check());
  numbers_["vda4"] = {makedev(253, 1), true};
  EXPECT_NE(check().error().message.find("sdb and vda"), std::string::npos);
}

TEST_F(OneDiskTest, a_folder_on_no_disk_passes_and_a_partition_that_sysfs_does_not_know_is_refused) {
  numbers_["data"] = {makedev(0, 42), false};
  EXPECT_TRUE(check()) << "an overlay";
  numbers_["vda4"] = {makedev(9, 9), true};
  EXPECT_EQ(check().error().code, Code::not_found);
}

TEST_F(OneDiskTest, sides_of_different_size_are_refused) {
  EXPECT_TRUE(check_sizes(100'000'000, 95'000'000));
  EXPECT_FALSE(check_sizes(100'000'000, 94'000'000));
  EXPECT_FALSE(check_sizes(94'000'000, 100'000'000));
  ASSERT_TRUE(write_file_durably(folder_ / "vda4", std::string(200, 'x')));
  const auto refused = check();
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("side A has 1 bytes and side B 200"), std::string::npos);
}

}  // namespace
}  // namespace godwit::slots
