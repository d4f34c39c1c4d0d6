// The boot loaders' formats, judged by the boot loaders' own tools: grub-editenv, mkenvimage and fw_printenv.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <set>

#include "core/base/command.hpp"
#include "core/base/testing/temp_folder.hpp"
#include "device/slots/custom_switch.hpp"
#include "device/slots/grub_switch.hpp"
#include "device/slots/host_disk.hpp"
#include "device/slots/systemd_boot_switch.hpp"
#include "device/slots/uboot_switch.hpp"

namespace godwit::slots {
namespace {

const BootState kTrial{.good = Side::a,
                       .trial = Side::b,
                       .attempts_left = 3,
                       .failed = {},
                       .verity = {std::nullopt, Verity{.root_hash = Bytes(32, '\x5a'), .hash_offset = 1 << 20}}};
const BootState kFailed{.good = Side::a, .trial = {}, .attempts_left = 0, .failed = Side::b};

class BootSwitchTest : public ::testing::Test {
 protected:
  std::string tool(std::vector<std::string> words, std::string_view input = "") {
    const auto end = run_command(words, input, {});
    EXPECT_TRUE(end && end->ok()) << words.front() << ": " << (end ? end->output : end.error().message);
    return end ? end->output : "";
  }
  const TempFolder temporary_;
  const Path folder_ = temporary_.path();
  HostDisk disk_;
};

TEST_F(BootSwitchTest, grub_editenv_and_we_read_what_the_other_wrote) {
  const Path file = folder_ / "grubenv";
  tool({"/usr/bin/grub-editenv", file.string(), "create"});
  tool({"/usr/bin/grub-editenv", file.string(), "set", "good=A", "kernelopts=a\\b c=d"});
  GrubSwitch boot(disk_, file);
  EXPECT_EQ(*boot.read(), BootState{});
  ASSERT_TRUE(boot.write(kTrial));
  EXPECT_EQ(*boot.read(), kTrial);
  const std::string listed = tool({"/usr/bin/grub-editenv", file.string(), "list"});
  for (const char* word : {"good=A\n", "try=B\n", "left=3\n", "kernelopts=a\\b c=d\n"})
    EXPECT_NE(listed.find(word), std::string::npos) << word << listed;
  tool({"/usr/bin/grub-editenv", file.string(), "set", "left=2"});
  EXPECT_EQ(boot.read()->attempts_left, 2);
  ASSERT_TRUE(boot.write(kFailed));
  EXPECT_EQ(tool({"/usr/bin/grub-editenv", file.string(), "list"}).find("try="), std::string::npos);
}

TEST_F(BootSwitchTest, grub_refuses_what_is_no_block_and_what_needs_two_sectors) {
  const Path file = folder_ / "grubenv";
  GrubSwitch boot(disk_, file);
  EXPECT_EQ(boot.read().error().code, Code::not_found);
  for (const std::string& bytes : {std::string(), std::string(1024, '#'), std::string(1023, '#')}) {
    ASSERT_TRUE(write_file_durably(file, bytes));
    EXPECT_EQ(boot.read().error().code, Code::refused);
    EXPECT_FALSE(boot.write(kTrial));
  }
  const BootWords many{{"good", "A"}, {"other", std::string(480, 'x')}};
  EXPECT_EQ(print_grub_block(many).error().code, Code::too_large);
}

TEST_F(BootSwitchTest, mkenvimage_and_we_agree_on_the_plain_format) {
  tool({"/usr/bin/mkenvimage", "-s", "512", "-p", "0", "-o", (folder_ / "copy").string(), "-"}, "good=B\nserial=7\n");
  const Bytes copy = *read_file(folder_ / "copy", 512);
  EXPECT_EQ(*print_uboot(*parse_uboot(copy, UBootFormat::plain), 512, UBootFormat::plain), copy);
  const Path file = folder_ / "state";
  ASSERT_TRUE(write_file_durably(file, copy + copy));
  UBootSwitch boot(disk_, {.copies = {UBootCopy{file, 0}, UBootCopy{file, 512}}});
  EXPECT_EQ(boot.read()->good, Side::b);
  ASSERT_TRUE(boot.write(kTrial));
  const Bytes after = *read_file(file, 1024);
  EXPECT_EQ(after.substr(0, 512), after.substr(512));
  const Bytes torn = after.substr(0, 100) + std::string(412, 'x') + after.substr(512);
  ASSERT_TRUE(write_file_durably(file, torn));
  EXPECT_EQ(*boot.read(), kTrial) << "copy 1 is whole";
  ASSERT_TRUE(boot.write(kTrial));
  EXPECT_EQ(*read_file(file, 1024), after) << "copy 0 is healed";
  ASSERT_TRUE(write_file_durably(file, std::string(1024, 'x')));
  EXPECT_EQ(boot.read().error().code, Code::refused);
}

TEST_F(BootSwitchTest, libubootenv_and_we_read_what_the_other_wrote_in_the_redundant_format) {
  const Path file = folder_ / "env";
  tool({"/usr/bin/mkenvimage", "-r", "-s", "4096", "-p", "0", "-o", (folder_ / "copy").string(), "-"},
       "good=A\nbootdelay=2\n");
  const Bytes copy = *read_file(folder_ / "copy", 4096);
  ASSERT_TRUE(write_file_durably(file, copy + copy));
  const Path config = folder_ / "fw_env.config";
  ASSERT_TRUE(write_file_durably(config, fmt::format("{0} 0x0 0x1000\n{0} 0x1000 0x1000\n", file.string())));
  UBootSwitch boot(
      disk_, {.copies = {UBootCopy{file, 0}, UBootCopy{file, 4096}}, .size = 4096, .format = UBootFormat::redundant});
  const auto print = [&] { return tool({"/usr/bin/fw_printenv", "-c", config.string()}); };
  for (int round = 0; round < 300; ++round) {  // the flag counts past 255
    const BootState next = round % 2 == 0 ? kTrial : kFailed;
    ASSERT_TRUE(boot.write(next));
    ASSERT_EQ(*boot.read(), next) << round;
  }
  ASSERT_TRUE(boot.write(kTrial));
  const std::string said = print();
  for (const char* word : {"try=B\n", "left=3\n", "bootdelay=2\n"})
    EXPECT_NE(said.find(word), std::string::npos) << said;
  tool({"/usr/bin/fw_setenv", "-c", config.string(), "left", "1"});
  EXPECT_EQ(boot.read()->attempts_left, 1);
}

// What U-Boot with CONFIG_BOOTCOUNT_ENV would do is done here with libubootenv's fw_setenv, as its boot script would.
TEST_F(BootSwitchTest, uboots_own_counter_is_set_up_and_read_back) {
  const Path file = folder_ / "env";
  tool({"/usr/bin/mkenvimage", "-r", "-s", "4096", "-p", "0", "-o", (folder_ / "copy").string(), "-"},
       "good=A\nbootlimit=5\nbootcount=0\nupgrade_available=0\naltbootcmd=run give_up\n");
  const Bytes copy = *read_file(folder_ / "copy", 4096);
  ASSERT_TRUE(write_file_durably(file, copy + copy));
  const Path config = folder_ / "fw_env.config";
  ASSERT_TRUE(write_file_durably(config, fmt::format("{0} 0x0 0x1000\n{0} 0x1000 0x1000\n", file.string())));
  UBootSwitch boot(disk_, {.copies = {UBootCopy{file, 0}, UBootCopy{file, 4096}},
                           .size = 4096,
                           .format = UBootFormat::redundant,
                           .counter = AttemptCounter::bootcount});
  const auto says = [&](const std::string& word) {
    const std::string all = tool({"/usr/bin/fw_printenv", "-c", config.string()});
    return ("\n" + all).find("\n" + word + "\n") != std::string::npos;
  };
  const auto set = [&](const std::string& key, const std::string& value) {
    tool({"/usr/bin/fw_setenv", "-c", config.string(), key, value});
  };
  EXPECT_EQ(*boot.read(), BootState{});
  ASSERT_TRUE(boot.write(kTrial));
  for (const char* word :
       {"good=A", "try=B", "upgrade_available=1", "bootlimit=3", "bootcount=0", "altbootcmd=run give_up"})
    EXPECT_TRUE(says(word)) << word;
  EXPECT_FALSE(says("left=3"));
  EXPECT_EQ(*boot.read(), kTrial) << "never tried: all attempts are left";
  set("bootcount", "2");
  EXPECT_EQ(boot.read()->attempts_left, 1) << "two attempts were made";
  // The health check gives the side back: what was not used is kept.
  ASSERT_TRUE(boot.write({.good = Side::a, .trial = {}, .attempts_left = 1, .failed = Side::b}));
  EXPECT_TRUE(says("upgrade_available=0") && says("bootlimit=3") && says("bootcount=2") && says("failed=B"));
  EXPECT_EQ(boot.read()->attempts_left, 1);
  // The next trial; this time U-Boot exceeds the limit and altbootcmd gives up.
  ASSERT_TRUE(boot.write(kTrial));
  set("bootcount", "4");
  EXPECT_EQ(boot.read()->attempts_left, 0);
  set("failed", "B");
  set("try", "");
  set("upgrade_available", "0");
  BootState given_up = kFailed;
  given_up.verity = kTrial.verity;  // the loader's script leaves it alone
  EXPECT_EQ(*boot.read(), given_up);
  ASSERT_TRUE(boot.write({.good = Side::b, .trial = {}, .attempts_left = 0, .failed = {}}));
  EXPECT_TRUE(says("good=B") && says("bootcount=0") && says("upgrade_available=0"));
  set("upgrade_available", "1");
  EXPECT_EQ(boot.read()->trial, std::nullopt) << "somebody else's upgrade names no side";
  set("bootcount", "many");
  EXPECT_EQ(boot.read().error().code, Code::refused);
}

class SystemdBootTest : public BootSwitchTest {
 protected:
  void SetUp() override {
    ASSERT_TRUE(make_folders(entries_));
    for (const char* name : {"side-a", "side-b"}) {
      put(fmt::format("{}.entry", name), fmt::format("title {0}\nversion maker's\nlinux /{0}/vmlinuz\n", name));
    }
    put("side-a.conf", "sort-key 00-godwit\nversion 7\nlinux /side-a/vmlinuz\n");
    put("rescue.conf", "title somebody else's\n");
    put("side-b-debug.conf", "title somebody else's\n");
  }
  void put(const std::string& file, const std::string& text) { ASSERT_TRUE(write_file_durably(entries_ / file, text)); }
  std::string text(const std::string& file) { return read_file(entries_ / file, 1024).value_or("absent"); }
  void rename(const std::string& from, const std::string& to) {
    std::filesystem::rename(entries_ / from, entries_ / to);
  }
  std::set<std::string> files() {
    std::set<std::string> found;
    const auto names = *disk_.list(entries_);
    for (const std::string& name : names)
      if (name.starts_with("side-") && name.ends_with(".conf") && name != "side-b-debug.conf") found.insert(name);
    return found;
  }
  using Files = std::set<std::string>;
  /// Its entries carry no root hash.
  const BootState plain_trial_{.good = Side::a, .trial = Side::b, .attempts_left = 3, .failed = {}, .verity = {}};
  const Path entries_ = folder_ / "loader" / "entries";
  SystemdBootSwitch boot_{disk_, {.entries = entries_, .names = {"side-a", "side-b"}, .variables = folder_ / "efi"}};
};

TEST_F(SystemdBootTest, the_names_of_its_entries_are_the_state) {
  EXPECT_EQ(*boot_.read(), BootState{});
  ASSERT_TRUE(boot_.write(plain_trial_));
  EXPECT_EQ(files(), (Files{"side-a.conf", "side-b+3.conf"}));
  EXPECT_EQ(text("side-b+3.conf"), "sort-key 00-godwit\nversion 8\ntitle side-b\nlinux /side-b/vmlinuz\n");
  EXPECT_EQ(*boot_.read(), plain_trial_) << "never tried";
  rename("side-b+3.conf", "side-b+2-1.conf");
  EXPECT_EQ(boot_.read()->attempts_left, 2);
  rename("side-b+2-1.conf", "side-b+0-3.conf");
  EXPECT_EQ(*boot_.read(),
            (BootState{.good = Side::a, .trial = Side::b, .attempts_left = 0, .failed = {}, .verity = {}}))
      << "the last attempt may still be running";
  ASSERT_TRUE(boot_.write({.good = Side::b, .trial = {}, .attempts_left = 0, .failed = {}, .verity = {}}));
  EXPECT_EQ(files(), Files{"side-b.conf"});
  EXPECT_EQ(*boot_.read(), (BootState{.good = Side::b, .trial = {}, .attempts_left = 0, .failed = {}, .verity = {}}));
  EXPECT_EQ(text("side-b.conf").substr(0, 29), "sort-key 00-godwit\nversion 9\n");
  EXPECT_EQ(text("rescue.conf"), "title somebody else's\n");
}

TEST_F(SystemdBootTest, a_side_that_is_given_back_is_never_chosen_and_keeps_what_it_did_not_use) {
  ASSERT_TRUE(boot_.write(plain_trial_));
  rename("side-b+3.conf", "side-b+2-1.conf");
  const BootState given_back{.good = Side::a, .trial = {}, .attempts_left = 2, .failed = Side::b, .verity = {}};
  ASSERT_TRUE(boot_.write(given_back));
  EXPECT_EQ(files(), (Files{"side-a.conf", "side-b+0-1.conf"}));
  EXPECT_EQ(*boot_.read(), given_back);
  ASSERT_TRUE(boot_.write({}));
  EXPECT_EQ(files(), Files{"side-a.conf"});
  EXPECT_EQ(*boot_.read(), BootState{});
}

TEST_F(SystemdBootTest, what_a_cut_left_of_a_rename_is_passed_over_and_does_no_harm) {
  put("side-b.conf", "");
  put("side-b+0-3.conf", "sort-key of another file\n");
  put("side-b+3.conf.new0", "clusters that may be another file's");
  EXPECT_EQ(*boot_.read(), BootState{}) << "what starts nothing is no entry, as for the loader";
  ASSERT_TRUE(boot_.write(plain_trial_));
  EXPECT_EQ(files(), (Files{"side-a.conf", "side-b+3.conf"}));
  EXPECT_EQ(text("side-b+3.conf.new0"), "clusters that may be another file's") << "freed with it they would be lost";
  for (int number = 0; number < 10; ++number) put(fmt::format("side-b.conf.new{}", number), "x");
  const auto refused = boot_.write({.good = Side::b, .trial = {}, .attempts_left = 0, .failed = {}, .verity = {}});
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("fsck.vfat"), std::string::npos) << refused.error().message;
  EXPECT_EQ(*boot_.read(), plain_trial_) << "nothing has changed";
}

TEST_F(SystemdBootTest, an_image_with_dm_verity_is_refused_in_words) {
  const auto written = boot_.write(kTrial);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, Code::unsupported);
  EXPECT_NE(written.error().message.find("do not carry the root hash"), std::string::npos);
  EXPECT_EQ(*boot_.read(), BootState{}) << "nothing has changed";
}

