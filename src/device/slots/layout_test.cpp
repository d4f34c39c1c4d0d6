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

class PairPlaces : public LayoutTest {
 protected:
  void SetUp() override {
    LayoutTest::SetUp();
    for (const char* part : {"vda5", "vda6"}) ASSERT_TRUE(write_file_durably(folder_ / part, "x"));
    std::filesystem::create_symlink("../../vda5", host_.disk_names / "by-partlabel" / "kernel-a");
    std::filesystem::create_symlink("../../vda6", host_.disk_names / "by-partlabel" / "kernel-b");
    for (const char* side : {"side-A", "side-B"}) ASSERT_TRUE(make_folders(folder_ / "efi" / side));
  }
  Result<Places> pairs(const std::string& blocks) {
    const Path file = folder_ / "slots.toml";
    EXPECT_TRUE(
        write_file_durably(file, fmt::format("[slots]\n{}command_line = \"{}\"\n[boot]\nenvironment = \"/dev/x\"\n{}",
                                             labels_, (folder_ / "cmdline").string(), blocks)));
    GODWIT_TRY(const SlotsConfig config, load_slots_config(file));
    GODWIT_TRY(Places places, find_places(config, host_));
    GODWIT_TRY(places.pairs, find_pairs(config, places, host_));
    return places;
  }
  static std::string pair(const std::string& name, const std::string& a, const std::string& b) {
    return fmt::format("[[pairs]]\nname = \"{}\"\na = \"{}\"\nb = \"{}\"\n", name, a, b);
  }
  std::string file(const std::string& name) const { return (folder_ / "efi" / name).string(); }
  void expect_refused(const std::string& blocks, Code code, std::string_view words) {
    const auto refused = pairs(blocks);
    ASSERT_FALSE(refused) << words;
    EXPECT_EQ(refused.error().code, code) << refused.error().message;
    EXPECT_NE(refused.error().message.find(words), std::string::npos) << refused.error().message;
  }
};

TEST_F(PairPlaces, are_partitions_or_files_that_may_still_be_missing) {
  const auto found = pairs(pair("firmware", "PARTLABEL=kernel-a", "PARTLABEL=kernel-b") +
                           pair("kernel", file("side-A/vmlinuz"), file("side-B/vmlinuz")));
  ASSERT_TRUE(found) << found.error().message;
  ASSERT_EQ(found->pairs.size(), 2U);
  EXPECT_EQ(found->pairs[0].name, "firmware");
  EXPECT_FALSE(found->pairs[0].is_file);
  EXPECT_EQ(found->pairs[0].of(Side::b), std::filesystem::canonical(folder_ / "vda6"));
  EXPECT_TRUE(found->pairs[1].is_file);
  EXPECT_EQ(found->pairs[1].of(Side::a), std::filesystem::canonical(folder_ / "efi") / "side-A" / "vmlinuz");
  EXPECT_TRUE(pairs("")->pairs.empty());
}

TEST_F(PairPlaces, a_name_that_is_none_or_comes_twice_is_refused) {
  const std::string long_name(33, 'k');
  for (const std::string& name : {std::string("Kernel"), std::string("ker nel"), std::string(), long_name})
    expect_refused(pair(name, "PARTLABEL=kernel-a", "PARTLABEL=kernel-b"), Code::invalid_argument,
                   "is no name of a pair: lower case letters, digits and '-', at most 32");
  EXPECT_TRUE(pairs(pair(long_name.substr(1), "PARTLABEL=kernel-a", "PARTLABEL=kernel-b")));
  expect_refused(pair("k", "PARTLABEL=kernel-a", "PARTLABEL=kernel-b") + pair("k", file("side-A/k"), file("side-B/k")),
                 Code::invalid_argument, "two are called 'k'");
  std::string nine;
  for (int i = 0; i < 9; ++i)
    nine += pair(fmt::format("k{}", i), file(fmt::format("side-A/{}", i)), file(fmt::format("side-B/{}", i)));
  expect_refused(nine, Code::invalid_argument, "there may be 8 of them at most");
  expect_refused("[[pairs]]\nname = \"k\"\na = \"/x\"\n", Code::invalid_argument, "\"b\" is missing");
}

TEST_F(PairPlaces, what_does_not_exist_is_refused_with_its_key) {
  expect_refused(pair("k", "PARTLABEL=none", "PARTLABEL=kernel-b"), Code::not_found,
                 "pairs.k.a: there is no partition PARTLABEL=none");
  expect_refused(pair("k", "PARTLABEL=kernel-a", "/dev/no-such-thing"), Code::not_found,
                 "pairs.k.b: there is no partition /dev/no-such-thing");
  expect_refused(pair("k", file("side-A/k"), file("side-C/k")), Code::not_found,
                 "mount its file system, or make the folder");
  expect_refused(pair("k", file("side-A/k"), "side-B/k"), Code::invalid_argument, "pairs.k.b");
  expect_refused(pair("k", file("side-A/k"), file("side-B")), Code::refused, "neither a partition nor a file");
  expect_refused(pair("k", file("side-A/k"), file("side-B/")), Code::refused, "names no file");
  std::filesystem::create_symlink("k", folder_ / "efi" / "side-B" / "link");
  expect_refused(pair("k", file("side-A/k"), file("side-B/link")), Code::refused, "name the file itself");
  expect_refused(pair("k", file("side-A/k"), "PARTLABEL=kernel-b"), Code::invalid_argument,
                 "both must be partitions, or both files");
}

