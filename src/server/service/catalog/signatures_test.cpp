#include "server/service/catalog/signatures.hpp"

#include "server/service/import/testing.hpp"

namespace godwit::service {

TEST(Signatures, an_update_tells_who_signed_it_and_whether_devices_believe_it) {
  ImportRig rig;
  ASSERT_EQ(text_at(rig.import_directly({}), "status"), "Succeeded");
  const UpdateId id = sample_id("Toaster", "1.2.0");
  const TestKeys& keys = TestKeys::get();
  trust::RootKeyPackage package = keys.package();
  const auto good = describe_signatures(*rig.test.store, id, package, rig.test.clock.now()).value();
  ASSERT_EQ(good.size(), 2U);
  const auto& newest = good[0].get_object();
  EXPECT_EQ(text_at(newest, "manifestVersion"), "5");
  EXPECT_EQ(text_at(good[1].get_object(), "manifestVersion"), "4");
  EXPECT_EQ(text_at(newest, "algorithm"), "RS256");
  EXPECT_EQ(text_at(newest, "keyId"), "signing-1");
  EXPECT_EQ(json::integer_or_nothing(newest, "keySizeInBits"), 2048);
  EXPECT_EQ(text_at(newest, "keySha256"), base64url_encode(keys.signing.public_key().fingerprint()));
  EXPECT_EQ(text_at(newest, "rootKeyId"), "root-1");
  EXPECT_TRUE(json::find(newest, "isBelieved")->get_bool());
  EXPECT_EQ(json::find(newest, "problem"), nullptr);

  package.disabled_signing_keys = {keys.signing.public_key().fingerprint()};
  const auto bad = describe_signatures(*rig.test.store, id, package, rig.test.clock.now()).value()[0].get_object();
  EXPECT_FALSE(json::find(bad, "isBelieved")->get_bool());
  EXPECT_EQ(text_at(*json::object_or_null(bad, "problem"), "code"), extended_code_hex(erc::signing_key_disabled));
  EXPECT_EQ(text_at(bad, "keyId"), "signing-1") << "it is still told which key that was";
  EXPECT_EQ(
      describe_signatures(*rig.test.store, sample_id("Toaster", "9.0"), package, rig.test.clock.now()).error().code,
      Code::not_found);

  package.disabled_signing_keys.clear();
  package.expires = to_unix_ms(rig.test.clock.now()) / 1000;
  const auto late = describe_signatures(*rig.test.store, id, package, rig.test.clock.now()).value()[0].get_object();
  EXPECT_FALSE(json::find(late, "isBelieved")->get_bool()) << "past the package's end devices refuse every update";
  EXPECT_EQ(text_at(*json::object_or_null(late, "problem"), "code"), extended_code_hex(erc::root_package_expired));
}

}  // namespace godwit::service
