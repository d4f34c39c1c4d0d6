#include "device/agent/client_certificate.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <ctime>
#include <memory>
#include <optional>

#include "core/base/bytes.hpp"

namespace godwit::agent {
namespace {

constexpr ByteCount kFileLimit = 64 * 1024;

constexpr Duration kLongestNotice = std::chrono::hours(14 * 24);

using Bio = std::unique_ptr<BIO, decltype(&BIO_free_all)>;
using Owned = std::unique_ptr<X509, decltype(&X509_free)>;
using Context = std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)>;

/// Nobody sits at a device: a key with a passphrase is an error, never a question on the terminal.
int no_passphrase(char*, int, int, void* was_asked) {
  *static_cast<bool*>(was_asked) = true;
  return -1;
}

std::optional<WallTime> wall_time(const ASN1_TIME* time) {
  std::tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) return std::nullopt;
  return WallTime{std::chrono::seconds(::timegm(&parts))};
}

std::string last_reason() {
  const unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return reason != nullptr ? reason : "unknown reason";
}

Result<void> refuse(std::string_view what, const Path& file, std::string_view why) {
  return fail(Code::tls_failed, std::string(what) + " in " + file.string() + ": " + std::string(why));
}

Result<void> use_hardware_key(SSL_CTX* context, const ClientCertificate& certificate, const HardwareKey& key) {
  if (SSL_CTX_use_PrivateKey(context, key.key()) == 1 && SSL_CTX_check_private_key(context) == 1) return {};
  return fail(Code::tls_failed,
              "the device's private key in hardware (hub.certificate_key) does not fit the first "
              "certificate in " +
                  certificate.chain_file.string() + ": " + last_reason());
}

}  // namespace

Result<void> use_client_certificate(ssl_ctx_st* context, const ClientCertificate& certificate, const HardwareKey* key) {
  for (const Path& file : {certificate.chain_file, certificate.key_file})
    if (auto text = file.empty() ? Result<Bytes>{} : read_file(file, kFileLimit); !text)
      return with_context("the device's certificate", std::move(text).error());
  ERR_clear_error();
  if (SSL_CTX_use_certificate_chain_file(context, certificate.chain_file.c_str()) != 1)
    return refuse("the device's certificate", certificate.chain_file,
                  last_reason() + " (a PEM file is needed: the device's certificate, then its authorities)");
  if (key != nullptr) return use_hardware_key(context, certificate, *key);
  bool was_asked = false;
  SSL_CTX_set_default_passwd_cb(context, &no_passphrase);
  SSL_CTX_set_default_passwd_cb_userdata(context, &was_asked);
  const bool is_read = SSL_CTX_use_PrivateKey_file(context, certificate.key_file.c_str(), SSL_FILETYPE_PEM) == 1;
  SSL_CTX_set_default_passwd_cb_userdata(context, nullptr);
  SSL_CTX_set_default_passwd_cb(context, nullptr);
  if (was_asked)
    return refuse("the device's private key", certificate.key_file,
                  "it is protected by a passphrase, which nobody can type at a device; store it without one");
  const std::string reason = is_read ? "" : last_reason();
  if (reason.find("mismatch") != std::string::npos || (is_read && SSL_CTX_check_private_key(context) != 1))
    return refuse("the device's private key", certificate.key_file,
                  "it belongs to another certificate than the first one in " + certificate.chain_file.string());
  if (!is_read) return refuse("the device's private key", certificate.key_file, reason + " (a PEM file is needed)");
  return {};
}

Result<std::string> fingerprint_of_files(const ClientCertificate& certificate) {
  GODWIT_TRY(const auto chain, read_file(certificate.chain_file, kFileLimit));
  if (!certificate.key_uri.empty()) return sha256(sha256(chain) + sha256(certificate.key_uri));
  GODWIT_TRY(const auto key, read_file(certificate.key_file, kFileLimit));
  return sha256(sha256(chain) + sha256(key));
}

Duration CertificateLife::notice() const {
  return std::min<Duration>(std::chrono::duration_cast<Duration>(end - begin) / 10, kLongestNotice);
}

Result<CertificateLife> life_of(const ClientCertificate& certificate) {
  GODWIT_TRY(const auto text, read_file(certificate.chain_file, kFileLimit));
  const Bio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), &BIO_free_all);
  const Owned x509(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr), &X509_free);
  const auto begin = x509 ? wall_time(X509_get0_notBefore(x509.get())) : std::nullopt;
  const auto end = x509 ? wall_time(X509_get0_notAfter(x509.get())) : std::nullopt;
  ERR_clear_error();
  if (!begin || !end) return fail(Code::tls_failed, "no certificate stands in " + certificate.chain_file.string());
  return CertificateLife{.begin = *begin, .end = *end};
}

bool was_renewed(const ClientCertificate& certificate, const std::string& fingerprint) {
  const auto now = fingerprint_of_files(certificate);
  if (!now || *now == fingerprint) return false;
  std::unique_ptr<HardwareKey> key;
  if (!certificate.key_uri.empty()) {
    auto opened = HardwareKey::open(certificate.key_uri);
    if (!opened) return false;
    key = *std::move(opened);
  }
  const Context context(SSL_CTX_new(TLS_client_method()), &SSL_CTX_free);
  return context != nullptr && use_client_certificate(context.get(), certificate, key.get()).has_value();
}

}  // namespace godwit::agent
