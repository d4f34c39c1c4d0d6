// Goal:   an update that asks for deltas has, when it is listed, those that help the devices there are, and they work.
// Method: the real importer, store and blobs; the deltas applied by the code that devices run.
#include "core/delta/apply.hpp"
#include "core/manifest/update_manifest.hpp"
#include "server/service/import/testing.hpp"

namespace godwit::service {
namespace {

/// Content that no compressor shrinks.
std::string noise(std::size_t size, std::uint64_t seed) {
  std::string bytes(size, '\0');
  for (char& byte : bytes) {
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    byte = static_cast<char>(seed >> 56U);
  }
  return bytes;
}

class ImportDeltas : public ::testing::Test {
 protected:
  static ImportOptions options() {
    ImportOptions options;
    options.deltas = {.versions = 2, .level = 3, .folder = "."};
    return options;
  }
  /// Imports a version with this image, which asks for deltas.
  json::Object import(const std::string& version, const std::string& image, bool asks = true) {
    SampleUpdate update{.version = version, .files = {{"image.bin", image}}};
    rig_.upload_files(update);
    std::string text = manifest_text(update);
    const std::string size = "\"sizeInBytes\":" + std::to_string(image.size()) + ",";
    if (asks) text.insert(text.find(size) + size.size(), R"("downloadHandler":{"id":"microsoft/delta:1"},)");
    return rig_.run({DirectItem{.manifest = text}});
  }
  void install(const std::string& device, const std::string& version) {
    ASSERT_TRUE(rig_.test.store->write([&](store::Records& records) {
      return records.fleet().save_device({.id = IdentityId::parse(device).value(),
                                          .group = GroupId::parse("halls").value(),
                                          .class_id = DeviceClassId::parse(std::string(40, 'a')).value(),
                                          .installed = sample_id("Toaster", version)});
    }));
  }
  /// The related files of the image as the service lists them.
  json::Array related(const std::string& version) {
    const auto id = sample_id("Toaster", version);
    const auto file = rig_.catalog.describe_file(id, manifest::make_file_id(id, "image.bin")).value();
    const auto* list = json::find(file, "relatedFiles");
    return list != nullptr ? list->get_array() : json::Array{};
  }
  static std::string source_of(const json::Value& related) {
    return text_at(*json::object_or_null(related.get_object(), "properties"), "microsoft.sourceFileHash");
  }

  ImportRig rig_{options()};
  std::string one_ = noise(300'000, 1);
  std::string two_ = one_.substr(1000) + "the second";
  std::string three_ = two_.substr(1000) + "the third";
};

TEST_F(ImportDeltas, what_devices_have_becomes_a_source_and_the_delta_makes_the_file) {
  EXPECT_EQ(text_at(import("1.0", one_), "status"), "Succeeded");
  EXPECT_TRUE(related("1.0").empty()) << "nobody has anything";
  install("dev-1", "1.0");
  EXPECT_EQ(text_at(import("2.0", two_), "status"), "Succeeded");
  const json::Array list = related("2.0");
  ASSERT_EQ(list.size(), 1U);
  EXPECT_EQ(source_of(list[0]), base64_encode(sha256(one_)));
  const auto& shown = list[0].get_object();
  EXPECT_LT(*json::integer(shown, "sizeInBytes", ""), 10'000);
  const auto digest = base64_decode(text_at(*json::object_or_null(shown, "hashes"), "sha256")).value();
  const UniqueFd fd = rig_.blobs->open(digest).value();
  std::string made;
  const auto applied = delta::apply(
      delta::reader_of(fd.get(), "delta"), rig_.blobs->size_of(digest).value().value(),
      [this](ByteCount offset, std::span<char> into) -> Result<void> {
        one_.copy(into.data(), into.size(), static_cast<std::size_t>(offset));
        return {};
      },
      [&made](ByteCount, std::string_view bytes) -> Result<void> {
        made += bytes;
        return {};
      },
      {});
  ASSERT_TRUE(applied) << applied.error().message;
  EXPECT_TRUE(made == two_);
  const auto offer = rig_.offer(sample_id("Toaster", "2.0"), ContractModel::v3);
  EXPECT_NE(offer.manifest.find(base64_encode(digest)), std::string::npos) << "it is in what is signed";
  EXPECT_EQ(rig_.importer->deltas().made, 1U);
}

TEST_F(ImportDeltas, versions_of_most_devices_come_first_and_no_more_than_allowed) {
  import("1.0", one_);
  import("2.0", two_);
  import("3.0", three_);
  install("dev-1", "1.0");
  for (const char* device : {"dev-2", "dev-3"}) install(device, "3.0");
  for (const char* device : {"dev-4", "dev-5", "dev-6"}) install(device, "2.0");
  import("4.0", three_.substr(1000) + "the fourth");
  const json::Array list = related("4.0");
  ASSERT_EQ(list.size(), 2U);
  EXPECT_EQ(source_of(list[0]), base64_encode(sha256(two_)));
  EXPECT_EQ(source_of(list[1]), base64_encode(sha256(three_)));
}

TEST_F(ImportDeltas, what_saves_too_little_and_what_nobody_asked_for_is_not_there) {
  import("1.0", one_);
  install("dev-1", "1.0");
  EXPECT_EQ(text_at(import("2.0", noise(300'000, 2)), "status"), "Succeeded");
  EXPECT_TRUE(related("2.0").empty());
  EXPECT_EQ(rig_.importer->deltas().dropped, 1U);
  EXPECT_EQ(text_at(import("3.0", two_, false), "status"), "Succeeded");
  EXPECT_TRUE(related("3.0").empty());
  EXPECT_EQ(rig_.importer->deltas().made, 0U);
}

}  // namespace
}  // namespace godwit::service
