// faults: 17, 45
#include "device/installer/payload_copy.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "core/base/bytes.hpp"
#include "device/extension/testing/test_extensions.hpp"

namespace godwit::installer {
namespace {

class PayloadCopy : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(make_folders(agent_));
    ASSERT_TRUE(make_folders(target_));
    ASSERT_TRUE(write_file_durably(agent_ / "f1", content_));
  }
  Code copy() const {
    const auto copied = copy_payload(agent_, file_, target_);
    return copied ? Code::ok : copied.error().code;
  }
  bool is_clean() const { return std::filesystem::is_empty(target_); }

  extension::testing::TemporaryFolder folder_;
  Path agent_ = folder_ / "agent";
  Path target_ = folder_ / "target";
  std::string content_ = random_bytes(700'001);
  PlanFile file_{.id = "f1", .name = "a.bin", .size = content_.size(), .sha256 = hex_encode(sha256(content_))};
};

TEST_F(PayloadCopy, a_good_file_arrives_under_its_name_for_root_only) {
  EXPECT_FALSE(has_payload(target_, file_));
  ASSERT_EQ(copy(), Code::ok);
  EXPECT_EQ(*read_file(target_ / "a.bin", 10'000'000), content_);
  struct stat info {};
  ASSERT_EQ(0, ::stat((target_ / "a.bin").c_str(), &info));
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  EXPECT_TRUE(has_payload(target_, file_));
  std::filesystem::rename(agent_ / "f1", agent_ / "a.bin");
  std::filesystem::remove(target_ / "a.bin");
  EXPECT_EQ(copy(), Code::ok) << "the file's name is accepted in place of its id";
}

TEST_F(PayloadCopy, wrong_size_and_wrong_hash_leave_nothing_behind) {
  ASSERT_TRUE(write_file_durably(agent_ / "f1", content_ + "x"));
  EXPECT_EQ(copy(), Code::size_mismatch);
  ASSERT_TRUE(write_file_durably(agent_ / "f1", content_.substr(1)));
  EXPECT_EQ(copy(), Code::size_mismatch);
  std::string changed = content_;
  changed[350'000] = static_cast<char>(changed[350'000] ^ 1);
  ASSERT_TRUE(write_file_durably(agent_ / "f1", changed));
  EXPECT_EQ(copy(), Code::digest_mismatch);
  std::filesystem::remove(agent_ / "f1");
  EXPECT_EQ(copy(), Code::not_found);
  EXPECT_TRUE(is_clean());
}

TEST_F(PayloadCopy, links_pipes_and_folders_in_the_place_of_a_payload_are_refused) {
  std::filesystem::rename(agent_ / "f1", folder_ / "elsewhere");
  std::filesystem::create_symlink(folder_ / "elsewhere", agent_ / "f1");
  EXPECT_EQ(copy(), Code::refused);
  std::filesystem::remove(agent_ / "f1");
  ASSERT_EQ(0, ::mkfifo((agent_ / "f1").c_str(), 0600));
  EXPECT_EQ(copy(), Code::refused) << "and it does not hang";
  std::filesystem::remove(agent_ / "f1");
  std::filesystem::create_directory(agent_ / "f1");
  EXPECT_EQ(copy(), Code::refused);
  std::filesystem::remove(agent_ / "f1");
  std::filesystem::create_symlink("/dev/zero", agent_ / "f1");
  EXPECT_EQ(copy(), Code::refused);
  std::filesystem::rename(agent_, folder_ / "real");
  std::filesystem::create_symlink(folder_ / "real", agent_);
  EXPECT_EQ(copy(), Code::refused) << "the folder itself is a link";
  EXPECT_TRUE(is_clean());
}

TEST_F(PayloadCopy, a_link_waiting_in_the_target_is_not_followed) {
  const Path victim = folder_ / "victim";
  ASSERT_TRUE(write_file_durably(victim, "precious"));
  std::filesystem::create_symlink(victim, target_ / ".copy-f1");
  std::filesystem::create_symlink(victim, target_ / "a.bin");
  ASSERT_EQ(copy(), Code::ok);
  EXPECT_EQ(*read_file(victim, 100), "precious");
  EXPECT_EQ(*read_file(target_ / "a.bin", 10'000'000), content_);
}

TEST_F(PayloadCopy, names_that_leave_the_folder_are_refused) {
  for (const char* name : {"../a.bin", "/etc/a", "a/b", "..", "", "a\nb"}) {
    file_.name = name;
    EXPECT_EQ(copy(), Code::refused) << name;
  }
}

TEST_F(PayloadCopy, whatever_the_agent_does_meanwhile_the_copy_is_whole_or_not_there) {
  std::atomic<bool> is_over = false;
  std::jthread villain([&] {
    std::string other = content_;
    for (char& c : other) c = static_cast<char>(c ^ 0x55);
    for (int i = 0; !is_over; ++i) {
      std::fstream file(agent_ / "f1", std::ios::in | std::ios::out | std::ios::binary);
      file.seekp(0);
      file << (i % 2 == 0 ? other : content_);
    }
  });
  int good = 0;
  for (int i = 0; i < 60; ++i) {
    std::filesystem::remove(target_ / "a.bin");
    if (copy() != Code::ok) {
      EXPECT_FALSE(std::filesystem::exists(target_ / "a.bin"));
      continue;
    }
    ++good;
    EXPECT_EQ(hex_encode(*sha256_of_file(target_ / "a.bin")), file_.sha256);
  }
  is_over = true;
  EXPECT_LT(good, 60) << "the villain never struck: the test proves nothing";
}

TEST_F(PayloadCopy, too_little_space_is_told_before_anything_is_copied) {
  EXPECT_TRUE(check_space(target_, 1, 0));
  EXPECT_EQ(check_space(target_, 1ULL << 60U, 0).error().code, Code::disk_full);
  EXPECT_EQ(check_space(target_, 1, 1ULL << 60U).error().code, Code::disk_full);
}

}  // namespace
}  // namespace godwit::installer
