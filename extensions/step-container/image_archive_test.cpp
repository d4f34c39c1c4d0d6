#include "image_archive.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>

#include "core/base/bytes.hpp"

namespace godwit::step_container {
namespace {

/// The parts of an archive by name; blobs are named by what they hold.
class Parts {
 public:
  std::string blob(const std::string& text) {
    const std::string hex = hex_encode(sha256(text));
    parts_["blobs/sha256/" + hex] = text;
    return hex;
  }
  std::string config(std::string_view architecture) {
    return blob(
        fmt::format(R"({{"os":"linux","architecture":"{}","rootfs":{{"type":"layers","diff_ids":["sha256:{}"]}}}})",
                    architecture, std::string(64, 'd')));
  }
  std::string manifest(std::string_view architecture) {
    return blob(fmt::format(R"({{"config":{{"digest":"sha256:{}"}},"layers":[]}})", config(architecture)));
  }
  std::string& operator[](const std::string& name) { return parts_[name]; }
  [[nodiscard]] Result<ImageInfo> image(std::string_view architecture = "amd64") const {
    return image_in(
        [&](const std::string& name) -> Result<std::string> {
          const auto found = parts_.find(name);
          if (found == parts_.end()) return fail(Code::not_found, "the image archive has no " + name);
          return found->second;
        },
        architecture);
  }

 private:
  std::map<std::string, std::string> parts_{};
};

std::string entry(const std::string& hex, std::string_view rest = "") {
  return fmt::format(R"({{"digest":"sha256:{}"{}}})", hex, rest);
}
std::string index_of(const std::string& entries) { return fmt::format(R"({{"manifests":[{}]}})", entries); }

TEST(ImageArchive, an_oci_archive_names_its_image_by_the_hash_of_the_configuration) {
  Parts parts;
  parts["index.json"] = index_of(entry(parts.manifest("amd64")));
  const auto image = parts.image();
  ASSERT_TRUE(image) << image.error().message;
  EXPECT_EQ(image->id, parts.config("amd64"));
  EXPECT_EQ(image->architecture, "amd64");
  EXPECT_EQ(image->os, "linux");
  EXPECT_EQ(image->layers, std::vector<std::string>{std::string(64, 'd')});
}

TEST(ImageArchive, layers_without_a_proper_digest_are_refused) {
  for (const std::string_view layers : {R"(["md5:1"])", R"([7])", R"(["sha256:../../etc"])", "null", R"({"a":1})"}) {
    Parts parts;
    parts["abc.json"] = fmt::format(R"({{"os":"linux","architecture":"arm","rootfs":{{"diff_ids":{}}}}})", layers);
    parts["manifest.json"] = R"([{"Config":"abc.json"}])";
    ASSERT_FALSE(parts.image()) << layers;
    EXPECT_EQ(parts.image().error().code, Code::bad_packet) << layers;
  }
}

TEST(ImageArchive, of_several_platforms_the_one_of_this_machine_is_taken) {
  Parts parts;
  const std::string inner =
      index_of(entry(parts.manifest("amd64"), R"(,"platform":{"os":"linux","architecture":"amd64"})") + "," +
               entry(parts.manifest("arm64"), R"(,"platform":{"os":"linux","architecture":"arm64"})") + "," +
               entry(parts.manifest("unknown"), R"(,"platform":{"os":"unknown","architecture":"unknown"})"));
  parts["index.json"] = index_of(entry(parts.blob(inner), R"(,"mediaType":"application/vnd.oci.image.index.v1+json")"));
  ASSERT_TRUE(parts.image("arm64"));
  EXPECT_EQ(parts.image("arm64")->id, parts.config("arm64"));
  EXPECT_EQ(parts.image("amd64")->id, parts.config("amd64"));
  EXPECT_FALSE(parts.image("riscv64"));
}

TEST(ImageArchive, a_docker_archive_is_read_too) {
  Parts parts;
  const std::string config = R"({"os":"linux","architecture":"arm","rootfs":{"type":"layers","diff_ids":[]}})";
  parts["abc.json"] = config;
  parts["manifest.json"] = R"([{"Config":"abc.json","RepoTags":["app:1"],"Layers":[]}])";
  const auto image = parts.image();
  ASSERT_TRUE(image) << image.error().message;
  EXPECT_EQ(image->id, hex_encode(sha256(config)));
  parts["manifest.json"] = R"([{"Config":"abc.json"},{"Config":"abc.json"}])";
  EXPECT_EQ(parts.image().error().code, Code::bad_packet);
}

TEST(ImageArchive, what_is_no_image_or_damaged_is_refused_with_a_sentence) {
  Parts parts;
  EXPECT_NE(parts.image().error().message.find("neither index.json nor manifest.json"), std::string::npos);
  const std::string manifest = parts.manifest("amd64");
  for (const std::string& index :
       {std::string("{"), std::string("[]"), index_of(""), index_of(entry(manifest) + "," + entry(manifest)),
        index_of(R"({"digest":"md5:1"})"), index_of(entry(std::string(64, 'a'))), index_of("1"),
        index_of(entry("../../../etc/passwd"))}) {
    parts["index.json"] = index;
    ASSERT_FALSE(parts.image()) << index;
    EXPECT_EQ(parts.image().error().code, Code::bad_packet) << index;
  }
  parts["index.json"] = index_of(entry(manifest));
  parts["blobs/sha256/" + manifest] += " ";
  EXPECT_NE(parts.image().error().message.find("damaged"), std::string::npos);
}

TEST(ImageArchive, an_index_that_leads_to_itself_ends) {
  Parts parts;
  std::string hex = parts.manifest("amd64");
  for (int i = 0; i < 5; ++i)
    hex = parts.blob(index_of(entry(hex, R"(,"mediaType":"application/vnd.oci.image.index.v1+json")")));
  parts["index.json"] = index_of(entry(hex, R"(,"mediaType":"application/vnd.oci.image.index.v1+json")"));
  EXPECT_NE(parts.image().error().message.find("leads to too many"), std::string::npos);
}

TEST(ImageArchive, bytes_that_are_no_archive_are_refused) {
  for (const std::string& bytes : {std::string(), std::string("no archive"), std::string(4096, '\0')}) {
    const auto image = read_image_in_memory(bytes, "amd64");
    ASSERT_FALSE(image);
    EXPECT_EQ(image.error().code, Code::bad_packet);
  }
}

TEST(Platform, thirty_two_bit_images_run_on_their_family) {
  EXPECT_TRUE(runs_on("amd64", "amd64"));
  EXPECT_TRUE(runs_on("386", "amd64"));
  EXPECT_TRUE(runs_on("arm", "arm64"));
  EXPECT_FALSE(runs_on("arm64", "amd64"));
  EXPECT_FALSE(runs_on("amd64", "386"));
}

}  // namespace
}  // namespace godwit::step_container
