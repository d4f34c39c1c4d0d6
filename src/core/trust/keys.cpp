#include "core/trust/keys.hpp"

#include <fmt/format.h>
#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <algorithm>

#include "core/trust/openssl.hpp"

namespace godwit::trust {
namespace {

constexpr int kMinBits = 2048;
constexpr int kMaxBits = 8192;
constexpr std::size_t kPemLimit = 64 * 1024;
constexpr std::size_t kNumberTextLimit = 2 * kMaxBits / 8;  // base64 of the largest modulus fits well
constexpr std::string_view kExponent{"\x01\x00\x01", 3};    // 65537

EVP_PKEY* pkey(const std::shared_ptr<void>& key) { return static_cast<EVP_PKEY*>(key.get()); }
const unsigned char* data_of(std::string_view bytes) { return reinterpret_cast<const unsigned char*>(bytes.data()); }

std::string_view without_leading_zeros(std::string_view number) {
  const auto first = number.find_first_not_of('\0');
  return first == std::string_view::npos ? std::string_view{} : number.substr(first);
}

Result<ossl::Key> make_public(std::string_view n) {
  const ossl::Number modulus(BN_bin2bn(data_of(n), static_cast<int>(n.size()), nullptr));
  const ossl::Number exponent(BN_bin2bn(data_of(kExponent), static_cast<int>(kExponent.size()), nullptr));
  const ossl::ParamBuilder builder(OSSL_PARAM_BLD_new());
  if (!modulus || !exponent || !builder) return ossl::failure("build RSA key");
  const int bits = BN_num_bits(modulus.get());
  if (bits < kMinBits || bits > kMaxBits)
    return fail(Code::crypto_failed,
                fmt::format("RSA modulus has {} bits, allowed are {} to {}", bits, kMinBits, kMaxBits));
  if (BN_is_odd(modulus.get()) == 0) return fail(Code::crypto_failed, "RSA modulus is even");
  if (OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, modulus.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, exponent.get()) != 1)
    return ossl::failure("build RSA key");
  const ossl::Params params(OSSL_PARAM_BLD_to_param(builder.get()));
  const ossl::KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
  EVP_PKEY* raw = nullptr;
  if (!params || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &raw, EVP_PKEY_PUBLIC_KEY, params.get()) != 1)
    return ossl::failure("build RSA key");
  return ossl::Key(raw);
}

Result<PublicKey> public_half(EVP_PKEY* key) {
  BIGNUM* n = nullptr;
  BIGNUM* e = nullptr;
  const bool got = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n) == 1 &&
                   EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e) == 1;
  const ossl::Number modulus(n);
  const ossl::Number exponent(e);
  if (!got) return ossl::failure("read RSA key");
  Bytes n_bytes(static_cast<std::size_t>(BN_num_bytes(n)), '\0');
  Bytes e_bytes(static_cast<std::size_t>(BN_num_bytes(e)), '\0');
  BN_bn2bin(n, reinterpret_cast<unsigned char*>(n_bytes.data()));
  BN_bn2bin(e, reinterpret_cast<unsigned char*>(e_bytes.data()));
  return PublicKey::from_numbers(n_bytes, e_bytes);
}

}  // namespace

Result<PublicKey> PublicKey::from_numbers(const Bytes& n, const Bytes& e) {
  if (without_leading_zeros(e) != kExponent) return fail(Code::crypto_failed, "RSA exponent is not 65537");
  const std::string_view modulus = without_leading_zeros(n);
  if (modulus.size() > kMaxBits / 8)
    return fail(Code::crypto_failed, fmt::format("RSA modulus has more than {} bits", kMaxBits));
  GODWIT_TRY(ossl::Key key, make_public(modulus));
  PublicKey result;
  result.n_ = Bytes(modulus);
  result.key_ = std::shared_ptr<EVP_PKEY>(key.release(), EVP_PKEY_free);
  return result;
}

Result<PublicKey> PublicKey::from_jwk(const json::Object& jwk) {
  GODWIT_TRY(const std::string kty, json::text(jwk, "kty", "jwk"));
  if (kty != "RSA") return fail(Code::crypto_failed, "jwk.kty is not RSA");
  GODWIT_TRY(const std::string n_text, json::text(jwk, "n", "jwk"));
  GODWIT_TRY(const std::string e_text, json::text(jwk, "e", "jwk"));
  if (n_text.size() > kNumberTextLimit || e_text.size() > 16)
    return fail(Code::crypto_failed, "jwk.n or jwk.e is too long");
  auto n = base64_decode(n_text);
  if (!n) return with_context("jwk.n", n.error());
  auto e = base64_decode(e_text);
  if (!e) return with_context("jwk.e", e.error());
  return from_numbers(*n, *e);
}

