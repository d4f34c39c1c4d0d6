#include "core/base/file.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

using namespace godwit;

namespace {

class File : public testing::Test {
 protected:
  File() : folder_(Path(testing::TempDir()) / ("godwit-file-" + hex_encode(random_bytes(6)))) {
    std::filesystem::create_directory(folder_);
  }
  ~File() override { static_cast<void>(remove_tree(folder_)); }
  [[nodiscard]] std::size_t entries() const {
    return static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator(folder_), std::filesystem::directory_iterator()));
  }
  Path folder_;
};

}  // namespace

TEST_F(File, durable_write_replaces_whole_and_leaves_no_temporary) {
  const auto path = folder_ / "state";
  ASSERT_TRUE(write_file_durably(path, "first"));
  ASSERT_TRUE(write_file_durably(path, std::string_view("sec\0nd", 6), 0640));
  EXPECT_EQ(read_file(path, 100).value(), std::string("sec\0nd", 6));
  EXPECT_EQ(entries(), 1U);
  struct stat info {};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0640U);
}

TEST_F(File, failed_durable_write_keeps_the_old_content) {
  const auto path = folder_ / "state";
  ASSERT_TRUE(write_file_durably(path, "old"));
  // A file size limit is the nearest thing to a full disk that needs no mount.
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{1000, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto written = write_file_durably(path, std::string(5000, 'n'));
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, old_handler);
  ASSERT_FALSE(written);
  EXPECT_NE(written.error().message.find("state"), std::string::npos) << written.error().message;
  EXPECT_EQ(read_file(path, 100).value(), "old");
  EXPECT_EQ(entries(), 1U);
}

TEST_F(File, read_names_the_path_and_holds_its_limit) {
  const auto missing = read_file(folder_ / "missing", 10);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::not_found);
  EXPECT_NE(missing.error().message.find("missing"), std::string::npos);
  ASSERT_TRUE(write_file_durably(folder_ / "ten", "0123456789"));
  EXPECT_TRUE(read_file(folder_ / "ten", 10));
  EXPECT_EQ(read_file(folder_ / "ten", 9).error().code, Code::too_large);
  EXPECT_EQ(read_file(folder_, 10).error().code, Code::io_failed);
}

TEST_F(File, digest_of_a_file_is_that_of_its_bytes) {
  Bytes bytes(200'003, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * i % 251);
  ASSERT_TRUE(write_file_durably(folder_ / "payload", bytes));
  EXPECT_EQ(sha256_of_file(folder_ / "payload").value(), sha256(bytes));
  EXPECT_EQ(sha256_of_file(folder_ / "missing").error().code, Code::not_found);
}

TEST_F(File, folders_are_made_with_their_parents_and_the_given_mode) {
  const auto deep = folder_ / "a" / "b" / "c";
  ASSERT_TRUE(make_folders(deep, 0750));
  ASSERT_TRUE(make_folders(deep, 0700));  // again: left as it is
  struct stat info {};
  ASSERT_EQ(::stat(deep.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0750U);
  ASSERT_TRUE(write_file_durably(folder_ / "plain", "x"));
  EXPECT_FALSE(make_folders(folder_ / "plain" / "below"));
}

TEST_F(File, removing_may_be_repeated) {
  ASSERT_TRUE(make_folders(folder_ / "tree" / "deep"));
  ASSERT_TRUE(remove_tree(folder_ / "tree"));
  ASSERT_TRUE(remove_tree(folder_ / "tree"));
  ASSERT_TRUE(write_file_durably(folder_ / "file", "x"));
  ASSERT_TRUE(remove_file_durably(folder_ / "file"));
  EXPECT_TRUE(remove_file_durably(folder_ / "file"));  // again: it is gone, as wanted
}

TEST_F(File, descriptor_is_closed_once_and_by_its_last_owner) {
  int number = -1;
  {
    auto fd = open_file(folder_, O_RDONLY | O_DIRECTORY).value();
    number = fd.get();
    UniqueFd second = std::move(fd);
    EXPECT_FALSE(fd);  // NOLINT(bugprone-use-after-move): emptiness after a move is the promise
    EXPECT_EQ(::fcntl(number, F_GETFD), FD_CLOEXEC);
    second = UniqueFd();
    EXPECT_EQ(::fcntl(number, F_GETFD), -1);
  }
}

TEST(PlainFileName, has_no_way_out_of_its_folder) {
  for (const char* good : {"a", "app-1.0.0.tar.gz", "..a", "a b", "\xc3\xa9"})
    EXPECT_TRUE(is_plain_file_name(good)) << good;
  for (const std::string bad : {"", ".", "..", "a/b", "/", "../x", "a\nb", "\x7f", "\xff"})
    EXPECT_FALSE(is_plain_file_name(bad)) << bad;
  EXPECT_FALSE(is_plain_file_name(std::string_view("a\0b", 3)));
  EXPECT_TRUE(is_plain_file_name(std::string(255, 'x')));
  EXPECT_FALSE(is_plain_file_name(std::string(256, 'x')));
}

// faults: 14. Sizes are 64 bits wide all the way: a difference in the last byte, beyond 2^32, changes the digest.
TEST_F(File, a_file_beyond_four_gigabytes_is_hashed_to_its_last_byte) {
  const Path path = folder_ / "large";
  const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  constexpr off_t kSize = (off_t{1} << 32) + 1;
  ASSERT_EQ(::ftruncate(fd.get(), kSize), 0);  // takes no room
  ASSERT_EQ(::pwrite(fd.get(), "x", 1, kSize - 1), 1);
  EXPECT_EQ(hex_encode(sha256_of_file(path).value()),
            "07d357bda5c988a206bb478ade5af844c26eaf242e951e5ac4d4f85b417ed69f");
}
