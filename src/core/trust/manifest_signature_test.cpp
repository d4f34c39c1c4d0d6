// Goal: only the one chain root key -> signing key -> manifest is believed, and each break has its own code.
#include "core/trust/manifest_signature.hpp"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "core/trust/test_keys.hpp"

namespace godwit::trust {
namespace {

constexpr std::string_view kManifest = R"({"manifestVersion":"5"})";

RootKeyPackage roots() {
  RootKeyPackage made;
  made.root_keys = {{"root.1", test_key(0).public_key()}, {"root.2", test_key(1).public_key()}};
  return made;
}
std::string signed_jwk() {
  return make_signed_jwk(test_key(2).public_key(), "signing.1", test_key(0), "root.1").value();
}
std::string good() {
  static const std::string text = sign_manifest(kManifest, test_key(2), signed_jwk()).value();
  return text;
}

/// A JWS with whatever header and payload, correctly signed by `key`.
std::string forge(std::string_view header, std::string_view payload, const PrivateKey& key) {
  const std::string text = base64url_encode(header) + "." + base64url_encode(payload);
  return text + "." + base64url_encode(key.sign(text).value());
}
std::string digest_payload() { return R"({"sha256":")" + base64_encode(godwit::sha256(kManifest)) + "\"}"; }
std::string outer(std::string_view extra, std::string_view algorithm = "RS256") {
  return forge(
      R"({"alg":")" + std::string(algorithm) + R"(","sjwk":")" + signed_jwk() + "\"" + std::string(extra) + "}",
      digest_payload(), test_key(2));
}

ExtendedCode code_of(std::string_view signature, const RootKeyPackage& package = roots()) {
  const auto problem = check_manifest_signature(kManifest, signature, package);
  if (problem) {
    EXPECT_FALSE(problem->message.empty());
    EXPECT_FALSE(extended_code_text(problem->code).empty());
  }
  return problem ? problem->code : erc::none;
}

TEST(ManifestSignature, a_good_chain_holds) {
  EXPECT_EQ(code_of(good()), erc::none);
  EXPECT_EQ(code_of(outer("", "rs256")), erc::none);
  EXPECT_EQ(code_of(outer(R"(,"typ":"JWT")")), erc::none);
}

TEST(ManifestSignature, it_tells_which_keys_it_claims_to_come_from) {
  const auto claims = read_manifest_signature(good()).value();
  EXPECT_EQ(claims.algorithm, "RS256");
  EXPECT_EQ(claims.key_id, "signing.1");
  EXPECT_EQ(claims.key_fingerprint, test_key(2).public_key().fingerprint());
  EXPECT_EQ(claims.key_bits, test_key(2).public_key().modulus().size() * 8);
  EXPECT_EQ(claims.root_key_id, "root.1");
  EXPECT_EQ(read_manifest_signature(outer("", "none")).value().algorithm, "none") << "it is read, not believed";
  EXPECT_EQ(read_manifest_signature("").error().code, Code::bad_signature);
  EXPECT_EQ(read_manifest_signature(forge(R"({"alg":"RS256"})", "{}", test_key(2))).error().code, Code::bad_signature);
}

TEST(ManifestSignature, another_manifest_is_refused) {
  EXPECT_EQ(check_manifest_signature(std::string(kManifest) + " ", good(), roots())->code, erc::manifest_hash);
  EXPECT_EQ(check_manifest_signature("", good(), roots())->code, erc::manifest_hash);
  EXPECT_EQ(code_of(""), erc::manifest_hash);
}

// faults: 12
TEST(ManifestSignature, other_algorithms_are_refused_whatever_the_header_says) {
  for (const char* algorithm : {"none", "None", "HS256", "PS256", "RS384", "RS512", "ES256", "", "RS256 "})
    EXPECT_EQ(code_of(outer("", algorithm)), erc::signature_failed) << algorithm;
  // HS256 with the public key's text as the secret, the classic confusion
  const std::string text =
      base64url_encode(R"({"alg":"HS256","sjwk":")" + signed_jwk() + "\"}") + "." + base64url_encode(digest_payload());
  const Bytes& secret = test_key(2).public_key().modulus();
  unsigned char mac[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), mac, &size);
  EXPECT_EQ(code_of(text + "." + base64url_encode(std::string_view(reinterpret_cast<const char*>(mac), size))),
            erc::signature_failed);
  // an empty signature with alg none
  EXPECT_EQ(code_of(base64url_encode(R"({"alg":"none"})") + "." + base64url_encode(digest_payload()) + "."),
            erc::signature_structure);
}