TEST_F(PairPlaces, two_things_in_one_place_are_refused) {
  const std::string same = "are the same place";
  expect_refused(pair("k", "PARTLABEL=kernel-a", (folder_ / "vda5").string()), Code::invalid_argument, "both must be");
  expect_refused(pair("k", "PARTLABEL=kernel-a", "PARTLABEL=kernel-a"), Code::invalid_argument, same);
  expect_refused(pair("k", "PARTLABEL=kernel-a", "PARTLABEL=side-b"), Code::invalid_argument, "pairs.k.b");
  expect_refused(pair("k", file("side-A/k"), file("side-A/k")), Code::invalid_argument, same);
  expect_refused(pair("k", file("side-A/k"), file("side-A/../side-A/K")), Code::invalid_argument, same);
  expect_refused(pair("k", file("side-A/k"), file("side-B/k")) + pair("i", file("side-A/i"), file("side-B/k")),
                 Code::invalid_argument, "pairs.i.b");
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

  /// With a pair of partitions and one of files below efi/.
  Result<void> check_pairs(const std::string& more = "", const std::string& boot = "") {
    const auto block = [&](const std::string& name, const Path& a, const Path& b) {
      return fmt::format("[[pairs]]\nname = \"{}\"\na = \"{}\"\nb = \"{}\"\n", name, a.string(), b.string());
    };
    const Path efi = folder_ / "efi";
    for (const char* side : {"A", "B"}) EXPECT_TRUE(make_folders(efi / side));
    for (const char* part : {"a", "b"}) {
      const Path name = host_.disk_names / "by-partlabel" / fmt::format("kernel-{}", part);
      std::error_code exists;
      std::filesystem::create_symlink(fmt::format("../../vda{}", part == std::string("a") ? 5 : 6), name, exists);
    }
    const Path file = folder_ / "slots.toml";
    EXPECT_TRUE(write_file_durably(
        file, fmt::format("[slots]\n{}data = \"{}\"\ncommand_line = \"{}\"\n{}[boot]\nenvironment = \"{}\"\n{}{}",
                          labels_, (folder_ / "data").string(), (folder_ / "cmdline").string(), more,
                          boot.empty() ? (folder_ / "boot").string() : boot,
                          block("kernel", "PARTLABEL=kernel-a", "PARTLABEL=kernel-b"),
                          block("initrd", efi / "A" / "i", efi / "B" / "i"))));
    GODWIT_TRY(const SlotsConfig config, load_slots_config(file));
    GODWIT_TRY(Places places, find_places(config, host_));
    EXPECT_TRUE(places.pairs.empty()) << "the agent, which is not root, asks for the sides";
    GODWIT_TRY(places.pairs, find_pairs(config, places, host_));
    HostDisk disk;
    return check_disks(config, places, disk, host_);
  }
  void expect_refused(const Result<void>& refused, std::string_view words) {
    ASSERT_FALSE(refused) << words;
    EXPECT_NE(refused.error().message.find(words), std::string::npos) << refused.error().message;
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

TEST_F(OneDiskTest, pairs_are_on_the_disk_of_the_sides_alike_in_size_and_in_places_of_their_own) {
  for (const char* part : {"vda5", "vda6"}) ASSERT_TRUE(write_file_durably(folder_ / part, std::string(100, 'k')));
  for (const char* name : {"vda5", "vda6"}) numbers_[name] = {makedev(8, 4), true};
  for (const char* name : {"A", "B", "i"}) numbers_[name] = {makedev(8, 1), false};
  ASSERT_TRUE(check_pairs()) << check_pairs().error().message;

  numbers_["vda6"] = {makedev(8, 17), true};
  expect_refused(check_pairs(), "pairs.kernel.b (");
  expect_refused(check_pairs(), "put \"pairs\" into slots.other_disk");
  EXPECT_TRUE(check_pairs("other_disk = [\"pairs\"]\n"));
  numbers_["vda6"] = {makedev(8, 4), true};

  numbers_["B"] = {makedev(8, 3), false};
  expect_refused(check_pairs(), "pairs.initrd.b (");
  expect_refused(check_pairs(), "lies on side A itself");
  numbers_["B"] = {makedev(8, 1), false};

  expect_refused(check_pairs("", (folder_ / "vda5").string()), "pairs.kernel.a (");
  expect_refused(check_pairs("", (folder_ / "vda5").string()), "boot.environment (");

  ASSERT_TRUE(write_file_durably(folder_ / "vda6", std::string(90, 'k')));
  expect_refused(check_pairs(), "pairs.kernel: ");
  expect_refused(check_pairs(), "has 100 bytes and side B 90");
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
