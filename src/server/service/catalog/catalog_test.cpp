#include "server/service/catalog/catalog.hpp"

#include "core/manifest/update_manifest.hpp"
#include "server/service/import/testing.hpp"

namespace godwit::service {
namespace {

SampleUpdate with_delta() { return {.files = {{"app.bin", "new image", {{"app.diff", "delta"}}}}}; }

}  // namespace

TEST(Catalog, an_update_has_the_members_that_clients_read) {
  ImportRig rig;
  ASSERT_EQ(text_at(rig.import_directly(with_delta()), "status"), "Succeeded");
  auto update = rig.catalog.describe(sample_id("Toaster", "1.2.0")).value();
  const std::string etag = text_at(update, "etag");
  EXPECT_EQ(etag.size(), 38U) << "a GUID in quotes";
  EXPECT_EQ(etag.front(), '"');
  update.erase("etag");
  EXPECT_EQ(
      json::print(update),
      R"({"updateId":{"provider":"Contoso","name":"Toaster","version":"1.2.0"},"description":"A better Toaster","friendlyName":"Spring","isDeployable":true,)"
      R"("compatibility":[{"manufacturer":"Contoso","model":"Toaster"}],"instructions":{"steps":[{"type":"inline","handler":"microsoft/script:1",)"
      R"("handlerProperties":{"installedCriteria":"1.2.0"},"files":["app.bin"]}]},"scanResult":"NotScanned","manifestVersion":"5.0",)"
      R"("importedDateTime":"2026-01-01T00:00:00.0000000Z","createdDateTime":"2026-01-01T00:00:00Z"})");
}

TEST(Catalog, a_file_shows_its_hashes_and_its_deltas) {
  ImportRig rig;
  ASSERT_EQ(text_at(rig.import_directly(with_delta()), "status"), "Succeeded");
  const UpdateId id = sample_id("Toaster", "1.2.0");
  const auto ids = rig.catalog.file_ids(id).value();
  ASSERT_EQ(ids, std::vector{manifest::make_file_id(id, "app.bin")});
  const auto file = rig.catalog.describe_file(id, ids[0]).value();
  EXPECT_EQ(text_at(file, "fileName"), "app.bin");
  EXPECT_EQ(json::integer_or_nothing(file, "sizeInBytes"), 9);
  EXPECT_EQ(text_at(*json::object_or_null(file, "hashes"), "sha256"), base64_encode(sha256("new image")));
  EXPECT_EQ(text_at(*json::object_or_null(file, "downloadHandler"), "id"), "microsoft/delta:1");
  const auto& related = json::find(file, "relatedFiles")->get_array();
  ASSERT_EQ(related.size(), 1U);
  EXPECT_EQ(text_at(related[0].get_object(), "fileName"), "app.diff");
  EXPECT_EQ(text_at(*json::object_or_null(related[0].get_object(), "properties"), "microsoft.sourceFileHash"), "x");
  EXPECT_EQ(rig.catalog.describe_file(id, "f0").error().code, Code::not_found);
}

TEST(Catalog, lists_turn_pages_without_losing_or_repeating) {
  ImportRig rig;
  for (const char* version : {"1.10", "1.9", "1.2", "2.0", "1.1"})
    ASSERT_EQ(text_at(rig.import_directly({.version = version}), "status"), "Succeeded");
  std::vector<std::string> seen;
  std::string token;
  do {
    const auto page = rig.catalog.list({.limit = 2}, token).value();
    for (const auto& value : page.values)
      seen.push_back(text_at(*json::object_or_null(value.get_object(), "updateId"), "version"));
    token = page.next_token;
  } while (!token.empty());
  EXPECT_EQ(seen, (std::vector<std::string>{"1.1", "1.2", "1.9", "1.10", "2.0"}));
  EXPECT_EQ(rig.catalog.list({}, "nonsense").error().code, Code::invalid_argument);
  EXPECT_EQ(rig.catalog.versions("Contoso", "Toaster", std::nullopt).value(), seen);
  EXPECT_TRUE(rig.catalog.versions("Contoso", "Toaster", false).value().empty());
}

TEST(Catalog, unknown_things_are_not_found) {
  ImportRig rig;
  EXPECT_TRUE(rig.catalog.providers().value().empty());
  EXPECT_EQ(rig.catalog.names("Contoso").error().code, Code::not_found);
  EXPECT_EQ(rig.catalog.versions("Contoso", "Toaster", std::nullopt).error().code, Code::not_found);
  EXPECT_EQ(rig.catalog.file_ids(sample_id("Toaster", "1.0")).error().code, Code::not_found);
  EXPECT_EQ(rig.catalog.remove(sample_id("Toaster", "1.0"), "x").error().code, Code::not_found);
  EXPECT_EQ(rig.catalog.describe_operation("none", "main").error().code, Code::not_found);
}

TEST(Catalog, what_is_referred_to_or_deployed_cannot_be_deleted) {
  ImportRig rig;
  ASSERT_EQ(text_at(rig.import_directly({.name = "Motor", .version = "1.0"}), "status"), "Succeeded");
  ASSERT_EQ(text_at(rig.import_directly({.references = {"Motor/1.0"}}), "status"), "Succeeded");
  const auto referred = rig.catalog.remove(sample_id("Motor", "1.0"), "x");
  ASSERT_FALSE(referred);
  EXPECT_EQ(referred.error().code, Code::conflict);
  EXPECT_NE(referred.error().message.find("Contoso/Toaster/1.2.0"), std::string::npos);
  rig.catalog.set_in_use([](store::Records&, const UpdateId& id) -> Result<bool> { return id.name == "Toaster"; });
  EXPECT_EQ(rig.catalog.remove(sample_id("Toaster", "1.2.0"), "x").error().code, Code::conflict);
  rig.catalog.set_in_use([](store::Records&, const UpdateId&) -> Result<bool> { return false; });
  EXPECT_TRUE(rig.catalog.remove(sample_id("Toaster", "1.2.0"), "x"));
  EXPECT_TRUE(rig.catalog.remove(sample_id("Motor", "1.0"), "x"));
}

TEST(Catalog, an_offer_follows_the_contract_model) {
  ImportRig rig;
  ASSERT_EQ(text_at(rig.import_directly(with_delta()), "status"), "Succeeded");
  const UpdateId id = sample_id("Toaster", "1.2.0");
  EXPECT_EQ(manifest::parse_update_manifest(rig.offer(id, ContractModel::v1).manifest).value().version, 4);
  EXPECT_EQ(manifest::parse_update_manifest(rig.offer(id, ContractModel::v2).manifest).value().version, 5);
  EXPECT_EQ(rig.offer(id, ContractModel::v3).files.size(), 2U);
  EXPECT_EQ(rig.test.store
                ->read([&](store::Records& records) -> Result<void> {
                  GODWIT_TRY(const auto none,
                             rig.catalog.offer_for(records, sample_id("Toaster", "9.9"), ContractModel::v3));
                  return {};
                })
                .error()
                .code,
            Code::not_found);
}

}  // namespace godwit::service
