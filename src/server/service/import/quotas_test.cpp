#include "server/service/import/testing.hpp"

namespace godwit::service {
namespace {

std::string import(ImportRig& rig, const SampleUpdate& update) { return codes_of(rig.run({rig.publish(update)})); }
constexpr const char* kFine = "no error, Succeeded";

}  // namespace

TEST(ImportQuotas, each_is_kept_and_named) {
  ImportRig rig(ImportOptions{.quotas = {.names_per_provider = 2, .versions_per_name = 2, .updates = 3}});
  EXPECT_EQ(import(rig, {.name = "A", .version = "1.0"}), kFine);
  EXPECT_EQ(import(rig, {.name = "A", .version = "2.0"}), kFine);
  EXPECT_EQ(import(rig, {.name = "A", .version = "3.0"}), "UpdateLimitExceeded/UpdateVersion");
  EXPECT_EQ(import(rig, {.name = "B", .version = "1.0"}), kFine);
  EXPECT_EQ(import(rig, {.name = "C", .version = "1.0"}), "UpdateLimitExceeded/UpdateName");
  EXPECT_EQ(import(rig, {.name = "B", .version = "2.0"}), "UpdateLimitExceeded/UpdateCount");
  ASSERT_TRUE(rig.catalog.remove(sample_id("A", "1.0"), "tester"));
  EXPECT_EQ(import(rig, {.name = "B", .version = "2.0"}), kFine) << "after a deletion there is room";
}

TEST(ImportQuotas, updates_of_one_request_count_together) {
  ImportRig rig(ImportOptions{.quotas = {.names_per_provider = 1}});
  const auto parent = rig.publish({.references = {"Motor/1.0"}});
  const auto child = rig.publish({.name = "Motor", .version = "1.0"});
  EXPECT_EQ(codes_of(rig.run({parent, child})), "UpdateLimitExceeded/UpdateName");
  ImportRig whole(ImportOptions{.quotas = {.names_per_provider = 2, .updates = 2}});
  EXPECT_EQ(codes_of(whole.run(
                {whole.publish({.references = {"Motor/1.0"}}), whole.publish({.name = "Motor", .version = "1.0"})})),
            kFine);
}

TEST(ImportQuotas, providers_are_counted) {
  ImportRig rig(ImportOptions{.quotas = {.providers = 1}});
  EXPECT_EQ(import(rig, {.name = "A", .version = "1.0"}), kFine);
  SampleUpdate other{.name = "B", .version = "1.0"};
  std::string text = manifest_text(other);
  text.replace(text.find("Contoso"), 7, "Fabrikam");
  rig.upload_files(other);
  const auto refused = rig.importer->start({DirectItem{.manifest = text}}, "tester");
  ASSERT_FALSE(refused) << "a direct import is refused at once";
  EXPECT_EQ(refused.error().outer + "/" + refused.error().inner, "UpdateLimitExceeded/UpdateProvider");
  EXPECT_EQ(refused.error().code, Code::conflict);
}

TEST(ImportQuotas, sizes_of_a_file_of_a_request_and_of_all_payloads) {
  const SampleUpdate update{.files = {{"a.bin", "0123456789"}, {"b.bin", "abcdefghij"}, {"c.bin", "0123456789"}}};
  ImportRig small(ImportOptions{.quotas = {.file_size = 9}});
  EXPECT_EQ(import(small, update), "UpdateLimitExceeded/UpdateFileSize");
  EXPECT_EQ(small.fetcher.fetches, 1) << "the manifest alone";
  ImportRig sum(ImportOptions{.quotas = {.import_size = 19}});
  EXPECT_EQ(import(sum, update), "UpdateLimitExceeded/UpdateImportSize");
  ImportRig fits(ImportOptions{.quotas = {.file_size = 10, .import_size = 20}});
  EXPECT_EQ(import(fits, update), kFine) << "equal files count once";
  ImportRig full(ImportOptions{.quotas = {.storage = 19}}, {.storage_limit = 19});
  EXPECT_EQ(import(full, update), "UpdateLimitExceeded/UpdateStorage");
  EXPECT_EQ(full.fetcher.fetches, 1);
  EXPECT_EQ(full.blobs->start(sha256("x"), 20).error().code, Code::disk_full);
}

}  // namespace godwit::service