json::Object PublicKey::to_jwk(std::string_view kid) const {
  json::Object jwk;
  jwk["kty"] = "RSA";
  jwk["n"] = base64url_encode(n_);
  jwk["e"] = base64url_encode(kExponent);
  jwk["alg"] = "RS256";
  jwk["kid"] = kid;
  return jwk;
}

bool PublicKey::verify(std::string_view data, std::string_view signature) const {
  if (!key_) return false;
  const ossl::DigestContext context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* padding = nullptr;  // owned by context
  const bool holds =
      context && EVP_DigestVerifyInit(context.get(), &padding, EVP_sha256(), nullptr, pkey(key_)) == 1 &&
      EVP_PKEY_CTX_set_rsa_padding(padding, RSA_PKCS1_PADDING) == 1 &&
      EVP_DigestVerify(context.get(), data_of(signature), signature.size(), data_of(data), data.size()) == 1;
  ERR_clear_error();
  return holds;
}

Bytes PublicKey::fingerprint() const {
  GODWIT_CHECK(key_ != nullptr);
  unsigned char* der = nullptr;
  const int size = i2d_PublicKey(pkey(key_), &der);  // for RSA: PKCS#1 RSAPublicKey, not SubjectPublicKeyInfo
  GODWIT_CHECK(size > 0);
  const Bytes digest =
      godwit::sha256(std::string_view(reinterpret_cast<const char*>(der), static_cast<std::size_t>(size)));
  OPENSSL_free(der);
  return digest;
}

Result<PrivateKey> PrivateKey::generate(int bits) {
  if (bits < kMinBits || bits > kMaxBits)
    return fail(Code::invalid_argument,
                fmt::format("an RSA key of {} bits is not within {} to {}", bits, kMinBits, kMaxBits));
  ossl::Key key(EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", static_cast<std::size_t>(bits)));
  if (!key) return ossl::failure("make RSA key");
  PrivateKey result;
  GODWIT_TRY(result.public_, public_half(key.get()));
  result.key_ = std::shared_ptr<EVP_PKEY>(key.release(), EVP_PKEY_free);
  return result;
}

Result<PrivateKey> PrivateKey::from_pem(std::string_view pem) {
  if (pem.size() > kPemLimit) return fail(Code::too_large, "private key file is larger than 64 KiB");
  const ossl::Bio bio = ossl::reader(pem);
  if (!bio) return ossl::failure("read private key");
  ossl::Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, ossl::no_password, nullptr));
  if (!key) return ossl::failure("read private key (an unencrypted PKCS#8 PEM is expected)");
  if (EVP_PKEY_is_a(key.get(), "RSA") != 1) return fail(Code::crypto_failed, "private key is not an RSA key");
  PrivateKey result;
  GODWIT_TRY(result.public_, public_half(key.get()));
  result.key_ = std::shared_ptr<EVP_PKEY>(key.release(), EVP_PKEY_free);
  return result;
}

Result<Secret> PrivateKey::to_pem() const {
  const ossl::Bio bio(BIO_new(BIO_s_secmem()));
  if (!bio || PEM_write_bio_PKCS8PrivateKey(bio.get(), pkey(key_), nullptr, nullptr, 0, nullptr, nullptr) != 1)
    return ossl::failure("write private key");
  return Secret(ossl::text_of(bio.get()));
}

Result<Bytes> PrivateKey::sign(std::string_view data) const {
  if (!key_) return fail(Code::crypto_failed, "there is no private key to sign with");
  const ossl::DigestContext context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* padding = nullptr;  // owned by context
  std::size_t size = 0;
  if (!context || EVP_DigestSignInit(context.get(), &padding, EVP_sha256(), nullptr, pkey(key_)) != 1 ||
      EVP_PKEY_CTX_set_rsa_padding(padding, RSA_PKCS1_PADDING) != 1 ||
      EVP_DigestSign(context.get(), nullptr, &size, data_of(data), data.size()) != 1)
    return ossl::failure("sign");
  Bytes signature(size, '\0');
  if (EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size, data_of(data),
                     data.size()) != 1)
    return ossl::failure("sign");
  signature.resize(size);
  return signature;
}

}  // namespace godwit::trust
