// Goal:   the file is copied whole or the answer says what was wrong; nothing outside of the folders, no link, fifo or
//         file of somebody else is read; a medium pulled out in the middle can be put back.
// Method: real files; for the medium that goes away the one call that reads it is answered by the test.
#include "copy.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/testing/temp_folder.hpp"
#include "core/model/outcome.hpp"
#include "device/extension/process.hpp"
#include "device/extension/testing/test_extensions.hpp"

namespace godwit::downloader_local {
namespace {

class LocalCopy : public ::testing::Test {
 protected:
  LocalCopy() {
    EXPECT_EQ(::mkdir(medium().c_str(), 0755), 0);
    EXPECT_TRUE(write_file_durably(medium() / "a.bin", content_, 0644));
    request_.target = folder_.path() / "a.part";
    request_.expected_size = content_.size();
    request_.options.folders = {medium()};
  }
  Path medium() const { return folder_.path() / "medium"; }
  CopyAnswer get(const std::string& name = "a.bin") {
    request_.url = "file://" + (medium() / name).string();
    return copy(request_, watch_);
  }
  std::string target() const { return read_file(request_.target, 100'000'000).value_or("<none>"); }

  static std::string awkward() {
    std::string bytes(3'000'001, '\0');
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>((i * 2654435761U) >> 16U);
    return bytes;
  }
  TempFolder folder_;
  std::string content_ = awkward();
  CopyRequest request_{};
  CopyWatch watch_{};
};

TEST_F(LocalCopy, copies_the_whole_file_and_tells_how_far_it_is) {
  std::uint64_t last = 0;
  watch_.on_progress = [&](std::uint64_t done, std::uint64_t total) {
    EXPECT_GT(done, last);
    EXPECT_EQ(total, content_.size());
    last = done;
  };
  const auto answer = get();
  EXPECT_EQ(answer.result_code, result::download_ok) << answer.details;
  EXPECT_EQ(target(), content_);
  EXPECT_EQ(last, content_.size());
}

TEST_F(LocalCopy, goes_on_where_an_earlier_try_ended_and_cuts_what_is_beyond) {
  ASSERT_TRUE(write_file_durably(request_.target, content_.substr(0, 1'000'000) + "rubbish"));
  request_.resume_offset = 1'000'000;
  const auto answer = get();
  EXPECT_TRUE(answer.was_resumed);
  EXPECT_EQ(answer.bytes_read, 2'000'001U);
  EXPECT_EQ(target(), content_);
}

TEST_F(LocalCopy, a_medium_pulled_out_in_the_middle_is_worth_another_try_and_goes_on_there) {
  int reads = 0;
  watch_.read = [&](int fd, void* into, std::size_t size, off_t offset) -> ssize_t {
    if (++reads < 3) return ::pread(fd, into, size, offset);
    errno = EIO;
    return -1;
  };
  const auto pulled = get();
  EXPECT_EQ(pulled.result_code, result::failure);
  EXPECT_TRUE(pulled.is_retryable);
  EXPECT_NE(pulled.details.find("pulled out"), std::string::npos) << pulled.details;
  EXPECT_EQ(pulled.file_size, 2U * 1024 * 1024);

  watch_.read = nullptr;
  request_.resume_offset = pulled.file_size;
  EXPECT_EQ(get().bytes_read, content_.size() - pulled.file_size);
  EXPECT_EQ(target(), content_);
}

TEST_F(LocalCopy, a_file_that_is_cut_while_it_is_read_is_worth_another_try) {
  watch_.read = [](int, void*, std::size_t, off_t) -> ssize_t { return 0; };
  const auto answer = get();
  EXPECT_EQ(answer.extended_code, erc::download_size);
  EXPECT_TRUE(answer.is_retryable);
}

TEST_F(LocalCopy, a_cancel_keeps_what_has_come) {
  int asked = 0;
  watch_.is_cancelled = [&] { return ++asked > 1; };
  EXPECT_EQ(get().result_code, result::cancelled);
  EXPECT_EQ(target(), content_.substr(0, 1024 * 1024));
}

TEST_F(LocalCopy, another_size_than_signed_is_refused_before_a_byte_is_copied) {
  request_.expected_size = content_.size() - 1;
  const auto answer = get();
  EXPECT_EQ(answer.extended_code, erc::download_size);
  EXPECT_FALSE(answer.is_retryable);
  EXPECT_EQ(target(), "<none>");
  request_.expected_size = std::nullopt;
  EXPECT_EQ(get().extended_code, erc::download_size) << "longer than the limit of a file of unknown size";
}

TEST_F(LocalCopy, links_folders_and_fifos_are_refused_at_once) {
  ASSERT_EQ(::symlink("a.bin", (medium() / "link").c_str()), 0);
  ASSERT_EQ(::symlink("/etc", (medium() / "etc").c_str()), 0);
  ASSERT_EQ(::mkdir((medium() / "folder").c_str(), 0755), 0);
  ASSERT_EQ(::mkfifo((medium() / "fifo").c_str(), 0644), 0);
  for (const char* name : {"link", "etc/passwd", "folder", "fifo"}) {
    const auto answer = get(name);
    EXPECT_EQ(answer.extended_code, erc::download_bad_url) << name << ": " << answer.details;
    EXPECT_FALSE(answer.is_retryable);
  }
  EXPECT_EQ(target(), "<none>");
}

TEST_F(LocalCopy, what_everybody_may_write_is_refused_be_it_file_or_folder) {
  ASSERT_EQ(::chmod((medium() / "a.bin").c_str(), 0666), 0);
  EXPECT_NE(get().details.find("chmod o-w"), std::string::npos);
  ASSERT_EQ(::chmod((medium() / "a.bin").c_str(), 0644), 0);
  ASSERT_EQ(::chmod(medium().c_str(), 01777), 0);
  EXPECT_NE(get().details.find("chmod o-w"), std::string::npos);
}

TEST_F(LocalCopy, a_file_of_somebody_else_is_taken_only_from_a_named_owner) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root gives files away";
  ASSERT_EQ(::chown((medium() / "a.bin").c_str(), 4711, 4711), 0);
  EXPECT_NE(get().details.find("--option owners=4711"), std::string::npos);
  request_.options.owners = {4711};
  EXPECT_EQ(get().result_code, result::download_ok);
}

TEST_F(LocalCopy, a_file_that_is_not_there_or_outside_is_not_worth_another_try) {
  const auto missing = get("nothing.bin");
  EXPECT_NE(missing.details.find("there is no"), std::string::npos);
  EXPECT_FALSE(missing.is_retryable);
  request_.url = "file:///etc/passwd";
  EXPECT_EQ(copy(request_, watch_).extended_code, erc::download_bad_url);
  EXPECT_EQ(target(), "<none>");
}

TEST_F(LocalCopy, works_behind_the_contract_with_the_options_of_its_registration) {
  using namespace godwit::extension;
  auto registration = extension::testing::registration_of(
      extension::testing::library_folder() / "godwit-downloader-local.so", Type::content_downloader, "godwit/local:1");
  json::Object call{{"verb", "download"},
                    {"url", "file://" + (medium() / "a.bin").string()},
                    {"target", request_.target.string()},
                    {"expected_size", content_.size()},
                    {"resume_offset", 0}};
  const auto untold = run_extension(registration, call, Limits{}, {}, Callbacks{});
  ASSERT_TRUE(untold) << untold.error().message;
  EXPECT_NE(untold->details.find("--option folders="), std::string::npos) << untold->details;
  registration.options = {{"folders", medium().string()}, {"schemes", "file"}};
  const auto told = run_extension(registration, call, Limits{}, {}, Callbacks{});
  ASSERT_TRUE(told) << told.error().message;
  EXPECT_EQ(told->result_code, result::download_ok) << told->details;
  EXPECT_EQ(target(), content_);
}

}  // namespace
}  // namespace godwit::downloader_local
