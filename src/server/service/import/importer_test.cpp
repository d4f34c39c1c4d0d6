#include "server/service/import/importer.hpp"

#include "core/manifest/update_manifest.hpp"
#include "server/service/import/testing.hpp"

namespace godwit::service {

TEST(Importer, a_direct_import_ends_in_the_catalog) {
  ImportRig rig;
  const auto operation = rig.import_directly({});
  EXPECT_EQ(text_at(operation, "status"), "Succeeded") << json::print(operation);
  EXPECT_EQ(text_at(operation, "resourceLocation"),
            "/deviceUpdate/main/updates/providers/Contoso/names/Toaster/versions/1.2.0?api-version=2022-10-01");
  const auto update = rig.catalog.describe(sample_id("Toaster", "1.2.0")).value();
  EXPECT_EQ(text_at(update, "friendlyName"), "Spring");
  EXPECT_EQ(text_at(update, "scanResult"), "NotScanned");
  EXPECT_FALSE(trust::check_manifest_signature(rig.offer(sample_id("Toaster", "1.2.0"), ContractModel::v3).manifest,
                                               rig.offer(sample_id("Toaster", "1.2.0"), ContractModel::v3).signature,
                                               TestKeys::get().package()));
}

TEST(Importer, a_bad_direct_import_is_refused_at_once_and_leaves_nothing) {
  ImportRig rig;
  const auto refuse = [&](const std::string& manifest) {
    const auto id = rig.importer->start({DirectItem{.manifest = manifest}}, "tester");
    return id ? "accepted" : id.error().outer + "/" + id.error().inner;
  };
  EXPECT_EQ(refuse("{}"), "CannotProcessImportManifest/CannotParse");
  EXPECT_EQ(refuse(manifest_text({})), "CannotProcessUpdateFile/ContentFileCannotDownload")
      << "its file is not uploaded";
  SampleUpdate lying;
  rig.upload_files(lying);
  auto manifest = manifest_text(lying);
  const std::string size = "\"sizeInBytes\":18";
  manifest.replace(manifest.find(size), size.size(), "\"sizeInBytes\":19");
  EXPECT_EQ(refuse(manifest), "CannotProcessUpdateFile/ContentFileCannotDownload") << "the size does not fit the blob";
  EXPECT_TRUE(rig.catalog.list_imports(false, 10, "", "main").value().values.empty());
  EXPECT_EQ(text_at(rig.import_directly({}), "status"), "Succeeded");
  const auto twice = rig.importer->start({DirectItem{.manifest = manifest_text({})}}, "tester");
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().outer, "UpdateAlreadyExists");
  EXPECT_EQ(twice.error().code, Code::conflict);
}

TEST(Importer, an_import_by_url_fetches_manifest_files_and_deltas) {
  ImportRig rig;
  const SampleUpdate update{.files = {{"app.bin", "new image", {{"app.diff", "delta"}}}}};
  const auto operation = rig.run({rig.publish(update)});
  EXPECT_EQ(text_at(operation, "status"), "Succeeded") << json::print(operation);
  EXPECT_TRUE(rig.has_blob("new image"));
  EXPECT_TRUE(rig.has_blob("delta"));
  EXPECT_EQ(rig.fetcher.fetches, 3);
}

TEST(Importer, parent_and_children_come_in_one_request_in_any_order) {
  ImportRig rig;
  const auto operation = rig.run(
      {rig.publish({.references = {"Motor/1.0"}}),
       rig.publish({.name = "Motor", .version = "1.0", .is_deployable = false, .files = {{"motor.bin", "vroom"}}})});
  EXPECT_EQ(text_at(operation, "status"), "Succeeded") << json::print(operation);
  EXPECT_NE(text_at(operation, "resourceLocation").find("Toaster"), std::string::npos)
      << "the parent is what the operation made";
  const auto child = rig.catalog.describe(sample_id("Motor", "1.0")).value();
  EXPECT_EQ(json::print(*json::find(child, "referencedBy")),
            R"([{"provider":"Contoso","name":"Toaster","version":"1.2.0"}])");
  const auto offer = rig.offer(sample_id("Toaster", "1.2.0"), ContractModel::v2);
  EXPECT_EQ(offer.files.size(), 3U) << "payload, child's manifest, child's payload";
  for (const auto& [id, file] : offer.files) EXPECT_TRUE(rig.blobs->size_of(file.sha256).value()) << file.name;
  // A later parent may refer to what is there already.
  EXPECT_EQ(text_at(rig.import_directly({.version = "1.3.0", .references = {"Motor/1.0"}}), "status"), "Succeeded");
}

