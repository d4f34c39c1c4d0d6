#include "server/store/sqlite/catalog.hpp"

#include "server/store/testing.hpp"

namespace godwit::store {
namespace {

UpdateId update_id(std::string_view name, std::string_view version) {
  return UpdateId::parse("Contoso", name, version).value();
}

UpdateRecord update(std::string_view name, std::string_view version) {
  return {.summary = {.id = update_id(name, version),
                      .description = "a 100% fix",
                      .friendly_name = "Spring",
                      .compatibility = {{{"manufacturer", "Contoso"}, {"model", std::string(name)}}}},
          .import_manifest = "{}",
          .blobs = {sha256(version)},
          .scan_result = "NotScanned",
          .etag = "e",
          .imported = from_unix_ms(7)};
}

std::vector<std::string> ids(const std::vector<UpdateRecord>& updates) {
  std::vector<std::string> texts;
  for (const auto& one : updates) texts.push_back(one.summary.id.str());
  return texts;
}

}  // namespace

TEST(CatalogRecords, version_keys_are_ordered_as_versions) {
  const auto key = [](std::string_view text) { return sqlite::version_key(Version::parse(text).value()); };
  EXPECT_EQ(key("1.20"), "0000000001.0000000020");
  EXPECT_LT(key("1.9"), key("1.10"));
  EXPECT_LT(key("1.2"), key("1.2.0"));
  EXPECT_LT(key("1.2.5"), key("2.0"));
  EXPECT_LT(key("1.2147483647"), key("2.0"));
}

TEST(CatalogRecords, an_update_comes_back_with_references_blobs_and_offers) {
  TestStore test;
  auto parent = update("Toaster", "2.0");
  parent.references = {update_id("Motor", "1.0")};
  const std::map<int, OfferRecord> offers{
      {4, {.whole_manifest = "w4", .manifest = "m4", .signature = "s4"}},
      {5, {.whole_manifest = "w5", .manifest = "m5", .signature = "s5", .files = {{"f1", {sha256("x"), "a.bin"}}}}}};
  EXPECT_EQ(
      test.store->write([&](Records& records) { return records.catalog().insert_update(parent, {}); }).error().code,
      Code::not_found)
      << "the child is missing";
  ASSERT_TRUE(test.store->write([&](Records& records) -> Result<void> {
    auto& catalog = records.catalog();
    GODWIT_TRY_VOID(catalog.insert_update(update("Motor", "1.0"), {}));
    GODWIT_TRY_VOID(catalog.insert_update(parent, offers));
    GODWIT_TRY(const auto found, catalog.find_update(parent.summary.id));
    EXPECT_EQ(found->references, parent.references);
    EXPECT_EQ(found->blobs, parent.blobs);
    EXPECT_EQ(found->summary.compatibility, parent.summary.compatibility);
    EXPECT_EQ(found->imported, from_unix_ms(7));
    EXPECT_EQ(catalog.find_offer(parent.summary.id, 5).value(), offers.at(5));
    EXPECT_EQ(catalog.find_offer(parent.summary.id, 4).value(), offers.at(4));
    EXPECT_FALSE(catalog.find_offer(parent.summary.id, 3).value());
    EXPECT_EQ(catalog.referenced_by(update_id("Motor", "1.0")).value(), std::vector{parent.summary.id});
    EXPECT_EQ(catalog.insert_update(parent, {}).error().code, Code::conflict);
    return {};
  }));
}

TEST(CatalogRecords, offers_with_another_signature_are_found_in_order_and_signed_anew) {
  TestStore test;
  ASSERT_TRUE(test.store->write([&](Records& records) -> Result<void> {
    auto& catalog = records.catalog();
    GODWIT_TRY_VOID(catalog.insert_update(update("Toaster", "1.0"), {{4, {.manifest = "m4", .signature = "old.4"}},
                                                                     {5, {.manifest = "m5", .signature = "new.5"}}}));
    GODWIT_TRY_VOID(catalog.insert_update(update("Toaster", "2.0"), {{5, {.manifest = "n5", .signature = "old.5"}}}));
    const auto first = catalog.list_signed_otherwise("new.", {}, 1).value();
    EXPECT_EQ(first.at(0).manifest, "m4");
    const auto rest = catalog.list_signed_otherwise("new.", first.at(0).key, 10).value();
    EXPECT_EQ(rest.size(), 1U);
    EXPECT_EQ(rest.at(0).manifest, "n5");
    GODWIT_TRY_VOID(catalog.replace_signature(first.at(0).key, "new.4"));
    EXPECT_EQ(catalog.find_offer(update_id("Toaster", "1.0"), 4).value()->signature, "new.4");
    EXPECT_EQ(catalog.list_signed_otherwise("new.", {}, 10).value().size(), 1U);
    return {};
  }));
}

TEST(CatalogRecords, a_referenced_child_cannot_go_before_its_parent_and_blobs_are_free_after_the_last_use) {
  TestStore test;
  auto parent = update("Toaster", "2.0");
  parent.references = {update_id("Motor", "1.0")};
  ASSERT_TRUE(test.store->write([&](Records& records) -> Result<void> {
    GODWIT_TRY_VOID(records.catalog().insert_update(update("Motor", "1.0"), {}));
    return records.catalog().insert_update(parent, {});
  }));
  ASSERT_TRUE(test.store->write([&](Records& records) -> Result<void> {
    auto& catalog = records.catalog();
    EXPECT_EQ(catalog.remove_update(update_id("Motor", "1.0")).error().code, Code::conflict);
    EXPECT_TRUE(catalog.is_blob_needed(sha256("2.0")).value());
    EXPECT_TRUE(catalog.remove_update(parent.summary.id).value());
    EXPECT_FALSE(catalog.is_blob_needed(sha256("2.0")).value());
    EXPECT_TRUE(catalog.remove_update(update_id("Motor", "1.0")).value());
    EXPECT_FALSE(catalog.remove_update(update_id("Motor", "1.0")).value());
    return {};
  }));
}

TEST(CatalogRecords, lists_search_filter_and_page) {
  TestStore test;
  auto hidden = update("Motor", "1.0");
  hidden.summary.is_deployable = false;
  ASSERT_TRUE(test.store->write([&](Records& records) -> Result<void> {
    for (const auto& one : {update("Toaster", "1.10"), update("Toaster", "1.9"), hidden})
      GODWIT_TRY_VOID(records.catalog().insert_update(one, {}));
    return {};
  }));
  ASSERT_TRUE(test.store->read([&](Records& records) -> Result<void> {
    auto& catalog = records.catalog();
    const std::vector<std::string> all{"Contoso/Motor/1.0", "Contoso/Toaster/1.9", "Contoso/Toaster/1.10"};
    EXPECT_EQ(ids(catalog.list_updates({}).value()), all);
    EXPECT_EQ(ids(catalog.list_updates({.search = "toAST"}).value()).size(), 2U);
    EXPECT_EQ(ids(catalog.list_updates({.search = "100%"}).value()).size(), 3U);
    EXPECT_EQ(ids(catalog.list_updates({.search = "1__"}).value()).size(), 0U) << "wildcards of LIKE are plain text";
    EXPECT_EQ(ids(catalog.list_updates({.is_deployable = false}).value()),
              std::vector<std::string>{"Contoso/Motor/1.0"});
    EXPECT_EQ(ids(catalog.list_updates({.provider = "Contoso", .name = "Toaster"}).value()).size(), 2U);
    EXPECT_EQ(ids(catalog.list_updates({.after = update_id("Toaster", "1.9"), .limit = 5}).value()),
              std::vector<std::string>{"Contoso/Toaster/1.10"});
    EXPECT_EQ(ids(catalog.list_updates({.limit = 1}).value()).size(), 1U);
    EXPECT_EQ(catalog.list_deployable().value().size(), 2U);
    EXPECT_EQ(catalog.list_names("Contoso").value(), (std::vector<std::string>{"Motor", "Toaster"}));
    EXPECT_EQ(catalog.list_providers().value(), std::vector<std::string>{"Contoso"});
    return {};
  }));
}

TEST(CatalogRecords, a_compatibility_set_belongs_to_one_provider_and_name) {
  TestStore test;
  ASSERT_TRUE(test.store->write([&](Records& records) -> Result<void> {
    GODWIT_TRY_VOID(records.catalog().insert_update(update("Toaster", "1.0"), {}));
    const CompatibilitySet set{{"model", "Toaster"}, {"manufacturer", "Contoso"}};
    EXPECT_EQ(records.catalog().owner_of_set(set, update_id("Toaster", "2.0")).value(), std::nullopt);
    EXPECT_EQ(records.catalog().owner_of_set(set, update_id("Other", "1.0")).value(), update_id("Toaster", "1.0"));
    EXPECT_EQ(records.catalog().owner_of_set({{"model", "Toaster"}}, update_id("Other", "1.0")).value(), std::nullopt);
    return {};
  }));
}

TEST(CatalogRecords, operations_are_listed_taken_up_again_and_forgotten) {
  TestStore test;
  ASSERT_TRUE(test.store->write([&](Records& records) -> Result<void> {
    auto& catalog = records.catalog();
    OperationRecord first{
        .id = "op-1", .request = "{}", .etag = "e1", .created = from_unix_ms(1), .last_action = from_unix_ms(1)};
    GODWIT_TRY_VOID(catalog.insert_operation(first));
    GODWIT_TRY_VOID(catalog.insert_operation(
        {.id = "op-2", .kind = OperationKind::delete_update, .status = OperationStatus::running}));
    GODWIT_TRY_VOID(catalog.insert_operation({.id = "op-3", .last_action = from_unix_ms(9)}));
    EXPECT_EQ(catalog.unfinished_operations(10).value().size(), 3U);
    first.status = OperationStatus::failed;
    first.error = "{\"code\":\"x\"}";
    first.update = update_id("Toaster", "1.0");
    GODWIT_TRY_VOID(catalog.save_operation(first));
    GODWIT_TRY(const auto found, catalog.find_operation("op-1"));
    EXPECT_EQ(found->status, OperationStatus::failed);
    EXPECT_EQ(found->update, first.update);
    EXPECT_EQ(found->error, first.error);
    GODWIT_TRY(const auto imports, catalog.list_imports(false, "", 10));
    EXPECT_EQ(imports.size(), 2U) << "deletes are not listed";
    EXPECT_EQ(imports.at(0).id, "op-3");
    EXPECT_EQ(catalog.list_imports(false, "op-3", 10).value().at(0).id, "op-1");
    EXPECT_EQ(catalog.list_imports(true, "", 10).value().size(), 1U);
    EXPECT_EQ(catalog.list_imports(false, "gone", 10).error().code, Code::invalid_argument);
    EXPECT_EQ(catalog.forget_operations_before(from_unix_ms(5)).value(), 1U) << "only the finished one is forgotten";
    EXPECT_FALSE(catalog.find_operation("op-1").value());
    EXPECT_EQ(catalog.save_operation(first).error().code, Code::not_found);
    return {};
  }));
}

}  // namespace godwit::store
