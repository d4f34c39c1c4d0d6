// Goal: a package is believed only if every anchor of the device signed exactly what is read.
#include "core/trust/root_keys.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "core/trust/test_keys.hpp"

namespace godwit::trust {
namespace {

RootKeyPackage package() {
  RootKeyPackage made;
  made.version = 3;
  made.published = 1795000000;
  made.disabled_root_keys = {"root.2"};
  made.disabled_signing_keys = {test_key(2).public_key().fingerprint()};
  made.root_keys = {{"root.1", test_key(0).public_key()}, {"root.2", test_key(1).public_key()}};
  return made;
}
std::string signed_package(const RootKeyPackage& content) { return content.sign({&test_key(0), &test_key(1)}).value(); }

TrustAnchors anchors() {
  TrustAnchors made;
  made.keys.emplace("root.1", test_key(0).public_key());
  made.keys.emplace("root.2", test_key(1).public_key());
  return made;
}

/// Puts `to` in place of the only `from`.
std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(RootKeys, a_signed_package_is_read_back) {
  const RootKeyPackage read = verify_root_key_package(signed_package(package()), anchors(), 3).value();
  EXPECT_FALSE(read.is_test);
  EXPECT_EQ(read.version, 3);
  EXPECT_EQ(read.published, 1795000000);
  EXPECT_EQ(read.disabled_root_keys, std::vector<std::string>{"root.2"});
  EXPECT_EQ(read.disabled_signing_keys, package().disabled_signing_keys);
  ASSERT_EQ(read.root_keys.size(), 2U);
  EXPECT_EQ(read.root_keys[1].first, "root.2");
  EXPECT_EQ(read.root_keys[1].second.modulus(), test_key(1).public_key().modulus());
}

TEST(RootKeys, white_space_outside_does_not_matter_but_content_does) {
  const std::string text = signed_package(package());
  EXPECT_TRUE(verify_root_key_package(replaced(text, R"("version":3)", R"( "version" : 3)"), anchors(), 0));
  // faults: 13
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {R"("version":3)", R"("version":4)"},
           {R"("disabledRootKeys":["root.2"])", R"("disabledRootKeys":[])"},
           {R"("isTest":false,)", ""},
           {R"("isTest":false,"version":3)", R"("version":3,"isTest":false)"},
           {R"("version":3)", R"("version":3,"more":1)"}}) {
    const auto changed = check_root_key_package(replaced(text, from, to), anchors(), 0);
    ASSERT_FALSE(changed) << to;
    EXPECT_EQ(changed.error().code, erc::root_package_invalid);
    EXPECT_NE(changed.error().error.message.find("does not hold"), std::string::npos) << changed.error().error.message;
  }
  const auto twice =
      verify_root_key_package(replaced(text, R"("version":3)", R"("version":3,"version":4)"), anchors(), 0);
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().code, Code::bad_json);
}

TEST(RootKeys, every_anchor_must_be_listed_and_have_signed) {
  RootKeyPackage only_first = package();
  only_first.root_keys.pop_back();
  EXPECT_NE(verify_root_key_package(only_first.sign({&test_key(0)}).value(), anchors(), 0)
                .error()
                .message.find("root.2 is not among"),
            std::string::npos);

  // faults: 11; a stranger lists the anchor's name with his own key
  RootKeyPackage stranger = package();
  stranger.root_keys = {{"root.1", test_key(2).public_key()}, {"root.2", test_key(1).public_key()}};
  EXPECT_NE(verify_root_key_package(stranger.sign({&test_key(2), &test_key(1)}).value(), anchors(), 0)
                .error()
                .message.find("another key"),
            std::string::npos);

  // faults: 9, 15; one signature where two are wanted, and one signature used twice
  json::Object document = json::parse_object(signed_package(package())).value();
  json::Array& signatures = document["signatures"].as_array();
  signatures[1] = signatures[0];
  EXPECT_NE(verify_root_key_package(json::print(document), anchors(), 0).error().message.find("root.2 does not hold"),
            std::string::npos);
  signatures.pop_back();
  EXPECT_NE(verify_root_key_package(json::print(document), anchors(), 0).error().message.find("1 signatures for 2"),
            std::string::npos);
}

// faults: 15
TEST(RootKeys, one_key_under_two_names_is_refused) {
  RootKeyPackage twice = package();
  twice.root_keys = {{"root.1", test_key(0).public_key()}, {"root.2", test_key(0).public_key()}};
  EXPECT_FALSE(twice.sign({&test_key(0), &test_key(0)}));
  TrustAnchors same;
  same.keys.emplace("root.1", test_key(0).public_key());
  same.keys.emplace("root.2", test_key(0).public_key());
  EXPECT_FALSE(TrustAnchors::parse(same.print()));
}

TEST(RootKeys, a_package_is_read_without_believing_it) {
  const auto read = read_root_key_package(signed_package(package())).value();
  EXPECT_EQ(read.version, package().version);
  ASSERT_EQ(read.root_keys.size(), package().root_keys.size());
  EXPECT_EQ(read.root_keys[0].first, package().root_keys[0].first);
  EXPECT_EQ(read_root_key_package("{}").error().code, Code::bad_json);
}

