// For tests: authorities, device certificates and revocation lists of every good and bad kind, made on raw OpenSSL, so
// that the code under test is not judged by itself. A failing call of OpenSSL ends the test program.
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include "core/base/error.hpp"

namespace godwit::trust {

/// How a certificate should be; the rest is chosen. Times are unix seconds.
struct CertificateWish {
  std::string common_name{};
  bool is_authority = false;
  int path_length = -1;                    // of an authority; -1: no limit
  const char* extended_usage = "";         // "clientAuth", "serverAuth"; "": none
  const char* usage = nullptr;             // nullptr: what fits the kind
  std::time_t not_before = 1'577'836'800;  // 2020-01-01
  std::time_t not_after = 2'208'988'800;   // 2040-01-01
  int rsa_bits = 0;                        // 0: a P-256 key
  const EVP_MD* digest = EVP_sha256();
  int version = 2;  // X509_VERSION_3
};

class MadeCertificate {
 public:
  /// `issuer` == nullptr: self-signed.
  explicit MadeCertificate(const CertificateWish& wish, const MadeCertificate* issuer = nullptr)
      : key_(wish.rsa_bits > 0 ? EVP_RSA_gen(static_cast<unsigned>(wish.rsa_bits)) : EVP_EC_gen("P-256"),
             EVP_PKEY_free),
        x509_(X509_new(), X509_free),
        serial_(next_serial()) {
    GODWIT_CHECK(key_ && x509_);
    X509* self = x509_.get();
    X509_set_version(self, wish.version);
    ASN1_INTEGER_set(X509_get_serialNumber(self), serial_);
    ASN1_TIME_set(X509_getm_notBefore(self), wish.not_before);
    ASN1_TIME_set(X509_getm_notAfter(self), wish.not_after);
    X509_set_pubkey(self, key_.get());
    X509_NAME_add_entry_by_txt(X509_get_subject_name(self), "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(wish.common_name.c_str()), -1, -1, 0);
    X509* parent = issuer == nullptr ? self : issuer->x509_.get();
    X509_set_issuer_name(self, X509_get_subject_name(parent));
    if (wish.version == X509_VERSION_3) add_extensions(wish, parent);
    EVP_PKEY* signer = issuer == nullptr ? key_.get() : issuer->key_.get();
    GODWIT_CHECK(X509_sign(self, signer, wish.digest) > 0);
  }

  [[nodiscard]] std::string pem() const {
    return written([this](BIO* bio) { return PEM_write_bio_X509(bio, x509_.get()); });
  }
  [[nodiscard]] std::string der() const {
    return written([this](BIO* bio) { return i2d_X509_bio(bio, x509_.get()); });
  }
  [[nodiscard]] std::string key_pem() const {
    return written([this](BIO* bio) {
      return PEM_write_bio_PKCS8PrivateKey(bio, key_.get(), nullptr, nullptr, 0, nullptr, nullptr);
    });
  }
  /// The list of what this authority revokes. `next` == 0: it does not end.
  [[nodiscard]] std::string revocation_list(const std::vector<const MadeCertificate*>& revoked,
                                            std::time_t made = 1'735'689'600,          // 2025-01-01
                                            std::time_t next = 2'208'988'800) const {  // 2040-01-01
    const std::unique_ptr<X509_CRL, decltype(&X509_CRL_free)> crl(X509_CRL_new(), X509_CRL_free);
    X509_CRL_set_version(crl.get(), 1);
    X509_CRL_set_issuer_name(crl.get(), X509_get_subject_name(x509_.get()));
    ASN1_TIME* time = ASN1_TIME_set(nullptr, made);
    X509_CRL_set1_lastUpdate(crl.get(), time);
    for (const MadeCertificate* one : revoked) {
      X509_REVOKED* entry = X509_REVOKED_new();
      X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(one->x509_.get()));
      X509_REVOKED_set_revocationDate(entry, time);
      X509_CRL_add0_revoked(crl.get(), entry);
    }
    if (next != 0) X509_CRL_set1_nextUpdate(crl.get(), ASN1_TIME_set(time, next));
    ASN1_TIME_free(time);
    X509_CRL_sort(crl.get());
    GODWIT_CHECK(X509_CRL_sign(crl.get(), key_.get(), EVP_sha256()) > 0);
    return written([&](BIO* bio) { return PEM_write_bio_X509_CRL(bio, crl.get()); });
  }
  [[nodiscard]] X509* x509() const { return x509_.get(); }
  [[nodiscard]] EVP_PKEY* key() const { return key_.get(); }

 private:
  static long next_serial() {
    static long last = 1000;
    return ++last;
  }
  void add_extensions(const CertificateWish& wish, X509* parent) {
    std::string constraints = wish.is_authority ? "critical,CA:TRUE" : "critical,CA:FALSE";
    if (wish.path_length >= 0) constraints += ",pathlen:" + std::to_string(wish.path_length);
    add(NID_basic_constraints, constraints.c_str(), parent);
    const char* usage = wish.is_authority ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature";
    add(NID_key_usage, wish.usage != nullptr ? wish.usage : usage, parent);
    if (*wish.extended_usage != '\0') add(NID_ext_key_usage, wish.extended_usage, parent);
    add(NID_subject_key_identifier, "hash", parent);
    if (X509_get0_subject_key_id(parent) != nullptr) add(NID_authority_key_identifier, "keyid", parent);
  }
  void add(int nid, const char* value, X509* parent) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, parent, x509_.get(), nullptr, nullptr, 0);
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
    GODWIT_CHECK(extension != nullptr && X509_add_ext(x509_.get(), extension, -1) == 1);
    X509_EXTENSION_free(extension);
  }
  template <class Write>
  static std::string written(Write write) {
    const std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new(BIO_s_mem()), BIO_free);
    GODWIT_CHECK(write(bio.get()) == 1);
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &data);
    return std::string(data, static_cast<std::size_t>(size));
  }

  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key_;
  std::unique_ptr<X509, decltype(&X509_free)> x509_;
  long serial_;
};

}  // namespace godwit::trust
