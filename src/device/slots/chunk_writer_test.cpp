// Goal: an image that comes in pieces ends on the target, whole, whatever is cut, and nothing is fetched that is there.
// Method: rounds on a disk that forgets; the power goes in every operation of them, with what was not synced dropped,
// kept or torn; a fetcher of the test gives what is asked for and counts it. faults: 52, 54
#include "device/slots/chunk_writer.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>

#include "core/chunks/pack.hpp"
#include "device/slots/testing/fake_disk.hpp"

namespace godwit::slots {
namespace {

using testing::FakeDisk;
using testing::Loss;
using testing::PowerCut;

const Path kTarget = "/dev/b";
const Path kRunning = "/dev/a";
const Path kPieces = "/data/pieces";
const Path kProgress = "/data/progress.json";
constexpr WriterOptions kWriter{.chunk = 8192, .grain = 512, .window = 8192};
constexpr std::uint32_t kChunk = chunks::kChunkSizeMin;
constexpr ChunkOptions kOptions{.at_a_time = 3ULL * kChunk, .most_ranges = 4};

Bytes noise(std::size_t size, unsigned seed) {
  Bytes bytes(size, '\0');
  std::mt19937 dice(seed);
  for (char& byte : bytes) byte = static_cast<char>(dice());
  return bytes;
}

class ChunkWriterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto packed = chunks::pack(image_,
                               [&](std::string_view frame) -> Result<void> {
                                 stored_ += frame;
                                 return {};
                               },
                               {.chunk_size = kChunk, .level = 3, .jobs = 1});
    ASSERT_TRUE(packed);
    index_ = *chunks::Index::parse(*std::move(packed));
    fresh();
  }
  void fresh() {
    disk_ = std::make_unique<FakeDisk>();
    disk_->put(kTarget, Bytes(64 * 1024, 'x'));
    disk_->put(kRunning, running_);
    fetched_ = 0;
    rounds_ = 0;
  }
  Result<std::vector<StoredRange>> round(const ArrivedPieces* arrived, const Watch& watch = {}) {
    ++rounds_;
    ChunkWriter writer(*disk_, *index_, kProgress, kOptions);
    GODWIT_TRY(const auto target, disk_->open(kTarget, OpenMode::write));
    GODWIT_TRY(const auto alike, disk_->open(kRunning, OpenMode::read));
    auto missing = writer.round(*target, alike.get(), arrived, options_, watch);
    written_ = writer.written();
    return missing;
  }
  /// What an agent does: fetches what is asked for, but nothing that it has already.
  ArrivedPieces fetch(const std::vector<StoredRange>& ranges) {
    if (ranges == in_sandbox_.ranges) return in_sandbox_;
    Bytes bytes;
    for (const StoredRange& range : ranges) bytes += stored_.substr(range.offset, range.length);
    fetched_ += bytes.size();
    disk_->put(kPieces, bytes);
    in_sandbox_ = {.file = kPieces, .ranges = ranges};
    return in_sandbox_;
  }
  /// Rounds until nothing is missing, across cuts.
  void run(Loss loss, std::uint64_t seed) {
    std::optional<ArrivedPieces> arrived;
    for (int turn = 0; turn < 200; ++turn) {
      try {
        const auto missing = round(arrived ? &*arrived : nullptr);
        ASSERT_TRUE(missing) << missing.error().message;
        if (missing->empty()) return;
        arrived = fetch(*missing);
      } catch (const PowerCut&) {
        disk_->lose_power(loss, seed);
        arrived.reset();  // the first round after a cut comes without
      }
    }
    FAIL() << "the rounds do not end";
  }
  Bytes on_target() const { return disk_->durable(kTarget).substr(0, image_.size()); }

  WriterOptions options_ = kWriter;
  Bytes image_ = noise(11 * kChunk + 300, 1);
  Bytes running_ = noise(64 * 1024, 2);
  Bytes stored_{};
  std::optional<chunks::Index> index_{};
  std::unique_ptr<FakeDisk> disk_{};
  ArrivedPieces in_sandbox_{};
  ByteCount fetched_ = 0;
  int rounds_ = 0;
  Written written_{};
};

