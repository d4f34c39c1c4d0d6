#include "core/trust/client_certificate.hpp"

#include <fmt/format.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <algorithm>
#include <ctime>

#include "core/trust/openssl.hpp"

namespace godwit::trust {
namespace {

using List = std::unique_ptr<X509_CRL, ossl::Deleter<X509_CRL_free>>;
using Scope = std::unique_ptr<ISSUING_DIST_POINT, ossl::Deleter<ISSUING_DIST_POINT_free>>;

constexpr std::size_t kNameBytes = 1024;

std::string name_text(const X509_NAME* name) {
  const ossl::Bio bio(BIO_new(BIO_s_mem()));
  if (!bio || X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) < 0) return {};
  std::string text = ossl::text_of(bio.get());
  return is_valid_utf8(text) ? text.substr(0, kNameBytes) : std::string{};
}

std::string common_name_of(const X509_NAME* name) {
  const int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
  if (at < 0 || X509_NAME_get_index_by_NID(name, NID_commonName, at) >= 0) return {};
  unsigned char* utf8 = nullptr;
  const int size = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
  if (size < 0) {
    ERR_clear_error();
    return {};
  }
  std::string text(reinterpret_cast<const char*>(utf8), static_cast<std::size_t>(size));
  OPENSSL_free(utf8);
  // A NUL would end the name for one reader and not for another.
  return text.find('\0') == std::string::npos && is_valid_utf8(text) ? text : std::string{};
}

Result<WallTime> time_of(const ASN1_TIME* time, std::string_view what) {
  std::tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) {
    ERR_clear_error();
    return fail(Code::invalid_argument, fmt::format("the {} has a time that cannot be read", what));
  }
  return from_unix_ms(static_cast<std::int64_t>(::timegm(&parts)) * 1000);
}

std::string serial_of(const X509* x509) {
  const ossl::Number number(ASN1_INTEGER_to_BN(X509_get0_serialNumber(x509), nullptr));
  if (!number) return {};
  Bytes bytes(static_cast<std::size_t>(BN_num_bytes(number.get())), '\0');
  BN_bn2bin(number.get(), reinterpret_cast<unsigned char*>(bytes.data()));
  return hex_encode(bytes);
}

std::string digest(std::string_view der, const EVP_MD* kind) {
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  GODWIT_CHECK(EVP_Digest(der.data(), der.size(), bytes, &size, kind, nullptr) == 1);
  return hex_encode({reinterpret_cast<const char*>(bytes), size});
}

Result<CertificateFacts> facts_of(X509* x509, std::string_view der) {
  CertificateFacts facts{.subject = name_text(X509_get_subject_name(x509)),
                         .issuer = name_text(X509_get_issuer_name(x509)),
                         .common_name = common_name_of(X509_get_subject_name(x509)),
                         .serial = serial_of(x509),
                         .sha1 = digest(der, EVP_sha1()),
                         .sha256 = digest(der, EVP_sha256())};
  GODWIT_TRY(facts.not_before, time_of(X509_get0_notBefore(x509), "certificate"));
  GODWIT_TRY(facts.not_after, time_of(X509_get0_notAfter(x509), "certificate"));
  facts.version = static_cast<int>(X509_get_version(x509)) + 1;
  facts.is_authority = X509_check_ca(x509) == 1;
  const bool is_broken = (X509_get_extension_flags(x509) & EXFLAG_INVALID) != 0;
  ERR_clear_error();
  if (is_broken) return fail(Code::invalid_argument, "the certificate has an extension that cannot be read");
  if (X509_get0_pubkey(x509) == nullptr) {
    ERR_clear_error();
    return fail(Code::invalid_argument, "the certificate has a public key of a kind that is not known here");
  }
  return facts;
}

/// The DER of each PEM block named `label`; blocks of another name are an error, text between blocks is not.
Result<std::vector<Bytes>> pem_blocks(std::string_view pem, std::string_view label, std::size_t most) {
  if (pem.size() > kCertificateTextBytes)
    return fail(Code::too_large, fmt::format("the PEM text has more than {} bytes", kCertificateTextBytes));
  const ossl::Bio bio = ossl::reader(pem);
  std::vector<Bytes> blocks;
  for (;;) {
    char* name = nullptr;
    char* header = nullptr;
    unsigned char* data = nullptr;
    long size = 0;
    if (!bio || PEM_read_bio(bio.get(), &name, &header, &data, &size) != 1) break;
    const bool is_wanted = label == name;
    const std::string found = std::string(name).substr(0, 40);
    Bytes der(reinterpret_cast<const char*>(data), static_cast<std::size_t>(size));
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_clear_free(data, static_cast<std::size_t>(size));
    if (!is_wanted)
      return fail(Code::invalid_argument,
                  fmt::format("the PEM text holds '{}' where '{}' belongs", is_valid_utf8(found) ? found : "?", label));
    if (blocks.size() == most)
      return fail(Code::too_large, fmt::format("the PEM text holds more than {} blocks of '{}'", most, label));
    blocks.push_back(std::move(der));
  }
  const bool has_ended = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (!has_ended || blocks.empty())
    return fail(Code::invalid_argument, fmt::format("the text is not PEM of '{}' (-----BEGIN {}-----)", label, label));
  return blocks;
}

/// True for a list that speaks of some certificates or reasons only.
bool is_partial(const X509_CRL* crl) {
  const Scope scope(
      static_cast<ISSUING_DIST_POINT*>(X509_CRL_get_ext_d2i(crl, NID_issuing_distribution_point, nullptr, nullptr)));
  ERR_clear_error();
  return scope && (scope->onlyuser > 0 || scope->onlyCA > 0 || scope->onlyattr > 0 || scope->indirectCRL > 0 ||
                   scope->onlysomereasons != nullptr);
}

}  // namespace

