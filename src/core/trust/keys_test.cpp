#include "core/trust/keys.hpp"

#include <gtest/gtest.h>

#include "core/trust/test_keys.hpp"

namespace godwit::trust {
namespace {

const Bytes kExponentBytes("\x01\x00\x01", 3);

TEST(Keys, a_signature_holds_for_its_data_and_key_only) {
  const Bytes signature = test_key(0).sign("data").value();
  EXPECT_TRUE(test_key(0).public_key().verify("data", signature));
  EXPECT_FALSE(test_key(0).public_key().verify("Data", signature));
  EXPECT_FALSE(test_key(1).public_key().verify("data", signature));
  EXPECT_FALSE(test_key(0).public_key().verify("data", signature.substr(1)));
  EXPECT_FALSE(test_key(0).public_key().verify("data", ""));
  EXPECT_FALSE(PublicKey{}.verify("data", signature));
}

TEST(Keys, a_private_key_survives_pem) {
  const Secret pem = test_key(0).to_pem().value();
  EXPECT_EQ(pem.reveal().rfind("-----BEGIN PRIVATE KEY-----", 0), 0U);
  const PrivateKey again = PrivateKey::from_pem(pem.reveal()).value();
  EXPECT_EQ(again.public_key().modulus(), test_key(0).public_key().modulus());
  EXPECT_TRUE(test_key(0).public_key().verify("x", again.sign("x").value()));
  EXPECT_FALSE(PrivateKey::from_pem("no key"));
  EXPECT_FALSE(PrivateKey::from_pem(""));
}

TEST(Keys, a_public_key_survives_jwk_in_either_alphabet) {
  json::Object jwk = test_key(0).public_key().to_jwk("k1");
  EXPECT_EQ(json::text(jwk, "kid", "").value(), "k1");
  EXPECT_EQ(json::text(jwk, "e", "").value(), "AQAB");
  EXPECT_EQ(PublicKey::from_jwk(jwk)->modulus(), test_key(0).public_key().modulus());
  jwk["n"] = base64_encode(test_key(0).public_key().modulus());
  EXPECT_EQ(PublicKey::from_jwk(jwk)->modulus(), test_key(0).public_key().modulus());
}

TEST(Keys, weak_or_odd_numbers_are_refused) {
  const Bytes& n = test_key(0).public_key().modulus();
  EXPECT_TRUE(PublicKey::from_numbers(Bytes(1, '\0') + n, kExponentBytes));
  Bytes even = n;
  even.back() = static_cast<char>(even.back() & ~1);
  EXPECT_FALSE(PublicKey::from_numbers(even, kExponentBytes));
  EXPECT_FALSE(PublicKey::from_numbers(n, Bytes(1, '\x03')));
  EXPECT_FALSE(PublicKey::from_numbers(n, ""));
  EXPECT_FALSE(PublicKey::from_numbers("", kExponentBytes));
  EXPECT_FALSE(PublicKey::from_numbers(n.substr(0, 128), kExponentBytes));
  EXPECT_FALSE(PublicKey::from_numbers(Bytes(1025, '\xFF'), kExponentBytes));
  EXPECT_FALSE(PrivateKey::generate(1024));
  json::Object ec = test_key(0).public_key().to_jwk("k1");
  ec["kty"] = "EC";
  EXPECT_FALSE(PublicKey::from_jwk(ec));
}

// DER built by hand: SEQUENCE { INTEGER n, INTEGER 65537 } of a 2048-bit key has a 266-byte body.
TEST(Keys, the_fingerprint_is_over_the_pkcs1_form) {
  const Bytes& n = test_key(0).public_key().modulus();
  const Bytes der = Bytes("\x30\x82\x01\x0a\x02\x82\x01\x01\x00", 9) + n + Bytes("\x02\x03\x01\x00\x01", 5);
  EXPECT_EQ(hex_encode(test_key(0).public_key().fingerprint()), hex_encode(godwit::sha256(der)));
}

}  // namespace
}  // namespace godwit::trust
