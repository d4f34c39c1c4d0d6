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
        blobs_(open_disk_blobs(folder_, clock_).value()) {}
  ~DiskBlobs() override { static_cast<void>(remove_tree(folder_)); }
  Result<void> put(std::string_view bytes, const Bytes& digest, ByteCount size) {
    GODWIT_TRY(auto upload, blobs_->start(digest, size));
    GODWIT_TRY_VOID(upload->write(bytes.substr(0, bytes.size() / 2)));
    GODWIT_TRY_VOID(upload->write(bytes.substr(bytes.size() / 2)));
    GODWIT_TRY_VOID(upload->finish());
    return {};
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
  /// One request of an upload that may be continued: `bytes` from `first` on.
  Result<bool> send(std::string_view whole, ByteCount first, std::string_view bytes) {
    GODWIT_TRY(auto upload, blobs_->resume(sha256(whole), whole.size(), first));
    GODWIT_TRY_VOID(upload->write(bytes));
    if (first + bytes.size() < whole.size()) return false;
    GODWIT_TRY_VOID(upload->finish());
    return true;
  }
  [[nodiscard]] ByteCount received(std::string_view whole) {
    const auto partial = blobs_->find_partial(sha256(whole));
    return partial ? partial->received : 0;
  }
  FakeClock clock_;
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
  blobs_ = open_disk_blobs(folder_, clock_).value();
  EXPECT_EQ(temporaries(), 0);
  EXPECT_EQ(contents(sha256("payload")), "payload");
}