TEST_F(SystemdBootTest, what_the_loader_would_not_do_as_meant_is_refused) {
  const auto refused = [&](std::string_view words) {
    const auto state = boot_.read();
    return !state && state.error().message.find(words) != std::string::npos;
  };
  put("../loader.conf", "timeout 0\n#default x\ndefault side-a*\n");
  EXPECT_TRUE(refused("overrides the counting"));
  put("../loader.conf", "timeout 0\n");
  EXPECT_TRUE(boot_.read());
  ASSERT_TRUE(make_folders(folder_ / "efi"));
  const Path variable = folder_ / "efi" / "LoaderEntryDefault-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
  ASSERT_TRUE(write_file_durably(variable, std::string("\7\0\0\0a\0\0\0", 8)));
  EXPECT_TRUE(refused("bootctl set-default"));
  std::filesystem::remove(variable);
  put("side-b.conf", "sort-key 00-godwit\nversion 7\nlinux x\n");
  EXPECT_TRUE(refused("same version"));
  put("side-b.conf", "version 8\nlinux x\n");
  EXPECT_TRUE(refused("lacks 'sort-key"));
  std::filesystem::remove(entries_ / "side-b.conf");
  std::filesystem::remove(entries_ / "side-b.entry");
  EXPECT_EQ(boot_.write(plain_trial_).error().code, Code::not_found);
  EXPECT_EQ(*boot_.read(), BootState{}) << "nothing has changed";
  std::filesystem::remove(entries_ / "side-a.conf");
  EXPECT_TRUE(refused("none is good"));
}