// faults: 2
TEST(RootKeys, an_older_package_is_refused) {
  const auto old = check_root_key_package(signed_package(package()), anchors(), 4);
  ASSERT_FALSE(old);
  EXPECT_EQ(old.error().code, erc::root_package_rollback);
  EXPECT_EQ(old.error().error.code, Code::refused);
}

// faults: 3
TEST(RootKeys, a_package_may_have_an_end_after_its_beginning) {
  EXPECT_EQ(signed_package(package()).find("expires"), std::string::npos) << "older readers see what they always saw";
  EXPECT_FALSE(package().has_expired(WallTime::max()));
  RootKeyPackage ends = package();
  ends.expires = ends.published + 86400;
  const auto read = verify_root_key_package(signed_package(ends), anchors(), 3);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->expires, ends.expires);
  EXPECT_FALSE(read->has_expired(from_unix_ms(ends.expires * 1000 - 1)));
  EXPECT_TRUE(read->has_expired(from_unix_ms(ends.expires * 1000)));
  for (const std::int64_t wrong : {ends.published, ends.published - 1, std::int64_t{-1}, std::int64_t{253402300800}}) {
    ends.expires = wrong;
    EXPECT_FALSE(ends.sign({&test_key(0), &test_key(1)})) << wrong;
  }
}

// faults: 4
TEST(RootKeys, new_anchors_end_what_a_stolen_root_key_counted_up) {
  RootKeyPackage last = package();
  last.version = std::numeric_limits<std::int64_t>::max();
  ASSERT_TRUE(verify_root_key_package(signed_package(last), anchors(), 3));
  EXPECT_TRUE(verify_root_key_package(signed_package(last), anchors(), last.version))
      << "the owner may sign under the last number, too, and so bring the new anchors to the devices";
  RootKeyPackage anew = package();
  anew.version = 1;
  anew.root_keys = {{"root.3", test_key(2).public_key()}};
  TrustAnchors rotated;
  rotated.keys.emplace("root.3", test_key(2).public_key());
  EXPECT_FALSE(verify_root_key_package(signed_package(last), rotated, 0));
  EXPECT_TRUE(verify_root_key_package(anew.sign({&test_key(2)}).value(), rotated, 0));
}

TEST(RootKeys, test_and_production_do_not_mix) {
  RootKeyPackage test_package = package();
  test_package.is_test = true;
  TrustAnchors test_anchors = anchors();
  test_anchors.is_test = true;
  EXPECT_EQ(check_root_key_package(signed_package(test_package), anchors(), 0).error().code, erc::root_package_is_test);
  EXPECT_EQ(check_root_key_package(signed_package(package()), test_anchors, 0).error().code,
            erc::root_package_not_test);
  EXPECT_TRUE(verify_root_key_package(signed_package(test_package), test_anchors, 0));
}

// faults: 12; alg of a signature names another algorithm
TEST(RootKeys, signatures_are_rs256_only) {
  const std::string text = signed_package(package());
  EXPECT_TRUE(verify_root_key_package(replaced(text, R"("alg":"RS256")", R"("alg":"rs256")"), anchors(), 0));
  for (const char* algorithm : {"none", "HS256", "PS256", "RS512", ""})
    EXPECT_FALSE(verify_root_key_package(
        replaced(text, R"("alg":"RS256")", R"("alg":")" + std::string(algorithm) + "\""), anchors(), 0))
        << algorithm;
}

TEST(RootKeys, malformed_packages_are_refused) {
  const std::string text = signed_package(package());
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {R"("version":3,)", ""},
           {R"("version":3)", R"("version":"3")"},
           {R"("version":3)", R"("version":0)"},
           {R"("keyType":"RSA")", R"("keyType":"EC")"},
           {R"("e":65537)", R"("e":3)"},
           {R"("root.1":{)", R"("root/1":{)"},
           {R"("alg":"SHA256")", R"("alg":"SHA1")"},
           {R"("disabledSigningKeys":[{)", R"("disabledSigningKeys":[7,{)"}})
    EXPECT_FALSE(verify_root_key_package(replaced(text, from, to), anchors(), 0)) << to;
  EXPECT_FALSE(verify_root_key_package("", anchors(), 0));
  EXPECT_FALSE(verify_root_key_package("[]", anchors(), 0));
  EXPECT_FALSE(verify_root_key_package(text, TrustAnchors{}, 0));
}

TEST(RootKeys, signing_needs_the_private_key_of_each_root_key) {
  EXPECT_FALSE(package().sign({&test_key(0)}));
  EXPECT_FALSE(package().sign({&test_key(1), &test_key(0)}));
}

TEST(TrustAnchors, survive_printing) {
  TrustAnchors made = anchors();
  made.is_test = true;
  const TrustAnchors read = TrustAnchors::parse(made.print()).value();
  EXPECT_TRUE(read.is_test);
  ASSERT_EQ(read.keys.size(), 2U);
  EXPECT_EQ(read.keys.at("root.2").modulus(), test_key(1).public_key().modulus());
  EXPECT_FALSE(TrustAnchors::parse(R"({"rootKeys":{}})"));
  EXPECT_FALSE(TrustAnchors::parse("{}"));
}

}  // namespace
}  // namespace godwit::trust