TEST_F(ChunkWriterTest, an_image_arrives_in_bounded_pieces) {
  run(Loss::all, 0);
  EXPECT_EQ(on_target(), image_);
  EXPECT_EQ(fetched_, stored_.size());
  EXPECT_EQ(rounds_, 5) << "12 chunks, three at a time, and a first round that only asks";
  EXPECT_LE(disk_->most_unsynced(kTarget), kWriter.window);
}

TEST_F(ChunkWriterTest, what_is_there_or_on_the_running_side_is_not_fetched) {
  Bytes target(64 * 1024, 'x');
  target.replace(0, 4 * kChunk, image_, 0, 4 * kChunk);  // an earlier try
  disk_->put(kTarget, target);
  running_.replace(6 * kChunk, 2 * kChunk, image_, 6 * kChunk, 2 * kChunk);  // equal in both versions
  disk_->put(kRunning, running_);
  run(Loss::all, 0);
  EXPECT_EQ(on_target(), image_);
  ByteCount expected = 0;
  for (const std::uint32_t chunk : {4U, 5U, 8U, 9U, 10U, 11U}) expected += index_->chunk(chunk).stored;
  EXPECT_EQ(fetched_, expected);
}

TEST_F(ChunkWriterTest, an_image_that_is_there_needs_no_round_more) {
  disk_->put(kTarget, image_);
  const auto missing = round(nullptr);
  ASSERT_TRUE(missing);
  EXPECT_TRUE(missing->empty());
  EXPECT_EQ(written_.written, 0U);
  EXPECT_EQ(written_.skipped, image_.size());
}

TEST_F(ChunkWriterTest, a_wrong_piece_is_named_and_not_written) {
  auto missing = round(nullptr);
  ASSERT_TRUE(missing);
  ArrivedPieces arrived = fetch(*missing);
  Bytes wrong = disk_->durable(kPieces);
  wrong[index_->chunk(1).offset + 20] ^= 1;
  disk_->put(kPieces, wrong);
  const auto refused = round(&arrived);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::digest_mismatch);
  EXPECT_NE(refused.error().message.find("chunk 1 of the image as it came"), std::string::npos)
      << refused.error().message;
  EXPECT_EQ(disk_->durable(kTarget).substr(kChunk, kChunk), Bytes(kChunk, 'x'));
  missing = round(nullptr);
  ASSERT_TRUE(missing);
  EXPECT_EQ(*missing, arrived.ranges) << "it is asked for again";
}

TEST_F(ChunkWriterTest, pieces_that_are_short_or_were_not_asked_for_are_not_used) {
  auto missing = round(nullptr);
  ArrivedPieces other{.file = kPieces, .ranges = {{.offset = 0, .length = 1}}};
  disk_->put(kPieces, "y");
  EXPECT_EQ(*round(&other), *missing);
  other.ranges = *missing;
  EXPECT_EQ(round(&other).error().code, Code::digest_mismatch);
  EXPECT_EQ(disk_->written_to(kTarget), 0U);
}

TEST_F(ChunkWriterTest, a_damaged_or_foreign_progress_counts_as_none) {
  for (const std::string_view text : {"", "{", "{\"index\":\"00\",\"lookedAt\":12,\"missing\":[]}", "[1,2]"}) {
    fresh();
    disk_->put(kProgress, Bytes(text));
    in_sandbox_ = {};
    run(Loss::all, 0);
    EXPECT_EQ(on_target(), image_) << text;
  }
  const std::string name = hex_encode(sha256(print_header(index_->layout())));
  for (const std::string_view rest :
       {"\"lookedAt\":13,\"missing\":[]", "\"lookedAt\":2,\"missing\":[{\"first\":1,\"count\":2}]",
        "\"lookedAt\":2,\"missing\":[{\"first\":-1,\"count\":1}]", "\"lookedAt\":2",
        "\"lookedAt\":4,\"missing\":[{\"first\":2,\"count\":1},{\"first\":2,\"count\":1}]"}) {
    fresh();
    disk_->put(kProgress, fmt::format("{{\"index\":\"{}\",{}}}", name, rest));
    in_sandbox_ = {};
    run(Loss::all, 0);
    EXPECT_EQ(on_target(), image_) << rest;
  }
}

