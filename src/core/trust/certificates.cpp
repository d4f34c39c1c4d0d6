#include "core/trust/certificates.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <algorithm>
#include <memory>

#include "core/base/bytes.hpp"
#include "core/model/text.hpp"
#include "core/trust/openssl.hpp"

namespace godwit::trust {
namespace {

constexpr int kDaysLimit = 36'500;
constexpr std::size_t kCommonNameLimit = 64;  // RFC 5280 ub-common-name
constexpr std::size_t kNamesLimit = 64;
constexpr long kClockSlack = 24 * 60 * 60;  // devices whose clock is a little behind must not refuse a new certificate

using Names = std::unique_ptr<GENERAL_NAMES, ossl::Deleter<GENERAL_NAMES_free>>;
using Name = std::unique_ptr<GENERAL_NAME, ossl::Deleter<GENERAL_NAME_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, ossl::Deleter<X509_EXTENSION_free>>;

Result<void> check_days(int days) {
  if (days < 1 || days > kDaysLimit)
    return fail(Code::invalid_argument,
                fmt::format("a certificate for {} days is not within 1 to {}", days, kDaysLimit));
  return {};
}

Result<ossl::Key> make_key() {
  ossl::Key key(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"));
  if (!key) return ossl::failure("make certificate key");
  return key;
}

Result<void> set_serial(X509* certificate) {
  Bytes serial = random_bytes(16);
  serial[0] = static_cast<char>((serial[0] & 0x7F) | 0x40);  // positive, and always 16 bytes
  const ossl::Number number(
      BN_bin2bn(reinterpret_cast<const unsigned char*>(serial.data()), static_cast<int>(serial.size()), nullptr));
  if (!number || BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) == nullptr)
    return ossl::failure("set serial number");
  return {};
}

/// Version, serial, validity, subject, public key: everything but issuer, extensions and signature.
Result<ossl::Certificate> begin(std::string_view common_name, int days, EVP_PKEY* key) {
  ossl::Certificate certificate(X509_new());
  if (!certificate || X509_set_version(certificate.get(), X509_VERSION_3) != 1)
    return ossl::failure("make certificate");
  GODWIT_TRY_VOID(set_serial(certificate.get()));
  X509_NAME* subject = X509_get_subject_name(certificate.get());
  const bool done = X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -kClockSlack) != nullptr &&
                    X509_time_adj_ex(X509_getm_notAfter(certificate.get()), days, 0, nullptr) != nullptr &&
                    X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8,
                                               reinterpret_cast<const unsigned char*>(common_name.data()),
                                               static_cast<int>(common_name.size()), -1, 0) == 1 &&
                    X509_set_pubkey(certificate.get(), key) == 1;
  if (!done) return ossl::failure("fill certificate");
  return certificate;
}

/// `value` is one of our own constants in OpenSSL's extension syntax; names from outside never pass here.
Result<void> add_extension(X509* certificate, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value));
  if (!extension || X509_add_ext(certificate, extension.get(), -1) != 1)
    return ossl::failure("add certificate extension");
  return {};
}

bool is_dns_name(std::string_view name) {
  const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
    return is_ascii_alphanumeric(c) || c == '.' || c == '-' || c == '_' || c == '*';
  });
  return !name.empty() && name.size() <= 253 && plain;
}

Result<Name> general_name(const std::string& text) {
  Name name(GENERAL_NAME_new());
  if (!name) return ossl::failure("make certificate name");
  if (ASN1_OCTET_STRING* address = a2i_IPADDRESS(text.c_str()); address != nullptr) {
    GENERAL_NAME_set0_value(name.get(), GEN_IPADD, address);
    return name;
  }
  ERR_clear_error();
  if (!is_dns_name(text))
    return fail(Code::invalid_argument,
                fmt::format("'{}' is neither a DNS name nor an IP address", text.substr(0, 253)));
  ASN1_IA5STRING* dns = ASN1_IA5STRING_new();
  if (dns == nullptr) return ossl::failure("make certificate name");
  GENERAL_NAME_set0_value(name.get(), GEN_DNS, dns);  // owns dns from here on
  if (ASN1_STRING_set(dns, text.data(), static_cast<int>(text.size())) != 1)
    return ossl::failure("make certificate name");
  return name;
}

Result<void> add_names(X509* certificate, const std::vector<std::string>& texts) {
  const Names names(sk_GENERAL_NAME_new_null());
  if (!names) return ossl::failure("make certificate names");
  for (const std::string& text : texts) {
    GODWIT_TRY(Name name, general_name(text));
    if (sk_GENERAL_NAME_push(names.get(), name.get()) == 0) return ossl::failure("make certificate names");
    static_cast<void>(name.release());
  }
  if (X509_add1_ext_i2d(certificate, NID_subject_alt_name, names.get(), 0, X509V3_ADD_DEFAULT) != 1)
    return ossl::failure("add certificate names");
  return {};
}

Result<CertificatePair> finish(X509* certificate, EVP_PKEY* key, EVP_PKEY* signer) {
  if (X509_sign(certificate, signer, EVP_sha256()) == 0) return ossl::failure("sign certificate");
  const ossl::Bio certificate_bio(BIO_new(BIO_s_mem()));
  const ossl::Bio key_bio(BIO_new(BIO_s_secmem()));
  if (!certificate_bio || PEM_write_bio_X509(certificate_bio.get(), certificate) != 1)
    return ossl::failure("write certificate");
  if (!key_bio || PEM_write_bio_PKCS8PrivateKey(key_bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1)
    return ossl::failure("write certificate key");
  return CertificatePair{.certificate_pem = ossl::text_of(certificate_bio.get()),
                         .key_pem = Secret(ossl::text_of(key_bio.get()))};
}

}  // namespace