TEST(Importer, what_cannot_be_fetched_or_does_not_fit_fails_with_its_codes) {
  ImportRig rig;
  const SampleUpdate update;
  auto missing = rig.publish(update);
  missing.url = "https://files.example/nowhere";
  EXPECT_EQ(codes_of(rig.run({missing})), "CannotProcessImportManifest/CannotDownload");
  auto wrong = rig.publish(update);
  wrong.sha256 = sha256("something else");
  EXPECT_EQ(codes_of(rig.run({wrong})), "CannotProcessImportManifest/CannotDownload");
  auto no_url = rig.publish(update);
  no_url.files.clear();
  EXPECT_EQ(codes_of(rig.run({no_url})), "CannotProcessUpdateFile/ContentFileCannotDownload");
  auto good = rig.publish(update);
  rig.fetcher.web.at(good.files.at("app.bin"))[0] = 'X';
  const auto damaged = rig.run({good});
  EXPECT_EQ(codes_of(damaged), "CannotProcessUpdateFile/ContentFileCannotDownload");
  EXPECT_NE(text_at(*json::object_or_null(damaged, "error"), "message").find("app.bin"), std::string::npos);
  EXPECT_EQ(codes_of(rig.run({rig.publish({.manifest_version = "3.0"})})),
            "CannotProcessImportManifest/UnsupportedVersion");
  EXPECT_EQ(rig.catalog.describe(sample_id("Toaster", "1.2.0")).error().code, Code::not_found);
  EXPECT_EQ(text_at(rig.run({rig.publish(update)}), "status"), "Succeeded") << "after all that the same update imports";
  EXPECT_EQ(codes_of(rig.run({rig.publish(update)})), "UpdateAlreadyExists/");
}

TEST(Importer, a_failed_import_frees_what_it_fetched_and_keeps_what_others_need) {
  ImportRig rig;
  rig.upload("uploaded by someone");
  const SampleUpdate update{
      .files = {{"a.bin", "first file"}, {"kept.bin", "uploaded by someone"}, {"b.bin", "second file"}}};
  auto item = rig.publish(update);
  rig.fetcher.web.erase(item.files.at("b.bin"));
  EXPECT_EQ(codes_of(rig.run({item})), "CannotProcessUpdateFile/ContentFileCannotDownload");
  EXPECT_FALSE(rig.has_blob("first file"));
  EXPECT_TRUE(rig.has_blob("uploaded by someone"));
}

TEST(Importer, a_restart_takes_up_what_was_unfinished) {
  ImportRig rig;
  const auto id = rig.importer->start({rig.publish({})}, "tester").value();
  rig.fetcher.on_fetch = [&] {
    if (rig.fetcher.fetches == 2) rig.importer->stop();  // the server ends while the payload comes in
  };
  EXPECT_TRUE(rig.importer->work_off());
  EXPECT_EQ(text_at(rig.catalog.describe_operation(id, "main").value(), "status"), "Running");
  rig.fetcher.on_fetch = nullptr;
  rig.restart();
  EXPECT_TRUE(rig.importer->work_off());
  EXPECT_EQ(text_at(rig.catalog.describe_operation(id, "main").value(), "status"), "Succeeded");
}

TEST(Importer, its_thread_works_off_what_is_started) {
  ImportRig rig;
  rig.upload_files({});
  rig.importer->begin();
  const auto id = rig.importer->start({DirectItem{.manifest = manifest_text({})}}, "tester").value();
  std::string status;
  for (int i = 0; i < 500 && status != "Succeeded"; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    status = text_at(rig.catalog.describe_operation(id, "main").value(), "status");
  }
  EXPECT_EQ(status, "Succeeded");
  rig.importer->stop();
}

TEST(Importer, deleting_an_update_frees_the_blobs_that_nobody_else_needs) {
  ImportRig rig;
  ASSERT_EQ(
      text_at(rig.import_directly({.version = "1.0", .files = {{"common.bin", "common"}, {"one.bin", "only in one"}}}),
              "status"),
      "Succeeded");
  ASSERT_EQ(text_at(rig.import_directly({.version = "2.0", .files = {{"common.bin", "common"}}}), "status"),
            "Succeeded");
  const auto operation = rig.catalog.remove(sample_id("Toaster", "1.0"), "tester").value();
  EXPECT_EQ(rig.catalog.describe(sample_id("Toaster", "1.0")).error().code, Code::not_found) << "gone at once";
  EXPECT_TRUE(rig.importer->work_off());
  const auto finished = rig.catalog.describe_operation(operation, "main").value();
  EXPECT_EQ(text_at(finished, "status"), "Succeeded");
  EXPECT_EQ(json::find(finished, "resourceLocation"), nullptr) << "clients would follow it";
  EXPECT_TRUE(rig.has_blob("common"));
  EXPECT_FALSE(rig.has_blob("only in one"));
}

TEST(Importer, finished_operations_are_forgotten_after_a_week_and_too_many_waiting_ones_are_refused) {
  ImportRig rig;
  rig.upload_files({});
  for (std::size_t i = 0; i < Importer::kUnfinishedLimit; ++i) {
    ASSERT_TRUE(rig.importer->start({UrlItem{.url = "https://h/m", .size = 1, .sha256 = sha256("x")}}, "tester"));
  }
  const auto refused = rig.importer->start({UrlItem{.url = "https://h/m", .size = 1, .sha256 = sha256("x")}}, "tester");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::too_many);
  EXPECT_TRUE(rig.importer->work_off());
  EXPECT_EQ(rig.catalog.list_imports(false, 100, "", "main").value().values.size(), 100U);
  rig.test.clock.advance(Importer::kKeepOperations + std::chrono::hours(1));
  rig.importer->begin();
  std::size_t left = 100;
  for (int i = 0; i < 500 && left > 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    left = rig.catalog.list_imports(false, 100, "", "main").value().values.size();
  }
  EXPECT_EQ(left, 0U);
  rig.importer->stop();
}

}  // namespace godwit::service
