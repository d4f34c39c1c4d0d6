#include <fmt/format.h>
#include <gtest/gtest.h>
#include <zstd.h>

#include <random>

#include "core/chunks/pack.hpp"

namespace godwit::chunks {
namespace {

constexpr PackOptions kSmall{.chunk_size = kChunkSizeMin, .level = 3, .jobs = 2};

Bytes image_of(std::size_t size) {
  Bytes image(size, '\0');
  std::mt19937 dice(7);
  for (std::size_t i = 0; i < size; i += 3) image[i] = static_cast<char>(dice() % 16);  // neither random nor empty
  return image;
}

struct Made {
  Bytes stored;
  Bytes index;
};
Made make(std::string_view image, const PackOptions& options = kSmall) {
  Made made;
  auto index = pack(
      image,
      [&](std::string_view frame) -> Result<void> {
        made.stored += frame;
        return {};
      },
      options);
  EXPECT_TRUE(index) << index.error().message;
  if (index) made.index = *std::move(index);
  return made;
}

std::string refused(Bytes index) {
  const auto parsed = Index::parse(std::move(index));
  return parsed ? "" : parsed.error().message;
}

TEST(Chunks, every_chunk_comes_out_as_it_went_in) {
  const Bytes image = image_of(5 * kChunkSizeMin + 17);
  const Made made = make(image);
  const auto index = Index::parse(made.index);
  ASSERT_TRUE(index) << index.error().message;
  const Layout& layout = index->layout();
  EXPECT_EQ(layout.count(), 6U);
  EXPECT_EQ(layout.length_of(5), 17U);
  EXPECT_EQ(layout.image_sha256, sha256(image));
  EXPECT_EQ(layout.stored_size, made.stored.size());
  Bytes out;
  for (std::uint32_t i = 0; i < layout.count(); ++i) {
    const Chunk chunk = index->chunk(i);
    const auto content =
        unpack(chunk, layout.length_of(i), std::string_view(made.stored).substr(chunk.offset, chunk.stored));
    ASSERT_TRUE(content) << content.error().message;
    out += *content;
  }
  EXPECT_EQ(out, image);
}

TEST(Chunks, the_stored_file_is_an_ordinary_zst_file) {
  const Bytes image = image_of(3 * kChunkSizeMin);
  const Made made = make(image);
  Bytes out(image.size() + 1, '\0');
  const std::size_t size = ZSTD_decompress(out.data(), out.size(), made.stored.data(), made.stored.size());
  ASSERT_EQ(ZSTD_isError(size), 0U);
  out.resize(size);
  EXPECT_EQ(out, image);
}

TEST(Chunks, more_threads_make_the_same_files) {
  const Bytes image = image_of(70 * kChunkSizeMin);
  const Made one = make(image, {.chunk_size = kChunkSizeMin, .level = 3, .jobs = 1});
  const Made many = make(image, {.chunk_size = kChunkSizeMin, .level = 3, .jobs = 4});
  EXPECT_EQ(one.stored, many.stored);
  EXPECT_EQ(one.index, many.index);
}

TEST(Chunks, a_frame_that_is_not_what_the_index_says_is_not_unpacked) {
  const Bytes image = image_of(kChunkSizeMin);
  const Made made = make(image);
  const Chunk chunk = Index::parse(made.index)->chunk(0);
  Bytes wrong = made.stored;
  wrong.back() = static_cast<char>(wrong.back() ^ 1);
  const auto content = unpack(chunk, kChunkSizeMin, wrong);
  ASSERT_FALSE(content);
  EXPECT_EQ(content.error().code, Code::digest_mismatch);
  EXPECT_NE(content.error().message.find("not unpacked"), std::string::npos);
  EXPECT_FALSE(unpack(chunk, kChunkSizeMin, std::string_view(made.stored).substr(1)));
}

TEST(Chunks, a_right_frame_with_another_content_is_refused) {
  const Made made = make(image_of(kChunkSizeMin));
  Chunk chunk = Index::parse(made.index)->chunk(0);
  EXPECT_FALSE(unpack(chunk, kChunkSizeMin - 1, made.stored)) << "another length";
  chunk.sha256 = sha256("something else");
  EXPECT_FALSE(unpack(chunk, kChunkSizeMin, made.stored));
}

TEST(Chunks, each_broken_index_is_told_what_is_wrong) {
  const Bytes good = make(image_of(3 * kChunkSizeMin)).index;
  ASSERT_EQ(refused(good), "");
  const auto with = [&](std::size_t at, char byte) {
    Bytes changed = good;
    changed[at] = byte;
    return refused(std::move(changed));
  };
  EXPECT_NE(refused("").find("not an index"), std::string::npos);
  EXPECT_NE(with(0, 'X').find("not an index"), std::string::npos);
  EXPECT_NE(with(8, 2).find("format version 2"), std::string::npos);
  EXPECT_NE(with(10, 1).find("must be zero"), std::string::npos);
  EXPECT_NE(with(13, 0x11).find("power of two"), std::string::npos);
  EXPECT_NE(with(18, 0x7f).find("number of chunks"), std::string::npos);
  EXPECT_NE(with(23, 0x7f).find("more than"), std::string::npos);
  EXPECT_NE(with(64, 9).find("number of chunks"), std::string::npos);
  EXPECT_NE(with(90, 1).find("must be zero"), std::string::npos);
  EXPECT_NE(refused(good.substr(0, good.size() - 1)).find("3 chunks need"), std::string::npos);
  EXPECT_NE(with(kHeaderSize, 1).find("chunk 0 does not begin"), std::string::npos);
  EXPECT_NE(with(kHeaderSize + 11, 1).find("a frame of"), std::string::npos);
  EXPECT_NE(with(24, static_cast<char>(good[24] + 1)).find("the stored file has"), std::string::npos);
}

TEST(Chunks, what_cannot_be_packed_is_refused) {
  const Append nowhere = [](std::string_view) -> Result<void> { return {}; };
  EXPECT_EQ(pack("", nowhere, kSmall).error().code, Code::invalid_argument);
  EXPECT_EQ(pack("x", nowhere, {.chunk_size = 5000}).error().code, Code::invalid_argument);
  EXPECT_EQ(pack("x", nowhere, {.level = 23}).error().code, Code::invalid_argument);
  const auto full = pack(
      "x", [](std::string_view) -> Result<void> { return fail(Code::disk_full, "full"); }, kSmall);
  EXPECT_EQ(full.error().code, Code::disk_full);
}

}  // namespace
}  // namespace godwit::chunks
