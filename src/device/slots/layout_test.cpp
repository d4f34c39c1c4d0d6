#include "device/slots/layout.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

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
  EXPECT_TRUE(says(load(labels_, "environment = \"/dev/x\"\nsecond_offset = 100\n"), "overlap"));
  EXPECT_TRUE(says(load(labels_, "environment = \"/dev/x\"\ncounter = \"bootcount\"\n"), "boot.format"));
  EXPECT_TRUE(says(load(labels_, "loader = \"systemd-boot\"\nentries = \"efi\"\n"), "boot.entries"));
  EXPECT_TRUE(says(load(labels_, "loader = \"systemd-boot\"\nentry_a = \"a+3\"\n"), "boot.entry_a"));
  EXPECT_TRUE(says(load(labels_, "loader = \"systemd-boot\"\nentry_a = \"side-b\"\n"), "the same"));
  EXPECT_TRUE(load(labels_, "loader = \"systemd-boot\"\n"));
  std::filesystem::permissions(folder_ / "slots.toml", std::filesystem::perms(0622));
  EXPECT_EQ(load_slots_config(folder_ / "slots.toml").error().code, Code::refused);
}

}  // namespace
}  // namespace godwit::slots