TEST_F(DiskBlobs, a_full_disk_is_named_as_such_and_room_is_given_back) {
  const Path small = folder_ / "small";
  std::filesystem::create_directories(small);
  if (::mount("tmpfs", small.c_str(), "tmpfs", 0, "size=1m") != 0)
    GTEST_SKIP() << "cannot mount a tmpfs here (needs root)";
  auto blobs = open_disk_blobs(small, clock_).value();
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

TEST_F(DiskBlobs, an_upload_is_continued_where_it_was_cut_also_by_another_process) {
  const std::string whole = "0123456789";
  ASSERT_FALSE(send(whole, 0, "012").value());
  EXPECT_EQ(received(whole), 3U);
  EXPECT_EQ(blobs_->size_of(sha256(whole)).value(), std::nullopt);
  ASSERT_FALSE(send(whole, 3, "34").value());
  blobs_.reset();
  blobs_ = open_disk_blobs(folder_, clock_).value();
  EXPECT_EQ(received(whole), 5U);
  EXPECT_EQ(blobs_->usage().reserved, 10U);
  ASSERT_TRUE(send(whole, 5, "56789").value());
  EXPECT_EQ(contents(sha256(whole)), whole);
  EXPECT_EQ(received(whole), 0U);
  EXPECT_EQ(blobs_->usage().reserved, 0U);
  EXPECT_TRUE(std::filesystem::is_empty(folder_ / "partial"));
}

TEST_F(DiskBlobs, a_process_killed_between_the_last_byte_and_the_end_leaves_an_upload_that_can_end) {
  const std::string whole = "0123456789";
  {
    auto upload = blobs_->resume(sha256(whole), 10, 0).value();
    ASSERT_TRUE(upload->write(whole));
  }
  blobs_.reset();
  blobs_ = open_disk_blobs(folder_, clock_).value();
  ASSERT_EQ(received(whole), 9U) << "one byte to send again, and with it the wish to finish";
  ASSERT_TRUE(send(whole, 9, "9").value());
  EXPECT_EQ(contents(sha256(whole)), whole);
}

TEST_F(DiskBlobs, another_offset_or_size_is_refused_with_what_is_here_and_byte_0_begins_anew) {
  const std::string whole = "0123456789";
  EXPECT_EQ(send(whole, 3, "34").error().code, Code::conflict) << "nothing was begun";
  ASSERT_FALSE(send(whole, 0, "012").value());
  const auto gap = send(whole, 4, "4");
  ASSERT_FALSE(gap);
  EXPECT_NE(gap.error().message.find("continue at byte 3"), std::string::npos) << gap.error().message;
  EXPECT_EQ(blobs_->resume(sha256(whole), 11, 3).error().code, Code::conflict);
  EXPECT_EQ(received(whole), 3U) << "the refused ones changed nothing";
  ASSERT_FALSE(send(whole, 0, "0").value());
  EXPECT_EQ(received(whole), 1U);
  EXPECT_TRUE(blobs_->drop_partial(sha256(whole)).value());
  EXPECT_FALSE(blobs_->drop_partial(sha256(whole)).value());
}

TEST_F(DiskBlobs, whoever_continues_shuts_out_whoever_wrote_before) {
  const std::string whole = "0123456789";
  auto first = blobs_->resume(sha256(whole), 10, 0).value();
  ASSERT_TRUE(first->write("012"));
  auto second = blobs_->resume(sha256(whole), 10, 3).value();
  EXPECT_EQ(first->write("X").error().code, Code::conflict) << "a connection that died without a word";
  first.reset();
  ASSERT_TRUE(second->write("3456789"));
  ASSERT_TRUE(second->finish());
  EXPECT_EQ(contents(sha256(whole)), whole);
}

TEST_F(DiskBlobs, a_continued_upload_of_other_bytes_is_refused_and_leaves_nothing) {
  const std::string whole = "0123456789";
  ASSERT_FALSE(send(whole, 0, "01X").value());
  EXPECT_EQ(send(whole, 3, "34567890").error().code, Code::too_large);
  EXPECT_EQ(send(whole, 3, "3456789").error().code, Code::digest_mismatch);
  EXPECT_EQ(blobs_->size_of(sha256(whole)).value(), std::nullopt);
  EXPECT_FALSE(blobs_->find_partial(sha256(whole)));
  EXPECT_TRUE(std::filesystem::is_empty(folder_ / "partial"));
}

TEST_F(DiskBlobs, foreign_files_among_the_uploads_are_swept) {
  ASSERT_TRUE(write_file_durably(folder_ / "partial" / "nonsense", "x"));
  ASSERT_TRUE(write_file_durably(folder_ / "partial" / (std::string(64, 'a') + ".3"), "longer than announced"));
  blobs_.reset();
  blobs_ = open_disk_blobs(folder_, clock_).value();
  EXPECT_TRUE(std::filesystem::is_empty(folder_ / "partial"));
}

TEST_F(DiskBlobs, storage_and_begun_uploads_are_limited) {
  const Path small = folder_ / "small";
  auto blobs = open_disk_blobs(small, clock_, {.storage_limit = 20, .partial_limit = 2}).value();
  auto one = blobs->start(sha256("0123456789"), 10).value();
  EXPECT_EQ(blobs->start(sha256("x"), 11).error().code, Code::disk_full) << "what is on its way counts";
  ASSERT_TRUE(one->write("0123456789"));
  ASSERT_TRUE(one->finish());
  one.reset();
  EXPECT_EQ(blobs->usage().bytes, 10U);
  EXPECT_EQ(blobs->resume(sha256("x"), 11, 0).error().code, Code::disk_full);
  EXPECT_TRUE(blobs->resume(sha256("y"), 5, 0));
  EXPECT_TRUE(blobs->resume(sha256("z"), 5, 0));
  EXPECT_EQ(blobs->resume(sha256("w"), 1, 0).error().code, Code::too_many);
  ASSERT_TRUE(blobs->remove(sha256("0123456789")));
  EXPECT_EQ(blobs->usage().bytes, 0U);
}

TEST_F(DiskBlobs, the_list_has_every_blob_once_in_the_order_of_digests) {
  std::vector<Bytes> digests;
  for (int i = 0; i < 600; ++i) {
    const std::string bytes = std::to_string(i);
    digests.push_back(sha256(bytes));
    ASSERT_TRUE(put(bytes, digests.back(), bytes.size()));
  }
  std::sort(digests.begin(), digests.end());
  std::vector<Bytes> listed;
  for (auto page = blobs_->list({}, 50).value(); !page.empty(); page = blobs_->list(listed.back(), 50).value())
    for (const BlobInfo& blob : page) listed.push_back(blob.sha256);
  EXPECT_EQ(listed, digests);
}

// Goal: holding and removing race for one blob; whoever was told that it is here must find it.
TEST_F(DiskBlobs, what_was_held_is_never_removed_by_a_sweep) {
  const Bytes digest = sha256("payload");
  for (int round = 0; round < 200; ++round) {
    ASSERT_TRUE(put("payload", digest, 7));
    const WallTime limit = clock_.now();
    std::optional<ByteCount> held;
    bool is_gone = false;
    const auto hold = [&] { held = blobs_->hold(digest).value(); };
    const auto sweep = [&] { is_gone = blobs_->remove_unless_used_after(digest, limit).value(); };
    std::thread beside = round % 2 == 0 ? std::thread(hold) : std::thread(sweep);
    round % 2 == 0 ? sweep() : hold();
    beside.join();
    EXPECT_NE(held.has_value(), is_gone) << "round " << round;
    EXPECT_EQ(blobs_->size_of(digest).value().has_value(), held.has_value());
  }
}

}  // namespace godwit::blobs
