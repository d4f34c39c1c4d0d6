#include "image_properties.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace godwit::step_image {
namespace {

const std::string kDigest(64, 'a');

TEST(ImageProperties, sizes_may_be_numbers_or_their_digits) {
  for (const char* size : {"4096", "\"4096\""}) {
    const auto parsed = parse_properties(fmt::format(
        R"({{"imageFile":"r.img","imageSize":{},"imageSha256":"{}","compression":"zstd"}})", size, kDigest));
    ASSERT_TRUE(parsed) << parsed.error().message;
    EXPECT_EQ(parsed->image.size, 4096U);
    EXPECT_EQ(parsed->compression, slots::Compression::zstd);
  }
}

TEST(ImageProperties, the_root_of_the_verity_tree_is_part_of_the_image) {
  const auto parsed = parse_properties(fmt::format(
      R"({{"imageFile":"r.img","imageSize":12288,"imageSha256":"{0}","verityRootHash":"{0}","verityHashOffset":"8192"}})",
      kDigest));
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(slots::verity_word(*parsed->image.verity), "8192:" + kDigest);
}

TEST(ImageProperties, files_of_pairs_are_packed_as_their_names_end) {
  const auto parsed = parse_properties(fmt::format(
      R"({{"imageFile":"r.img","imageSize":1,"imageSha256":"{}","pairs":{{"kernel":"vmlinuz.zst","dtb-1":"dtb"}}}})",
      kDigest));
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(parsed->pairs, (std::map<std::string, std::string>{{"dtb-1", "dtb"}, {"kernel", "vmlinuz.zst"}}));
  EXPECT_EQ(compression_of("vmlinuz.zst"), slots::Compression::zstd);
  EXPECT_EQ(compression_of("Image.gz"), slots::Compression::gzip);
  EXPECT_EQ(compression_of("Image"), slots::Compression::none);
}

TEST(ImageProperties, each_that_breaks_its_rule_is_named) {
  const auto with = [](std::string_view member) {
    return fmt::format(R"({{"imageFile":"r.img","imageSize":1,"imageSha256":"{}",{}}})", kDigest, member);
  };
  const std::vector<std::pair<std::string, std::string>> cases{
      {"{}", "imageFile"},
      {R"({"imageFile":"../r.img"})", "imageFile"},
      {R"({"imageFile":"r.img"})", "imageSize"},
      {R"({"imageFile":"r.img","imageSize":0})", "imageSize"},
      {R"({"imageFile":"r.img","imageSize":-1})", "imageSize"},
      {R"({"imageFile":"r.img","imageSize":"1 MB"})", "imageSize"},
      {R"({"imageFile":"r.img","imageSize":9999999999999})", "imageSize"},
      {R"({"imageFile":"r.img","imageSize":1,"imageSha256":"ab"})", "imageSha256"},
      {with(R"("compression":"xz")"), "compression"},
      {with(R"("blockHashesFile":"/etc/passwd")"), "blockHashesFile"},
      {with(fmt::format(R"("verityHashOffset":4096,"verityRootHash":"{}")", kDigest)), "verityHashOffset"},
      {with(R"("verityHashOffset":4096)"), "verityRootHash"},
      {with(fmt::format(R"("verityRootHash":"{}")", kDigest)), "verityHashOffset"},
      {with(R"("blockSize":5000)"), "blockSize"},
      {with(R"("streamedFile":"r.img")"), "indexFile"},
      {with(R"("compression":"zstd","streamedFile":"r.img","indexFile":"r.img")"), "indexFile"},
      {with(R"("compression":"zstd","indexFile":"r.index")"), "streamedFile"},
      {with(R"("compression":"zstd","streamedFile":"s.img","indexFile":"r.index")"), "streamedFile"},
      {with(R"("streamedFile":"r.img","indexFile":"r.index")"), "compression"},
      {with(R"("compression":"zstd","streamedFile":"r.img","indexFile":"r.index","blockHashesFile":"b")"),
       "blockHashesFile"},
      {with(R"("blockSize":2097152)"), "blockSize"},
      {with(R"("pairs":"vmlinuz")"), "pairs"},
      {with(R"("pairs":{"Kernel":"vmlinuz"})"), "'Kernel' is no name of a pair"},
      {with(R"("pairs":{"kernel":7})"), "pairs.kernel"},
      {with(R"("pairs":{"kernel":"../vmlinuz"})"), "pairs.kernel"},
      {with(R"("pairs":{"kernel":"r.img"})"), "pairs.kernel"},
      {with(R"("pairs":{"1":"x","2":"x","3":"x","4":"x","5":"x","6":"x","7":"x","8":"x","9":"x"})"), "at most 8"},
  };
  for (const auto& [text, word] : cases) {
    const auto parsed = parse_properties(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code, Code::bad_manifest);
    EXPECT_NE(parsed.error().message.find(word), std::string::npos) << parsed.error().message;
  }
}

}  // namespace
}  // namespace godwit::step_image