TEST_F(ChunkWriterTest, a_target_that_somebody_else_wrote_is_found_after_forget) {
  run(Loss::all, 0);
  Bytes target = disk_->durable(kTarget);
  target[2 * kChunk] ^= 1;
  disk_->put(kTarget, target);
  ASSERT_TRUE(round(nullptr)->empty()) << "what was looked at once is believed";
  ASSERT_TRUE(ChunkWriter(*disk_, *index_, kProgress, kOptions).forget());
  const auto missing = round(nullptr);
  ASSERT_EQ(missing->size(), 1U);
  EXPECT_EQ(missing->front().offset, index_->chunk(2).offset);
}

TEST_F(ChunkWriterTest, a_cancel_ends_between_two_chunks) {
  const Watch watch{.is_cancelled = [] { return true; }};
  EXPECT_EQ(round(nullptr, watch).error().code, Code::cancelled);
}

TEST_F(ChunkWriterTest, a_cut_at_any_point_loses_neither_what_was_fetched_nor_the_image) {
  run(Loss::all, 0);
  const int operations = disk_->operations();
  int cuts = 0;
  for (const Loss loss : {Loss::all, Loss::nothing, Loss::random})
    for (int cut = 0; cut < operations; ++cut) {
      fresh();
      in_sandbox_ = {};
      disk_->cuts = {cut};
      run(loss, static_cast<std::uint64_t>(cut));
      if (HasFatalFailure()) return;
      ++cuts;
      ASSERT_EQ(on_target(), image_) << "cut " << cut;
      ASSERT_EQ(fetched_, stored_.size()) << "cut " << cut << ": pieces were fetched twice";
    }
  fmt::print("chunk writer: {} cut points\n", cuts);
}

TEST_F(ChunkWriterTest, without_any_of_its_syncs_the_image_is_lost_somewhere) {
  options_.window = 16 * kChunk;  // no sync but that at the end of a round: the others only bound what is unsynced
  run(Loss::all, 0);
  const int operations = disk_->operations();
  const int syncs = disk_->syncs();
  const std::vector<std::string> places = disk_->sync_places();
  int spared = 0;
  for (int sync = 0; sync < syncs; ++sync) {
    bool is_noticed = false;
    for (int cut = 0; cut <= operations && !is_noticed; ++cut)
      for (const Loss loss : {Loss::all, Loss::random}) {
        fresh();
        in_sandbox_ = {};
        disk_->missing_sync = sync;
        disk_->cuts = {cut};
        std::optional<ArrivedPieces> arrived;
        bool is_over = false;
        for (int turn = 0; turn < 40 && !is_over; ++turn) try {
            const auto missing = round(arrived ? &*arrived : nullptr);
            if (!missing) break;
            is_over = missing->empty();
            if (!is_over) arrived = fetch(*missing);
          } catch (const PowerCut&) {
            disk_->lose_power(loss, static_cast<std::uint64_t>(cut));
            arrived.reset();
          }
        disk_->lose_power(Loss::all, 0);
        if (!is_over || on_target() != image_ || fetched_ != stored_.size()) is_noticed = true;
      }
    // The progress of the last round claims nothing that the target does not hold: lost, it is looked at once more.
    if (!is_noticed) {
      ++spared;
      EXPECT_NE(places[static_cast<std::size_t>(sync)].find("/data"), std::string::npos)
          << places[static_cast<std::size_t>(sync)];
    }
  }
  EXPECT_LE(spared, 2 * rounds_) << "of " << syncs;
}

}  // namespace
}  // namespace godwit::slots
