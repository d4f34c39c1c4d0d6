#include "server/service/import/prepare.hpp"

#include "core/manifest/update_manifest.hpp"
#include "server/service/import/testing.hpp"

namespace godwit::service {
namespace {

PlannedUpdate plan(const SampleUpdate& update) { return plan_update(manifest_text(update), "Spring").value(); }

Result<store::OfferRecord> no_children(const UpdateId&, int) {
  return fail(Code::internal, "there are no children here");
}

BuiltUpdate build(const SampleUpdate& update, const ChildOffer& child = no_children) {
  return build_update(plan(update), child, TestKeys::get().identity(), "etag", FakeClock().now()).value();
}

bool signature_holds(const store::OfferRecord& offer) {
  return !trust::check_manifest_signature(offer.manifest, offer.signature, TestKeys::get().package()).has_value();
}

}  // namespace

TEST(Prepare, an_unknown_manifest_version_and_a_broken_manifest_have_codes_of_their_own) {
  EXPECT_EQ(plan_update(manifest_text({.manifest_version = "3.0"}), "").error().inner, "UnsupportedVersion");
  EXPECT_EQ(plan_update("{", "").error().inner, "CannotParse");
  EXPECT_EQ(plan_update("{", "").error().outer, "CannotProcessImportManifest");
}

TEST(Prepare, each_contract_model_gets_a_manifest_it_understands_with_a_signature_that_holds) {
  const auto built = build({.files = {{"app.bin", "new", {{"app.diff", "delta"}}}}});
  const auto& old = built.offers.at(4);
  const auto& now = built.offers.at(5);
  const auto old_manifest = manifest::parse_update_manifest(old.manifest).value();
  const auto new_manifest = manifest::parse_update_manifest(now.manifest).value();
  EXPECT_EQ(old_manifest.version, 4);
  EXPECT_EQ(new_manifest.version, 5);
  EXPECT_EQ(old.manifest.find("relatedFiles"), std::string::npos);
  EXPECT_EQ(old.files.size(), 1U);
  EXPECT_EQ(now.files.size(), 2U) << "payload and delta";
  EXPECT_EQ(now.files.at(manifest::make_file_id(sample_id("Toaster", "1.2.0"), "app.diff")),
            (store::OfferFile{sha256("delta"), "app.diff"}));
  EXPECT_TRUE(signature_holds(old));
  EXPECT_TRUE(signature_holds(now));
  auto changed = now;
  changed.manifest[changed.manifest.size() / 2] ^= 1;
  EXPECT_FALSE(signature_holds(changed));
  EXPECT_EQ(built.record.blobs.size(), 2U);
  EXPECT_TRUE(built.manifest_files.empty());
}

TEST(Prepare, the_same_manifest_gives_the_same_bytes_each_time) { EXPECT_EQ(build({}).offers, build({}).offers); }

TEST(Prepare, a_manifest_too_large_for_a_twin_travels_as_a_file_named_by_a_mini_manifest) {
  const auto built = build({.handler_properties = {{"arguments", std::string(5000, 'a')}}});
  const auto& offer = built.offers.at(5);
  EXPECT_GT(offer.whole_manifest.size(), kTwinStringLimit);
  EXPECT_LE(offer.manifest.size(), kTwinStringLimit);
  EXPECT_TRUE(signature_holds(offer));
  const auto mini = manifest::parse_update_manifest(offer.manifest).value();
  ASSERT_FALSE(mini.detached_manifest_file_id.empty());
  const auto& file = offer.files.at(mini.detached_manifest_file_id);
  EXPECT_EQ(file.sha256, mini.files.at(mini.detached_manifest_file_id).sha256());
  EXPECT_EQ(manifest::parse_detached_manifest(built.manifest_files.at(file.sha256)).value(), offer.whole_manifest);
  EXPECT_TRUE(offer.files.contains(manifest::make_file_id(sample_id("Toaster", "1.2.0"), "app.bin")))
      << "payloads are still needed";
  EXPECT_NE(std::find(built.record.blobs.begin(), built.record.blobs.end(), file.sha256), built.record.blobs.end());
}

TEST(Prepare, a_parent_carries_the_manifest_file_and_the_payloads_of_its_child) {
  const auto child = build({.name = "Motor", .version = "1.0", .files = {{"motor.bin", "vroom"}}});
  const auto parent =
      build({.references = {"Motor/1.0"}}, [&](const UpdateId& id, int version) -> Result<store::OfferRecord> {
        EXPECT_EQ(id, sample_id("Motor", "1.0"));
        return child.offers.at(version);
      });
  EXPECT_EQ(parent.record.references, std::vector{sample_id("Motor", "1.0")});
  for (const int version : {4, 5}) {
    const auto& offer = parent.offers.at(version);
    const auto manifest = manifest::parse_update_manifest(offer.manifest).value();
    const std::string id = manifest.steps.at(1).detached_manifest_file_id;
    EXPECT_EQ(offer.files.at(id).name, "contoso.motor.1.0.updatemanifest.json");
    const std::string inner =
        manifest::parse_detached_manifest(parent.manifest_files.at(offer.files.at(id).sha256)).value();
    EXPECT_EQ(inner, child.offers.at(version).whole_manifest);
    EXPECT_EQ(offer.files.at(manifest::make_file_id(sample_id("Motor", "1.0"), "motor.bin")).sha256, sha256("vroom"));
  }
  EXPECT_EQ(parent.manifest_files.size(), 2U) << "one per manifest version";
}

TEST(Prepare, rules_across_updates_are_kept) {
  ImportRig rig;
  EXPECT_EQ(text_at(rig.import_directly({.name = "Motor", .version = "1.0"}), "status"), "Succeeded");
  EXPECT_EQ(text_at(rig.import_directly({.name = "Hub", .version = "1.0", .references = {"Motor/1.0"}}), "status"),
            "Succeeded");
  const auto codes = [&](const std::vector<SampleUpdate>& samples) {
    std::vector<PlannedUpdate> updates;
    for (const auto& sample : samples) {
      auto planned = plan_update(manifest_text(sample), "");
      if (!planned) return planned.error().outer + "/" + planned.error().inner;
      updates.push_back(*std::move(planned));
    }
    std::string found;
    const auto outcome = rig.test.store->read([&](store::Records& records) -> Result<void> {
      const auto order = check_against_catalog(records.catalog(), updates);
      if (!order)
        found = order.error().outer + "/" + order.error().inner;
      else
        for (const std::size_t i : *order) found += std::to_string(i);
      return {};
    });
    EXPECT_TRUE(outcome);
    return found;
  };
  EXPECT_EQ(codes({{.name = "Motor", .version = "1.0"}}), "UpdateAlreadyExists/");
  EXPECT_EQ(codes({{.version = "2.0"}, {.version = "2.0"}}), "DuplicateContentImport/");
  EXPECT_EQ(codes({{.name = "Car", .references = {"Motor/1.1"}}}), "CannotProcessImportManifest/CannotParse")
      << "no such child";
  EXPECT_EQ(codes({{.name = "Car", .references = {"Hub/1.0"}}}), "CannotProcessImportManifest/CannotParse")
      << "two levels";
  EXPECT_EQ(codes({{.name = "Car", .version = "1.0", .references = {"Car/1.0"}}}),
            "CannotProcessImportManifest/CannotParse")
      << "itself";
  EXPECT_EQ(codes({{.name = "Other", .model = "Motor"}}), "UpdateLimitExceeded/UpdateNameCompatibility");
  EXPECT_EQ(codes({{.name = "One", .model = "same"}, {.name = "Two", .model = "same"}}),
            "UpdateLimitExceeded/UpdateNameCompatibility");
  EXPECT_EQ(codes({{.name = "Motor", .version = "2.0"}}), "0") << "the same name may use its set again";
  EXPECT_EQ(codes({{.name = "Car", .references = {"Wheel/1.0", "Motor/1.0"}}, {.name = "Wheel", .version = "1.0"}}),
            "10")
      << "children first";
}

}  // namespace godwit::service