// faults: 12; an attacker brings his own key
TEST(ManifestSignature, keys_in_the_header_are_refused) {
  for (const char* extra : {R"(,"jwk":{"kty":"RSA"})", R"(,"jku":"https://evil.example")", R"(,"x5u":"u")",
                            R"(,"x5c":[])", R"(,"crit":["b64"])"})
    EXPECT_EQ(code_of(outer(extra)), erc::signature_structure) << extra;
}

TEST(ManifestSignature, a_signing_key_that_no_root_key_vouches_for_is_refused) {
  const auto with = [](const std::string& jwk) { return sign_manifest(kManifest, test_key(2), jwk).value(); };
  EXPECT_EQ(code_of(with(make_signed_jwk(test_key(2).public_key(), "s", test_key(0), "root.9").value())),
            erc::root_key_unknown);
  EXPECT_EQ(code_of(with(make_signed_jwk(test_key(2).public_key(), "s", test_key(0), "root.2").value())),
            erc::signature_invalid);
  EXPECT_EQ(code_of(with(make_signed_jwk(test_key(2).public_key(), "s", test_key(2), "root.1").value())),
            erc::signature_invalid);
  EXPECT_EQ(code_of(with(forge(R"({"alg":"RS256"})", json::print(test_key(2).public_key().to_jwk("s")), test_key(0)))),
            erc::signature_structure);
  EXPECT_EQ(code_of(with(forge(R"({"alg":"none","kid":"root.1"})", json::print(test_key(2).public_key().to_jwk("s")),
                               test_key(0)))),
            erc::signature_failed);
  EXPECT_EQ(
      code_of(with(forge(R"({"alg":"RS256","kid":"root.1"})", R"({"kty":"RSA","n":"AQAB","e":"AQAB"})", test_key(0)))),
      erc::signature_structure);
  EXPECT_EQ(code_of(with("a.b")), erc::signature_structure);
}

TEST(ManifestSignature, the_manifest_must_be_signed_by_the_key_that_is_vouched_for) {
  EXPECT_EQ(code_of(sign_manifest(kManifest, test_key(1), signed_jwk()).value()), erc::signature_invalid);
  std::string broken = good();
  broken[broken.size() - 20] = broken[broken.size() - 20] == 'A' ? 'B' : 'A';
  EXPECT_EQ(code_of(broken), erc::signature_invalid);
}

// faults: 10
TEST(ManifestSignature, disabled_keys_are_refused) {
  RootKeyPackage package = roots();
  package.disabled_root_keys = {"root.1"};
  EXPECT_EQ(code_of(good(), package), erc::root_key_disabled);
  package = roots();
  package.disabled_signing_keys = {Bytes(32, 'x'), test_key(2).public_key().fingerprint()};
  EXPECT_EQ(code_of(good(), package), erc::signing_key_disabled);
}

TEST(ManifestSignature, malformed_text_is_refused) {
  for (const std::string& text : {std::string("x"), std::string("a.b"), good() + ".", good() + ".x", "." + good(),
                                  good() + "=", good() + "==", good() + "\n", std::string(20000, 'a')})
    EXPECT_EQ(code_of(text), erc::signature_structure) << text.substr(0, 40);
  std::string padded = outer("");
  EXPECT_EQ(code_of(padded.replace(padded.find('.'), 1, "=.")), erc::signature_structure);
}

// faults: 13, 18
TEST(ManifestSignature, the_payload_names_one_sha256_of_full_length) {
  const std::string header = R"({"alg":"RS256","sjwk":")" + signed_jwk() + "\"}";
  const std::string digest = base64_encode(godwit::sha256(kManifest));
  EXPECT_EQ(code_of(forge(header, "{}", test_key(2))), erc::signature_structure);
  EXPECT_EQ(code_of(forge(header, R"({"sha1":"2jmj7l5rSw0yVb/vlWAYkK/YBwk="})", test_key(2))),
            erc::signature_structure);
  EXPECT_EQ(code_of(forge(header, R"({"sha256":""})", test_key(2))), erc::signature_structure);
  EXPECT_EQ(code_of(forge(header, R"({"sha256":"AAAA"})", test_key(2))), erc::signature_structure);
  EXPECT_EQ(code_of(forge(header, R"({"sha256":")" + digest + R"(","sha256":")" + digest + "\"}", test_key(2))),
            erc::signature_structure);
}

}  // namespace
}  // namespace godwit::trust