// ---- certificates ------------------------------------------------------------------------------------------------

Result<Certificate> Certificate::from_der(std::string_view der) {
  if (der.size() > kCertificateBytes)
    return fail(Code::too_large,
                fmt::format("the certificate has {} bytes; {} are allowed", der.size(), kCertificateBytes));
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  const unsigned char* const end = at + der.size();
  ossl::Certificate x509(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  ERR_clear_error();
  if (!x509 || at != end) return fail(Code::invalid_argument, "the bytes are not one X.509 certificate");
  // One certificate has one spelling: a thumbprint over bytes that another program would write differently means
  // nothing.
  Bytes canonical(static_cast<std::size_t>(std::max(0, i2d_X509(x509.get(), nullptr))), '\0');
  auto* out = reinterpret_cast<unsigned char*>(canonical.data());
  if (canonical.size() != der.size() || i2d_X509(x509.get(), &out) <= 0 || canonical != der)
    return fail(Code::invalid_argument, "the certificate is not encoded as DER asks for");
  Certificate certificate;
  GODWIT_TRY(certificate.facts_, facts_of(x509.get(), der));
  certificate.der_ = Bytes(der);
  certificate.x509_ = std::shared_ptr<X509>(x509.release(), X509_free);
  return certificate;
}

Result<Certificate> Certificate::from_pem(std::string_view pem) {
  GODWIT_TRY(const auto blocks, pem_blocks(pem, PEM_STRING_X509, 1));
  return from_der(blocks.front());
}

Result<std::vector<Certificate>> Certificate::list_from_pem(std::string_view pem) {
  GODWIT_TRY(const auto blocks, pem_blocks(pem, PEM_STRING_X509, kCertificatesInText));
  std::vector<Certificate> list;
  for (const Bytes& der : blocks) {
    GODWIT_TRY(Certificate one, from_der(der));
    list.push_back(std::move(one));
  }
  return list;
}

std::string Certificate::to_pem() const {
  const ossl::Bio bio(BIO_new(BIO_s_mem()));
  GODWIT_CHECK(bio && PEM_write_bio_X509(bio.get(), static_cast<X509*>(x509_.get())) == 1);
  return ossl::text_of(bio.get());
}

// ---- revocation lists --------------------------------------------------------------------------------------------

Result<RevocationList> RevocationList::from_der(std::string_view der) {
  if (der.size() > kRevocationListBytes)
    return fail(Code::too_large,
                fmt::format("the revocation list has {} bytes; {} are allowed", der.size(), kRevocationListBytes));
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  const unsigned char* const end = at + der.size();
  List crl(d2i_X509_CRL(nullptr, &at, static_cast<long>(der.size())));
  ERR_clear_error();
  if (!crl || at != end) return fail(Code::invalid_argument, "the bytes are not one X.509 revocation list");
  if (X509_CRL_get_ext_by_NID(crl.get(), NID_delta_crl, -1) >= 0)
    return fail(Code::unsupported, "the revocation list is a delta list; upload the full one");
  if (is_partial(crl.get()))
    return fail(Code::unsupported,
                "the revocation list covers only some certificates or reasons of its authority; upload a full one");
  RevocationList list;
  list.issuer_ = name_text(X509_CRL_get_issuer(crl.get()));
  GODWIT_TRY(list.made_, time_of(X509_CRL_get0_lastUpdate(crl.get()), "revocation list"));
  if (const ASN1_TIME* next = X509_CRL_get0_nextUpdate(crl.get()); next != nullptr) {
    GODWIT_TRY(list.next_, time_of(next, "revocation list"));
  }
  const auto* revoked = X509_CRL_get_REVOKED(crl.get());
  list.entries_ = revoked == nullptr ? 0 : static_cast<std::size_t>(sk_X509_REVOKED_num(revoked));
  list.der_ = Bytes(der);
  list.crl_ = std::shared_ptr<X509_CRL>(crl.release(), X509_CRL_free);
  return list;
}

Result<RevocationList> RevocationList::from_pem(std::string_view pem) {
  GODWIT_TRY(const auto blocks, pem_blocks(pem, PEM_STRING_X509_CRL, 1));
  return from_der(blocks.front());
}

Result<void> RevocationList::check_issuer(const Certificate& issuer) const {
  auto* crl = static_cast<X509_CRL*>(crl_.get());
  auto* x509 = static_cast<X509*>(issuer.native());
  const bool is_named = X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_subject_name(x509)) == 0;
  const bool is_signed = is_named && X509_CRL_verify(crl, X509_get0_pubkey(x509)) == 1;
  ERR_clear_error();
  if (!is_named)
    return fail(Code::bad_signature,
                fmt::format("the revocation list was made by '{}', not by '{}'", issuer_, issuer.facts().subject));
  if (!is_signed)
    return fail(
        Code::bad_signature,
        fmt::format("the signature of the revocation list does not hold with the key of '{}'", issuer.facts().subject));
  return {};
}

// ---- thumbprints -------------------------------------------------------------------------------------------------

Result<std::string> parse_thumbprint(std::string_view text) {
  std::string hex;
  for (const char c : text.substr(0, 200))
    if (c != ':' && c != ' ') hex.push_back(c);
  const auto bytes = hex_decode(hex);
  if (!bytes || (bytes->size() != 20 && bytes->size() != 32) || text.size() > 200)
    return fail(Code::invalid_argument, "a thumbprint is SHA-1 or SHA-256 of a certificate: 40 or 64 hex digits");
  return hex_encode(*bytes);
}

}  // namespace godwit::trust
