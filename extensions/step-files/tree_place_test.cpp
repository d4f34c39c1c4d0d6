// Real archives, made by libarchive's writer, on a real folder. faults: 45, 46, 52
#include "tree_place.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <functional>

#include "core/base/testing/temp_folder.hpp"

namespace godwit::step_files {
namespace {

struct Item {
  std::string name;
  std::string content{};
  unsigned type = AE_IFREG;
  std::string target{};
  mode_t mode = 0644;
  bool hard = false;
};

class TreePlaceTest : public ::testing::Test {
 protected:
  Path pack(const std::vector<Item>& items) {
    const Path path = folder_ / "a.tar.zst";
    archive* a = ::archive_write_new();
    ::archive_write_set_format_pax_restricted(a);
    ::archive_write_add_filter_zstd(a);
    GODWIT_CHECK(::archive_write_open_filename(a, path.c_str()) == ARCHIVE_OK);
    for (const Item& item : items) {
      archive_entry* entry = ::archive_entry_new();
      ::archive_entry_set_pathname(entry, item.name.c_str());
      ::archive_entry_set_filetype(entry, item.type);
      ::archive_entry_set_perm(entry, item.mode);
      if (item.hard) ::archive_entry_set_hardlink(entry, item.target.c_str());
      if (item.type == AE_IFLNK) ::archive_entry_set_symlink(entry, item.target.c_str());
      ::archive_entry_set_size(entry, static_cast<la_int64_t>(item.content.size()));
      GODWIT_CHECK(::archive_write_header(a, entry) == ARCHIVE_OK);
      if (!item.content.empty()) ::archive_write_data(a, item.content.data(), item.content.size());
      ::archive_entry_free(entry);
    }
    ::archive_write_close(a);
    ::archive_write_free(a);
    return path;
  }
  Result<void> unpack(const std::vector<Item>& items, const std::string& token, TreeLimits limits = {}) {
    return place_.unpack(
        pack(items), limits, {.criteria = "c-" + token, .token = token}, [] { return false; }, [](ByteCount) {});
  }
  std::string text(const Path& path) { return read_file(path, 1000).value_or("-"); }
  std::vector<std::string> names() {
    std::vector<std::string> out;
    for (const auto& entry : std::filesystem::directory_iterator(folder_ / "opt"))
      out.push_back(entry.path().filename());
    std::sort(out.begin(), out.end());
    return out;
  }

