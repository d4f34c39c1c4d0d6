// The tree of hashes as veritysetup makes it, and every way in which it may not fit.
#include "device/slots/verity.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/base/command.hpp"
#include "core/base/testing/temp_folder.hpp"
#include "device/slots/host_disk.hpp"
#include "device/slots/image_writer.hpp"

namespace godwit::slots {
namespace {

constexpr ByteCount kFileLimit = 80ULL * 1024 * 1024;

class VerityTest : public ::testing::Test {
 protected:
  /// An image of `blocks` data blocks with its tree, and what the manifest says of it.
  Image make(ByteCount blocks) {
    Bytes data(static_cast<std::size_t>(blocks * 4096), '\0');
    for (std::size_t at = 0; at < data.size(); at += 4096) data.replace(at, 8, fmt::format("{:08}", at / 4096));
    EXPECT_TRUE(write_file_durably(file_, data));
    const auto end = run_command({"/usr/sbin/veritysetup", "format", fmt::format("--data-blocks={}", blocks),
                                  fmt::format("--hash-offset={}", data.size()), file_.string(), file_.string()},
                                 "", {});
    EXPECT_TRUE(end && end->ok()) << (end ? end->output : end.error().message);
    const std::string mark = "Root hash:";
    const auto at = end->output.find(mark);
    const auto begin = end->output.find_first_not_of(" \t", at + mark.size());
    const Bytes whole = *read_file(file_, kFileLimit);
    return {.size = whole.size(),
            .sha256 = sha256(whole),
            .verity = Verity{.root_hash = *hex_decode(end->output.substr(begin, 64)), .hash_offset = data.size()}};
  }
  Result<void> verify(const Image& image, const WriterOptions& options = {}) {
    GODWIT_TRY(const auto file, disk_.open(file_, OpenMode::read));
    return verify_image(*file, image, options, {});
  }
  /// Changes a byte, and the image's own hash with it: what is left is the tree's word.
  Result<void> verify_with(Image image, ByteCount at, char change) {
    const Bytes before = *read_file(file_, kFileLimit);
    Bytes after = before;
    after[static_cast<std::size_t>(at)] = static_cast<char>(after[static_cast<std::size_t>(at)] ^ change);
    EXPECT_TRUE(write_file_durably(file_, after));
    image.sha256 = sha256(after);
    auto said = verify(image);
    EXPECT_TRUE(write_file_durably(file_, before));
    return said;
  }

  const TempFolder temporary_;
  const Path file_ = temporary_.path() / "image";
  HostDisk disk_;
};

TEST_F(VerityTest, what_veritysetup_made_holds_at_each_height_of_the_tree) {
  for (const ByteCount blocks : {1, 2, 127, 128, 129, 300, 128 * 128 + 1}) {
    const Image image = make(blocks);
    const auto said = verify(image);
    EXPECT_TRUE(said) << blocks << ": " << said.error().message;
    EXPECT_TRUE(verify(image, {.chunk = 4096 * 3, .grain = 4096, .window = 1 << 20})) << blocks;
  }
}

TEST_F(VerityTest, a_tree_that_is_not_that_of_the_data_or_of_the_manifest_is_found) {
  Image image = make(300);
  EXPECT_EQ(verify_with(image, 299 * 4096 + 7, 1).error().code, Code::digest_mismatch) << "data";
  EXPECT_EQ(verify_with(image, image.size - 4096 - 1, 1).error().code, Code::digest_mismatch) << "a hash of the tree";
  EXPECT_EQ(verify_with(image, image.verity->hash_offset + 4096 + 3, 1).error().code, Code::digest_mismatch) << "top";
  EXPECT_EQ(verify_with(image, image.verity->hash_offset + 88, 1).error().code, Code::digest_mismatch) << "salt";
  ASSERT_TRUE(verify(image));
  image.verity->root_hash[0] = static_cast<char>(image.verity->root_hash[0] ^ 1);
  const auto said = verify(image);
  ASSERT_FALSE(said);
  EXPECT_NE(said.error().message.find("the manifest names"), std::string::npos);
}

TEST_F(VerityTest, a_superblock_that_is_none_or_of_another_kind_is_refused) {
  Image image = make(129);
  const ByteCount at = image.verity->hash_offset;
  for (const auto& [byte, change, what] :
       {std::tuple(0, 1, "magic"), std::tuple(8, 2, "version"), std::tuple(12, 1, "hash type"),
        std::tuple(32, 1, "algorithm"), std::tuple(65, 1, "data block"), std::tuple(69, 1, "hash block"),
        std::tuple(79, 1, "data blocks"), std::tuple(81, 2, "salt size")})
    EXPECT_EQ(verify_with(image, at + static_cast<ByteCount>(byte), static_cast<char>(change)).error().code,
              Code::refused)
        << what;
  image.verity->hash_offset = image.size;
  EXPECT_EQ(verify(image).error().code, Code::refused);
  image.verity->hash_offset = at - 4096;
  EXPECT_EQ(verify(image).error().code, Code::refused);
  image.verity->hash_offset = at;
  image.size -= 4096;
  image.sha256 = sha256(read_file(file_, kFileLimit)->substr(0, static_cast<std::size_t>(image.size)));
  EXPECT_EQ(verify(image).error().code, Code::refused) << "the tree is cut";
}

TEST(VerityWord, is_read_back_and_nothing_else_is) {
  const Verity verity{.root_hash = Bytes(32, '\x5a'), .hash_offset = 8192};
  EXPECT_EQ(verity_word(verity), "8192:" + hex_encode(verity.root_hash));
  EXPECT_EQ(parse_verity_word(verity_word(verity)), verity);
  const std::string root = hex_encode(verity.root_hash);
  for (const std::string& word : {std::string(), root, ":" + root, "0:" + root, "5000:" + root, "-4096:" + root,
                                  "4096:" + root.substr(1), "4096:" + root + "00"})
    EXPECT_FALSE(parse_verity_word(word)) << word;
}

}  // namespace
}  // namespace godwit::slots
