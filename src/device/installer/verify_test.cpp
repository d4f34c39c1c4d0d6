#include "device/installer/verify.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <limits>

#include "core/base/bytes.hpp"
#include "core/trust/manifest_signature.hpp"
#include "device/installer/testing/bench.hpp"

namespace godwit::installer {
namespace {

using testing::Bench;
using testing::manifest_text;
using testing::package_text;

class Verify : public ::testing::Test {
 protected:
  ExtendedCode code(const OpenRequest& request) {
    const auto verified = verify(request, bench_.config());
    message_ = verified ? "" : verified.error().message;
    return verified ? 0 : verified.error().code;
  }
  void keep(const std::string& package) {
    ASSERT_TRUE(make_folders(bench_.config().root_keys_file().parent_path()));
    ASSERT_TRUE(write_file_durably(bench_.config().root_keys_file(), package));
  }
  static std::string manifest(const std::string& model = "Toaster") {
    return manifest_text({{.handler = "a/b:1", .files = {"a"}}}, {{"a", "content"}}, "1.0.0", model);
  }

  Bench bench_;
  std::string message_;
};

TEST_F(Verify, a_good_update_passes_and_its_newer_package_is_to_be_kept) {
  const auto verified = verify(Bench::open_request(manifest()), bench_.config());
  ASSERT_TRUE(verified) << verified.error().message;
  EXPECT_EQ(verified->manifest.update_id.str(), "Contoso/Toaster/1.0.0");
  EXPECT_EQ(verified->newer_package, package_text(1));
  keep(package_text(1));
  EXPECT_EQ(verify(Bench::open_request(manifest()), bench_.config())->newer_package, "");
  auto without = Bench::open_request(manifest());
  without.root_key_package = "";
  EXPECT_EQ(code(without), 0U) << "the kept package counts: " << message_;
}

// faults: 1, 2, 9, 10
TEST_F(Verify, packages_that_are_old_missing_or_foreign_are_refused) {
  auto request = Bench::open_request(manifest());
  request.root_key_package = "";
  EXPECT_EQ(code(request), erc::root_package_invalid);
  keep(package_text(5));
  request.root_key_package = package_text(4);
  EXPECT_EQ(code(request), erc::root_package_rollback) << message_;
  request.root_key_package = package_text(5);
  EXPECT_EQ(code(request), 0U) << message_;
  request.root_key_package = package_text(6);
  request.root_key_package[request.root_key_package.find("\"version\":6") + 10] = '7';
  EXPECT_EQ(code(request), erc::root_package_invalid) << message_;
  request.root_key_package = package_text(6, {testing::key(2).public_key().fingerprint()});
  EXPECT_EQ(code(request), erc::signing_key_disabled) << message_;
}

// faults: 4
TEST_F(Verify, new_anchors_begin_a_new_count_of_packages) {
  keep(package_text(std::numeric_limits<std::int64_t>::max()));
  auto request = Bench::open_request(manifest());
  request.root_key_package = package_text(7);
  EXPECT_EQ(code(request), erc::root_package_rollback) << message_;

  trust::TrustAnchors rotated;
  rotated.keys.emplace("root.9", testing::key(1).public_key());
  ASSERT_TRUE(write_file_durably(bench_.config().trust_anchors, rotated.print(), 0644));
  EXPECT_EQ(code(request), erc::root_package_invalid) << "the old anchors' word is over: " << message_;
  trust::RootKeyPackage anew;
  anew.root_keys = {{"root.9", testing::key(1).public_key()}};
  request.root_key_package = anew.sign({&testing::key(1)}).value();
  const auto jwk = trust::make_signed_jwk(testing::key(2).public_key(), "signing", testing::key(1), "root.9").value();
  request.signature = trust::sign_manifest(request.manifest, testing::key(2), jwk).value();
  EXPECT_EQ(code(request), 0U) << message_;
}

TEST_F(Verify, a_kept_package_with_a_disabled_key_still_counts_when_none_is_offered) {
  keep(package_text(6, {testing::key(2).public_key().fingerprint()}));
  auto request = Bench::open_request(manifest());
  request.root_key_package = "";
  EXPECT_EQ(code(request), erc::signing_key_disabled) << message_;
  request.root_key_package = package_text(1);
  EXPECT_EQ(code(request), erc::root_package_rollback) << "an older package does not bring the key back";
}

TEST_F(Verify, a_wrong_signature_is_refused_with_its_code) {
  auto request = Bench::open_request(manifest());
  request.manifest[request.manifest.find("1.0.0")] = '2';
  EXPECT_EQ(code(request), erc::manifest_hash) << message_;
  request = Bench::open_request(manifest());
  request.signature = "a.b";
  EXPECT_NE(code(request), 0U);
  request.signature = "";
  EXPECT_NE(code(request), 0U);
  request = Bench::open_request(manifest());
  char& last = request.signature[request.signature.size() - 20];
  last = last == 'A' ? 'B' : 'A';
  EXPECT_EQ(code(request), erc::signature_invalid) << message_;
}

// faults: 7
TEST_F(Verify, an_update_for_other_devices_is_refused_and_both_sides_are_named) {
  EXPECT_EQ(code(Bench::open_request(manifest("Kettle"))), erc::incompatible);
  EXPECT_NE(message_.find("model=Kettle"), std::string::npos) << message_;
  EXPECT_NE(message_.find("model=Toaster"), std::string::npos) << message_;
}

TEST_F(Verify, trust_anchors_that_are_missing_open_or_damaged_stop_everything) {
  const Path anchors = bench_.config().trust_anchors;
  ::chmod(anchors.c_str(), 0666);
  EXPECT_EQ(code(Bench::open_request(manifest())), erc::signature_failed);
  EXPECT_NE(message_.find("chmod"), std::string::npos) << message_;
  ASSERT_TRUE(write_file_durably(anchors, "{}", 0644));
  EXPECT_EQ(code(Bench::open_request(manifest())), erc::signature_failed);
  std::filesystem::remove(anchors);
  EXPECT_EQ(code(Bench::open_request(manifest())), erc::signature_failed);
  EXPECT_NE(message_.find("trust-anchors.json"), std::string::npos) << message_;
}

TEST_F(Verify, a_detached_manifest_is_trusted_by_its_hash_only) {
  const std::string whole = manifest();
  const std::string document = json::print(json::Object{{"updateManifest", whole}});
  const auto mini = [](const std::string& file, const std::string& version = "1.0.0") {
    return json::print(json::Object{
        {"manifestVersion", "5"},
        {"updateId", json::Object{{"provider", "Contoso"}, {"name", "Toaster"}, {"version", version}}},
        {"detachedManifestFileId", "fm"},
        {"files",
         json::Object{{"fm", json::Object{{"fileName", "m.json"},
                                          {"sizeInBytes", file.size()},
                                          {"hashes", json::Object{{"sha256", base64_encode(sha256(file))}}}}}}}});
  };
  auto request = Bench::open_request(mini(document));
  EXPECT_EQ(code(request), erc::detached_manifest);
  request.detached_manifest = document;
  const auto verified = verify(request, bench_.config());
  ASSERT_TRUE(verified) << verified.error().message;
  EXPECT_EQ(verified->manifest_text, whole);
  request.detached_manifest.back() = ' ';
  EXPECT_EQ(code(request), erc::detached_manifest);
  auto other = Bench::open_request(mini(document, "9.9"));
  other.detached_manifest = document;
  EXPECT_EQ(code(other), erc::detached_manifest) << "mix and match";
}

// faults: 5, 6
TEST_F(Verify, children_are_trusted_by_their_hash_and_refer_no_further) {
  const auto document_of = [](const std::string& text) { return json::print(json::Object{{"updateManifest", text}}); };
  const auto parent = [](const std::string& document) {
    return json::print(json::Object{
        {"manifestVersion", "5"},
        {"updateId", json::Object{{"provider", "Contoso"}, {"name", "Toaster"}, {"version", "2.0"}}},
        {"compatibility", json::Array{json::Object{{"manufacturer", "Contoso"}, {"model", "Toaster"}}}},
        {"instructions",
         json::Object{{"steps", json::Array{json::Object{{"type", "reference"}, {"detachedManifestFileId", "fc"}}}}}},
        {"files",
         json::Object{{"fc", json::Object{{"fileName", "c.json"},
                                          {"sizeInBytes", document.size()},
                                          {"hashes", json::Object{{"sha256", base64_encode(sha256(document))}}}}}}}});
  };
  const std::string good = document_of(manifest("Motor"));
  auto request = Bench::open_request(parent(good));
  EXPECT_EQ(code(request), erc::detached_manifest) << "it was not handed over: " << message_;
  request.children["fc"] = good;
  const auto verified = verify(request, bench_.config());
  ASSERT_TRUE(verified) << verified.error().message;
  EXPECT_EQ(verified->children.at("fc").text, manifest("Motor"));
  request.children["fc"] = document_of(manifest("Other"));
  EXPECT_EQ(code(request), erc::detached_manifest) << "mix and match: " << message_;
  const std::string nested = document_of(parent(good));
  auto deep = Bench::open_request(parent(nested));
  deep.children["fc"] = nested;
  EXPECT_EQ(code(deep), erc::nested_reference) << message_;
}

}  // namespace
}  // namespace godwit::installer
