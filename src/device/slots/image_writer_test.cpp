#include "device/slots/image_writer.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include <random>

#include "core/base/testing/temp_folder.hpp"
#include "device/slots/host_disk.hpp"

namespace godwit::slots {
namespace {

constexpr WriterOptions kOptions{.chunk = 16 * 1024, .grain = 4096, .window = 32 * 1024};

Bytes noise(std::size_t size, unsigned seed) {
  std::mt19937 dice(seed);
  Bytes bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(dice());
  return bytes;
}

Bytes gzip(const Bytes& bytes) {
  z_stream stream{};
  EXPECT_EQ(::deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  Bytes packed(::deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<unsigned char*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<unsigned>(bytes.size());
  stream.next_out = reinterpret_cast<unsigned char*>(packed.data());
  stream.avail_out = static_cast<unsigned>(packed.size());
  EXPECT_EQ(::deflate(&stream, Z_FINISH), Z_STREAM_END);
  packed.resize(stream.total_out);
  ::deflateEnd(&stream);
  return packed;
}

Bytes zstd(const Bytes& bytes, int window_log = 20) {
  ZSTD_CCtx* context = ::ZSTD_createCCtx();
  ::ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, window_log);
  ::ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
  Bytes packed(::ZSTD_compressBound(bytes.size()), '\0');
  ZSTD_inBuffer in{bytes.data(), bytes.size() / 2, 0};
  ZSTD_outBuffer out{packed.data(), packed.size(), 0};
  // In two calls: one that knew the whole size would make the window as small as that.
  EXPECT_EQ(::ZSTD_isError(::ZSTD_compressStream2(context, &out, &in, ZSTD_e_continue)), 0U);
  in.size = bytes.size();
  EXPECT_EQ(::ZSTD_compressStream2(context, &out, &in, ZSTD_e_end), 0U);
  packed.resize(out.pos);
  ::ZSTD_freeCCtx(context);
  return packed;
}

class ImageWriterTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(write_file_durably(target(), noise(256 * 1024, 99))); }
  Path target() const { return folder_ / "side"; }

  Result<Written> write(const Bytes& packed, Compression compression, const BlockHashes* hashes = nullptr) {
    EXPECT_TRUE(write_file_durably(folder_ / "image", packed));
    GODWIT_TRY(const auto file, disk_.open(target(), OpenMode::write));
    GODWIT_TRY(const auto source, open_image(folder_ / "image", compression));
    GODWIT_TRY(const Written written, write_image(*file, *source, image_, hashes, kOptions, {}));
    GODWIT_TRY_VOID(verify_image(*file, image_, kOptions, {}));
    return written;
  }

  const TempFolder temporary_;
  const Path folder_ = temporary_.path();
  HostDisk disk_;
  Bytes bytes_ = noise(100 * 1024 + 77, 1);
  Image image_{.size = bytes_.size(), .sha256 = sha256(bytes_)};
};

TEST_F(ImageWriterTest, raw_gzip_and_zstd_bring_the_same_bytes) {
  for (const auto& [packed, compression] :
       {std::pair{bytes_, Compression::none}, std::pair{gzip(bytes_), Compression::gzip},
        std::pair{zstd(bytes_), Compression::zstd}}) {
    ASSERT_TRUE(write_file_durably(target(), noise(256 * 1024, 99)));
    const auto written = write(packed, compression);
    ASSERT_TRUE(written) << written.error().message;
    EXPECT_EQ(written->written, bytes_.size());
    EXPECT_EQ(*read_file(target(), 1 << 20), bytes_ + noise(256 * 1024, 99).substr(bytes_.size()));
  }
}

TEST_F(ImageWriterTest, two_members_in_a_row_are_one_image) {
  const Bytes half = bytes_.substr(0, 50'000);
  const Bytes rest = bytes_.substr(50'000);
  EXPECT_TRUE(write(gzip(half) + gzip(rest), Compression::gzip));
  EXPECT_TRUE(write(zstd(half) + zstd(rest), Compression::zstd));
}

TEST_F(ImageWriterTest, what_is_equal_already_is_not_written) {
  ASSERT_TRUE(write(bytes_, Compression::none));
  EXPECT_EQ(write(bytes_, Compression::none)->written, 0U);
  bytes_[40'000] = static_cast<char>(bytes_[40'000] + 1);
  image_.sha256 = sha256(bytes_);
  const auto written = write(bytes_, Compression::none);
  EXPECT_EQ(written->written, 4096U);
  EXPECT_EQ(written->skipped, bytes_.size() - 4096);
}

TEST_F(ImageWriterTest, a_stream_that_is_cut_damaged_or_of_another_length_is_an_error) {
  struct Case {
    Bytes packed;
    Compression compression;
    Code code;
  };
  const Bytes gz = gzip(bytes_);
  const Bytes zs = zstd(bytes_);
  Bytes damaged = gz;
  damaged[damaged.size() - 6] = static_cast<char>(damaged[damaged.size() - 6] + 1);  // its check sum
  for (const Case& c :
       {Case{bytes_.substr(1), Compression::none, Code::size_mismatch},
        Case{bytes_ + "x", Compression::none, Code::size_mismatch},
        Case{gz.substr(0, gz.size() / 2), Compression::gzip, Code::size_mismatch},
        Case{zs.substr(0, zs.size() / 2), Compression::zstd, Code::size_mismatch},
        Case{damaged, Compression::gzip, Code::invalid_argument}, Case{"", Compression::gzip, Code::size_mismatch},
        Case{bytes_, Compression::gzip, Code::invalid_argument},
        Case{bytes_, Compression::zstd, Code::invalid_argument},
        Case{zstd(bytes_, 24), Compression::zstd, Code::invalid_argument}}) {
    const auto written = write(c.packed, c.compression);
    ASSERT_FALSE(written) << c.packed.size();
    EXPECT_EQ(written.error().code, c.code) << c.packed.size() << " " << written.error().message;
  }
}

TEST_F(ImageWriterTest, a_block_that_is_not_on_the_list_never_reaches_the_side) {
  BlockHashes hashes{.block_size = 8192, .digests = {}};
  for (std::size_t at = 0; at < bytes_.size(); at += 8192) hashes.digests += sha256(bytes_.substr(at, 8192));
  ASSERT_TRUE(write(bytes_, Compression::none, &hashes));
  const Bytes before = *read_file(target(), 1 << 20);
  bytes_[50'000] = static_cast<char>(bytes_[50'000] + 1);
  const auto written = write(bytes_, Compression::none, &hashes);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, Code::digest_mismatch);
  EXPECT_NE(written.error().message.find("block 6 "), std::string::npos) << written.error().message;
  EXPECT_EQ(*read_file(target(), 1 << 20), before);
  hashes.digests.pop_back();
  EXPECT_EQ(write(bytes_, Compression::none, &hashes).error().code, Code::invalid_argument);
}

TEST_F(ImageWriterTest, another_image_than_the_hash_says_is_found_when_it_is_read_back) {
  image_.sha256[0] = static_cast<char>(image_.sha256[0] + 1);
  EXPECT_EQ(write(bytes_, Compression::none).error().code, Code::digest_mismatch);
}

}  // namespace
}  // namespace godwit::slots