  const TempFolder temporary_;
  const Path folder_ = temporary_.path();
  Path target_ = folder_ / "opt" / "app";
  TreePlace place_{target_};
};

TEST_F(TreePlaceTest, a_tree_is_unpacked_beside_and_switched_by_a_rename) {
  ASSERT_TRUE(unpack({{"bin/app", "one", AE_IFREG, "", 0755}, {"current", "", AE_IFLNK, "bin/app"}}, "1"));
  EXPECT_FALSE(std::filesystem::exists(target_));
  ASSERT_TRUE(place_.switch_to("1"));
  EXPECT_EQ(text(target_ / "current"), "one");
  struct stat info {};
  ASSERT_EQ(::stat((target_ / "bin/app").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777U, 0755U);
  ASSERT_TRUE(unpack({{"bin/app", "two"}}, "2"));
  EXPECT_EQ(text(target_ / "bin/app"), "one");
  ASSERT_TRUE(place_.switch_to("2"));
  ASSERT_TRUE(place_.switch_to("2")) << "a repeated act changes nothing";
  EXPECT_EQ(text(target_ / "bin/app"), "two");
  EXPECT_FALSE(std::filesystem::exists(target_ / "current")) << "nothing of the earlier tree is mixed in";
  EXPECT_EQ((*place_.mark())->criteria, "c-2");
}

TEST_F(TreePlaceTest, a_tree_is_on_trial_until_its_own_step_settles_it) {
  const auto trial = parse_mark(print_mark({.criteria = "c", .token = "1", .is_on_trial = true}));
  ASSERT_TRUE(trial);
  EXPECT_TRUE(trial->is_on_trial);
  ASSERT_TRUE(unpack({{"v", "one"}}, "1"));
  ASSERT_TRUE(place_.switch_to("1"));
  ASSERT_TRUE(write_file_durably(target_ / kMarkName, print_mark(*trial), 0644));
  EXPECT_FALSE(place_.settle("2"));
  EXPECT_TRUE((*place_.mark())->is_on_trial);
  ASSERT_TRUE(place_.settle("1"));
  ASSERT_TRUE(place_.settle("1")) << "a repeated act changes nothing";
  EXPECT_FALSE((*place_.mark())->is_on_trial);
  EXPECT_EQ((*place_.mark())->criteria, "c");
}

TEST_F(TreePlaceTest, switching_back_brings_what_was_there) {
  ASSERT_TRUE(unpack({{"v", "one"}}, "1"));
  ASSERT_TRUE(place_.switch_to("1"));
  ASSERT_TRUE(unpack({{"v", "two"}}, "2"));
  ASSERT_TRUE(place_.switch_back("2")) << "not switched yet";
  EXPECT_EQ(text(target_ / "v"), "one");
  ASSERT_TRUE(unpack({{"v", "two"}}, "2"));
  ASSERT_TRUE(place_.switch_to("2"));
  ASSERT_TRUE(place_.switch_back("2"));
  ASSERT_TRUE(place_.switch_back("2"));
  EXPECT_EQ(text(target_ / "v"), "one");
  EXPECT_EQ(names(), (std::vector<std::string>{"app"}));
}

TEST_F(TreePlaceTest, where_nothing_was_nothing_is_after_switching_back) {
  ASSERT_TRUE(unpack({{"v", "one"}}, "1"));
  ASSERT_TRUE(place_.switch_to("1"));
  ASSERT_TRUE(place_.switch_back("1"));
  EXPECT_TRUE(names().empty());
}

TEST_F(TreePlaceTest, a_cut_between_the_two_renames_is_healed_either_way) {
  for (const bool goes_on : {true, false}) {
    ASSERT_TRUE(remove_tree(folder_ / "opt"));
    ASSERT_TRUE(unpack({{"v", "one"}}, "1"));
    ASSERT_TRUE(place_.switch_to("1"));
    ASSERT_TRUE(unpack({{"v", "two"}}, "2"));
    ASSERT_EQ(
        ::renameat2(AT_FDCWD, target_.c_str(), AT_FDCWD, (folder_ / "opt/.app.godwit-new").c_str(), RENAME_EXCHANGE),
        0);
    ASSERT_TRUE(goes_on ? place_.switch_to("2") : place_.switch_back("2"));
    EXPECT_EQ(text(target_ / "v"), goes_on ? "two" : "one");
    EXPECT_EQ(names(),
              goes_on ? (std::vector<std::string>{".app.godwit-old", "app"}) : (std::vector<std::string>{"app"}));
  }
}

TEST_F(TreePlaceTest, hostile_archives_leave_nothing_behind) {
  const std::vector<std::pair<std::vector<Item>, Code>> cases{
      {{{"ok", "x"}, {"../../escape", "x"}}, Code::refused},
      {{{"/abs", "x"}}, Code::refused},
      {{{"l", "", AE_IFLNK, "/etc"}}, Code::refused},
      {{{"a", "x"}, {"b", "", AE_IFREG, "a", 0644, true}}, Code::refused},
      {{{"null", "", AE_IFCHR}}, Code::refused},
      {{{"pipe", "", AE_IFIFO}}, Code::refused},
      {{{"su", "x", AE_IFREG, "", 04755}}, Code::refused},
      {{{"l", "", AE_IFLNK, "d"}, {"l/x", "x"}}, Code::refused},
      {{{"big", std::string(2000, 'x')}}, Code::too_large}};
  for (const auto& [items, expected] : cases) {
    const auto unpacked = unpack(items, "1", {.bytes = 1000});
    ASSERT_FALSE(unpacked) << items.back().name;
    EXPECT_EQ(unpacked.error().code, expected) << unpacked.error().message;
    EXPECT_TRUE(names().empty()) << items.back().name;
  }
  EXPECT_FALSE(std::filesystem::exists(folder_ / "escape"));
}

TEST_F(TreePlaceTest, a_damaged_or_cut_archive_is_named_as_such) {
  const Path path = pack({{"a", std::string(100'000, 'a')}, {"b", "b"}});
  const std::string whole = *read_file(path, 1'000'000);
  EXPECT_TRUE(read_tree_in_memory(whole, {}, {}));
  for (const std::string& bad : {whole.substr(0, whole.size() / 2), std::string("no archive at all"), std::string{}}) {
    const auto read = read_tree_in_memory(bad, {}, {});
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code, Code::bad_packet) << read.error().message;
  }
}

TEST_F(TreePlaceTest, only_folders_of_their_own_may_be_replaced) {
  for (const char* good : {"/opt/app", "/usr/lib/app", "/srv/www/site", "/var/lib/app"})
    EXPECT_TRUE(TreePlace::is_allowed(good)) << good;
  for (const char* bad : {"", "/", "/opt", "/usr/lib", "/etc/app", "opt/app", "/opt/app/", "/opt//app", "/opt/../etc",
                          "/opt/./a", "/opt/a\nb"})
    EXPECT_FALSE(TreePlace::is_allowed(bad)) << bad;
}

}  // namespace
}  // namespace godwit::step_files