Result<CertificatePair> make_ca(std::string_view common_name, int days) {
  GODWIT_TRY_VOID(check_days(days));
  if (common_name.empty() || common_name.size() > kCommonNameLimit || !is_valid_utf8(common_name))
    return fail(Code::invalid_argument, "the name of a certificate authority must have 1 to 64 bytes of UTF-8");
  GODWIT_TRY(const ossl::Key key, make_key());
  GODWIT_TRY(const ossl::Certificate certificate, begin(common_name, days, key.get()));
  X509* self = certificate.get();
  if (X509_set_issuer_name(self, X509_get_subject_name(self)) != 1) return ossl::failure("fill certificate");
  GODWIT_TRY_VOID(add_extension(self, self, NID_basic_constraints, "critical,CA:TRUE,pathlen:0"));
  GODWIT_TRY_VOID(add_extension(self, self, NID_key_usage, "critical,keyCertSign,cRLSign"));
  GODWIT_TRY_VOID(add_extension(self, self, NID_subject_key_identifier, "hash"));
  return finish(self, key.get(), key.get());
}

Result<CertificatePair> issue_server_certificate(const CertificatePair& ca, const std::vector<std::string>& names,
                                                 int days) {
  GODWIT_TRY_VOID(check_days(days));
  if (names.empty() || names.size() > kNamesLimit)
    return fail(Code::invalid_argument,
                fmt::format("{} names were given, allowed are 1 to {}", names.size(), kNamesLimit));
  const ossl::Bio ca_bio = ossl::reader(ca.certificate_pem);
  const ossl::Bio ca_key_bio = ossl::reader(ca.key_pem.reveal());
  if (!ca_bio || !ca_key_bio) return ossl::failure("read certificate authority");
  const ossl::Certificate issuer(PEM_read_bio_X509(ca_bio.get(), nullptr, ossl::no_password, nullptr));
  const ossl::Key issuer_key(PEM_read_bio_PrivateKey(ca_key_bio.get(), nullptr, ossl::no_password, nullptr));
  if (!issuer || !issuer_key || X509_check_private_key(issuer.get(), issuer_key.get()) != 1)
    return ossl::failure("read certificate authority (certificate and its unencrypted key)");
  GODWIT_TRY(const ossl::Key key, make_key());
  const std::string& first = names.front();
  GODWIT_TRY(const ossl::Certificate certificate,
             begin(std::string_view(first).substr(0, kCommonNameLimit), days, key.get()));
  X509* server = certificate.get();
  if (X509_set_issuer_name(server, X509_get_subject_name(issuer.get())) != 1) return ossl::failure("fill certificate");
  GODWIT_TRY_VOID(add_extension(server, issuer.get(), NID_basic_constraints, "critical,CA:FALSE"));
  GODWIT_TRY_VOID(add_extension(server, issuer.get(), NID_key_usage, "critical,digitalSignature"));
  GODWIT_TRY_VOID(add_extension(server, issuer.get(), NID_ext_key_usage, "serverAuth"));
  GODWIT_TRY_VOID(add_extension(server, issuer.get(), NID_subject_key_identifier, "hash"));
  GODWIT_TRY_VOID(add_extension(server, issuer.get(), NID_authority_key_identifier, "keyid"));
  GODWIT_TRY_VOID(add_names(server, names));
  return finish(server, key.get(), issuer_key.get());
}

namespace {

ossl::Certificate first_in(std::string_view pem) {
  const std::unique_ptr<BIO, ossl::Deleter<BIO_free>> source(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  return ossl::Certificate(PEM_read_bio_X509(source.get(), nullptr, nullptr, nullptr));
}

}  // namespace

Result<std::string> certificate_name(std::string_view pem) {
  const ossl::Certificate certificate = first_in(pem);
  if (!certificate) return fail(Code::invalid_argument, "that is no certificate in PEM");
  const Names names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate.get(), NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    int kind = 0;
    const auto* text =
        static_cast<const ASN1_STRING*>(GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names.get(), i), &kind));
    if (kind != GEN_DNS && kind != GEN_IPADD) continue;
    const std::string bytes(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                            static_cast<std::size_t>(ASN1_STRING_length(text)));
    if (kind == GEN_DNS) return bytes;
    char printed[INET6_ADDRSTRLEN] = "";
    if (bytes.size() == 4 && ::inet_ntop(AF_INET, bytes.data(), printed, sizeof printed) != nullptr) return printed;
    if (bytes.size() == 16 && ::inet_ntop(AF_INET6, bytes.data(), printed, sizeof printed) != nullptr)
      return "[" + std::string(printed) + "]";
  }
  return fail(Code::invalid_argument, "the certificate names no host (it has no subjectAltName)");
}

Result<Bytes> certificate_fingerprint(std::string_view pem) {
  const ossl::Certificate certificate = first_in(pem);
  Bytes digest(EVP_MAX_MD_SIZE, '\0');
  unsigned size = 0;
  if (!certificate ||
      X509_digest(certificate.get(), EVP_sha256(), reinterpret_cast<unsigned char*>(digest.data()), &size) != 1)
    return fail(Code::invalid_argument, "that is no certificate in PEM");
  digest.resize(size);
  return digest;
}

}  // namespace godwit::trust
