#include "server/blobs/disk/disk_blobs.hpp"

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include <thread>

namespace godwit::blobs {
namespace {

class DiskBlobs : public testing::Test {
 protected:
  DiskBlobs()
      : folder_(Path(testing::TempDir()) / ("godwit-blobs-" + hex_encode(random_bytes(8)))),
        blobs_(open_disk_blobs(folder_).value()) {}
  ~DiskBlobs() override { static_cast<void>(remove_tree(folder_)); }
  Result<void> put(std::string_view bytes, const Bytes& digest, ByteCount size) {
    GODWIT_TRY(auto upload, blobs_->start(digest, size));
    GODWIT_TRY_VOID(upload->write(bytes.substr(0, bytes.size() / 2)));
    GODWIT_TRY_VOID(upload->write(bytes.substr(bytes.size() / 2)));
    return upload->finish();
  }
  [[nodiscard]] std::ptrdiff_t temporaries() const {
    return std::distance(std::filesystem::directory_iterator(folder_ / "tmp"), std::filesystem::directory_iterator());
  }
  [[nodiscard]] std::string contents(const Bytes& digest) {
    auto file = blobs_->open(digest).value();
    std::string bytes(4096, '\0');
    bytes.resize(static_cast<std::size_t>(::read(file.get(), bytes.data(), bytes.size())));
    return bytes;
  }
  Path folder_;
  std::unique_ptr<Blobs> blobs_;
};

}  // namespace

TEST_F(DiskBlobs, a_blob_is_visible_only_once_it_is_finished) {
  const Bytes digest = sha256("payload");
  {
    auto upload = blobs_->start(digest, 7).value();
    ASSERT_TRUE(upload->write("payload"));
    EXPECT_EQ(blobs_->size_of(digest).value(), std::nullopt);
    EXPECT_EQ(blobs_->open(digest).error().code, Code::not_found);
    ASSERT_TRUE(upload->finish());
  }
  EXPECT_EQ(blobs_->size_of(digest).value(), 7U);
  EXPECT_EQ(contents(digest), "payload");
  EXPECT_TRUE(std::filesystem::exists(folder_ / hex_encode(digest).substr(0, 2) / hex_encode(digest)));
  EXPECT_EQ(temporaries(), 0);
}

TEST_F(DiskBlobs, wrong_bytes_are_refused_and_leave_nothing) {
  EXPECT_EQ(put("payloaX", sha256("payload"), 7).error().code, Code::digest_mismatch);
  EXPECT_EQ(blobs_->size_of(sha256("payload")).value(), std::nullopt);
  EXPECT_EQ(temporaries(), 0);
}

TEST_F(DiskBlobs, a_short_body_and_a_long_body_are_refused) {
  EXPECT_EQ(put("payload", sha256("payload"), 8).error().code, Code::size_mismatch);
  EXPECT_EQ(put("payload", sha256("payload"), 6).error().code, Code::too_large);
  EXPECT_EQ(temporaries(), 0);
}

TEST_F(DiskBlobs, an_empty_blob_and_a_digest_of_the_wrong_length) {
  EXPECT_TRUE(put("", sha256(""), 0));
  EXPECT_EQ(blobs_->size_of(sha256("")).value(), 0U);
  EXPECT_EQ(blobs_->start("short", 1).error().code, Code::invalid_argument);
  EXPECT_EQ(blobs_->open("../../etc/passwd").error().code, Code::invalid_argument);
}

TEST_F(DiskBlobs, many_uploads_of_one_digest_at_once_all_succeed) {
  const std::string bytes(3000, 'x');
  std::vector<std::thread> threads;
  std::atomic<int> done = 0;
  for (int i = 0; i < 8; ++i) threads.emplace_back([&] { done += put(bytes, sha256(bytes), bytes.size()) ? 1 : 0; });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(done, 8);
  EXPECT_EQ(contents(sha256(bytes)), bytes);
  EXPECT_EQ(temporaries(), 0);
}

TEST_F(DiskBlobs, removing_is_idempotent_and_an_open_reader_keeps_its_bytes) {
  ASSERT_TRUE(put("payload", sha256("payload"), 7));
  auto reader = blobs_->open(sha256("payload")).value();
  EXPECT_TRUE(blobs_->remove(sha256("payload")));
  EXPECT_TRUE(blobs_->remove(sha256("payload")));
  EXPECT_EQ(blobs_->size_of(sha256("payload")).value(), std::nullopt);
  char first = 0;
  EXPECT_EQ(::read(reader.get(), &first, 1), 1);
  EXPECT_EQ(first, 'p');
}

TEST_F(DiskBlobs, opening_again_sweeps_what_a_killed_process_left_and_keeps_the_rest) {
  ASSERT_TRUE(put("payload", sha256("payload"), 7));
  ASSERT_TRUE(write_file_durably(folder_ / "tmp" / "left-behind", "half"));
  blobs_.reset();
  blobs_ = open_disk_blobs(folder_).value();
  EXPECT_EQ(temporaries(), 0);
  EXPECT_EQ(contents(sha256("payload")), "payload");
}

TEST_F(DiskBlobs, a_full_disk_is_named_as_such_and_room_is_given_back) {
  const Path small = folder_ / "small";
  std::filesystem::create_directories(small);
  if (::mount("tmpfs", small.c_str(), "tmpfs", 0, "size=1m") != 0)
    GTEST_SKIP() << "cannot mount a tmpfs here (needs root)";
  auto blobs = open_disk_blobs(small).value();
  const std::string large(4 * 1024 * 1024, 'x');
  {
    auto upload = blobs->start(sha256(large), large.size()).value();
    const auto outcome = upload->write(large);
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().code, Code::disk_full) << outcome.error().message;
  }
  auto upload = blobs->start(sha256("fits"), 4).value();
  EXPECT_TRUE(upload->write("fits"));
  EXPECT_TRUE(upload->finish());
  EXPECT_EQ(::umount(small.c_str()), 0);
}

}  // namespace godwit::blobs