TEST(SystemdBootNames, only_a_whole_counter_is_one) {
  const auto counter = [](std::string_view file) { return parse_entry_name(file, "b"); };
  EXPECT_EQ(counter("b.conf"), EntryName{});
  EXPECT_EQ(counter("b+3.conf"), (EntryName{.left = 3, .done = 0}));
  EXPECT_EQ(counter("b+002-01.conf"), (EntryName{.left = 2, .done = 1}));
  for (const char* other : {"b", "bb.conf", "b+.conf", "b+3-.conf", "b+-1.conf", "b+3-1-1.conf", "b+3.conf.new",
                            "b+9999999999.conf", ".conf", "b+3", "B.conf"})
    EXPECT_EQ(counter(other), std::nullopt) << other;
}

TEST_F(BootSwitchTest, a_custom_command_is_believed_only_where_it_says_what_it_was_told) {
  const Path store = folder_ / "store";
  const Path program = folder_ / "boot.sh";
  const auto script = [&](const std::string& body) {
    ASSERT_TRUE(write_file_durably(program, "#!/bin/sh\n" + body, 0700));
  };
  ASSERT_TRUE(write_file_durably(store, "good=A\n"));
  script(fmt::format("f={}\nif [ $1 = get ]; then cat $f; else shift; for w in \"$@\"; do echo \"$w\"; done > $f; fi\n",
                     store.string()));
  CustomSwitch boot({program.string()});
  ASSERT_TRUE(boot.write(kTrial));
  EXPECT_EQ(*boot.read(), kTrial);
  EXPECT_EQ(*read_file(store, 200),
            fmt::format("good=A\ntry=B\nleft=3\nfailed=\nverity_B={}\n", verity_word(*kTrial.verity[1])));
  ASSERT_TRUE(boot.write(kFailed));
  EXPECT_EQ(*read_file(store, 200), "good=A\ntry=\nleft=0\nfailed=B\nverity_B=\n");
  ASSERT_TRUE(boot.write({}));
  EXPECT_EQ(*read_file(store, 200), "good=A\ntry=\nleft=\nfailed=\n")
      << "a command hears of dm-verity where it is used";
  script("if [ $1 = get ]; then echo good=A; fi\n");
  EXPECT_NE(boot.write(kTrial).error().message.find("now says \"good=A\""), std::string::npos);
  script("echo no flash; exit 3\n");
  EXPECT_NE(boot.read().error().message.find("exit code 3: no flash"), std::string::npos)
      << boot.read().error().message;
}

TEST_F(BootSwitchTest, a_word_that_is_none_of_ours_is_refused) {
  for (const BootWords& words : {BootWords{}, BootWords{{"good", "C"}}, BootWords{{"good", "A"}, {"try", "AB"}},
                                 BootWords{{"good", "A"}, {"left", "10"}}, BootWords{{"good", "A"}, {"left", "-1"}},
                                 BootWords{{"good", "A"}, {"verity_B", "4096:ab"}}})
    EXPECT_EQ(state_in(words).error().code, Code::refused);
}

}  // namespace
}  // namespace godwit::slots
