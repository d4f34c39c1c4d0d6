// A key that signs by a function of ours is what OpenSSL 3 calls a legacy method; the way that is not deprecated would
// be a provider of our own.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "device/agent/tpm_key.hpp"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <openssl/store.h>
#include <openssl/ui.h>
#include <openssl/x509.h>

#include <string_view>

namespace godwit::agent {

struct TpmKey::Session {
  OSSL_LIB_CTX* library = nullptr;
  EVP_PKEY* key = nullptr;

  Session() = default;
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session() {
    EVP_PKEY_free(key);
    OSSL_LIB_CTX_free(library);  // unloads its providers
  }
};

namespace {

constexpr const char* kFromTpm = "provider=tpm2";

using Session = TpmKey::Session;
using Store = std::unique_ptr<OSSL_STORE_CTX, decltype(&OSSL_STORE_close)>;
using EcKey = std::unique_ptr<EC_KEY, decltype(&EC_KEY_free)>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)>;

/// The first reason in OpenSSL's queue is the cause; the rest says who was on the way. A provider that did not start
/// has taken the texts of its numbers along.
std::string reason(std::string_view else_this = "unknown reason") {
  const unsigned long code = ERR_peek_error();
  const char* text = code == 0 ? nullptr : ERR_reason_error_string(code);
  const std::string words(text != nullptr ? std::string_view(text) : else_this);
  ERR_clear_error();
  return words;
}

Result<std::unique_ptr<Session>> open_session(const std::string& uri) {
  auto session = std::make_unique<Session>();
  session->library = OSSL_LIB_CTX_new();
  if (session->library == nullptr) return fail(Code::tls_failed, reason());
  for (const char* name : {"default", "tpm2"})
    if (OSSL_PROVIDER_load(session->library, name) == nullptr)
      return fail(Code::tls_failed, std::string("OpenSSL does not load the provider ") + name + " (" +
                                        reason("it reaches no TPM") +
                                        "); install tpm2-openssl, and let the agent's user open the TPM (group tss, "
                                        "TPM2OPENSSL_TCTI)");
  const Store store(
      OSSL_STORE_open_ex(uri.c_str(), session->library, kFromTpm, UI_null(), nullptr, nullptr, nullptr, nullptr),
      &OSSL_STORE_close);
  if (!store) return fail(Code::tls_failed, "the TPM does not open it: " + reason());
  while (session->key == nullptr && OSSL_STORE_eof(store.get()) == 0) {
    OSSL_STORE_INFO* info = OSSL_STORE_load(store.get());
    if (info == nullptr) break;
    session->key = OSSL_STORE_INFO_get1_PKEY(info);
    OSSL_STORE_INFO_free(info);
  }
  if (session->key == nullptr)
    return fail(Code::tls_failed, "the TPM has no such key, or it wants a password: " + reason());
  return session;
}

/// A key of OpenSSL's own that can verify only; null: the reason is in OpenSSL's queue.
EcKey public_half(EVP_PKEY* key) {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key, &der);
  const unsigned char* at = der;
  EcKey half(size > 0 ? d2i_EC_PUBKEY(nullptr, &at, size) : nullptr, &EC_KEY_free);
  OPENSSL_free(der);
  return half;
}

/// Where a key of OpenSSL keeps the TpmKey that it belongs to.
int owner_index() {
  static const int index = EC_KEY_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

}  // namespace

int sign_with_tpm(int digest_type, const unsigned char* digest, int digest_size, unsigned char* signature,
                  unsigned int* signature_size, TpmKey& key) {
  if (key.session_ == nullptr) {  // asked again on the same connection
    auto session = open_session(key.uri_);
    if (!session) return 0;
    key.session_ = *std::move(session);
  }
  const KeyContext context(EVP_PKEY_CTX_new_from_pkey(key.session_->library, key.session_->key, kFromTpm),
                           &EVP_PKEY_CTX_free);
  const EVP_MD* type = EVP_get_digestbynid(digest_type);
  auto size = static_cast<std::size_t>(ECDSA_size(EVP_PKEY_get0_EC_KEY(key.key_)));  // OpenSSL made that much room
  if (!context || type == nullptr || EVP_PKEY_sign_init(context.get()) != 1 ||
      EVP_PKEY_CTX_set_signature_md(context.get(), type) != 1 ||
      EVP_PKEY_sign(context.get(), signature, &size, digest, static_cast<std::size_t>(digest_size)) != 1)
    return 0;  // the session stays: the reason in OpenSSL's queue is a text of its provider
  *signature_size = static_cast<unsigned>(size);
  key.session_.reset();
  return 1;
}

TpmKey::TpmKey(std::string uri) : uri_(std::move(uri)) {}

TpmKey::~TpmKey() {
  EVP_PKEY_free(key_);
  if (method_ != nullptr) EC_KEY_METHOD_free(method_);
}

Result<std::unique_ptr<TpmKey>> TpmKey::open(const std::string& uri) {
  std::unique_ptr<TpmKey> opened(new TpmKey(uri));
  ERR_clear_error();
  GODWIT_TRY(opened->session_, open_session(uri));
  GODWIT_TRY_VOID(opened->take_public_half());
  return opened;
}

Result<void> TpmKey::take_public_half() {
  if (EVP_PKEY_is_a(session_->key, "EC") != 1)
    return fail(Code::tls_failed, "the key of the TPM is none on an elliptic curve: make one with ECDSA, P-256");
  const EcKey key = public_half(session_->key);
  method_ = EC_KEY_METHOD_new(EC_KEY_OpenSSL());
  if (!key || method_ == nullptr)
    return fail(Code::tls_failed, "the TPM does not give the public half of the key: " + reason());
  EC_KEY_METHOD_set_sign(
      method_,
      [](int type, const unsigned char* digest, int digest_size, unsigned char* signature, unsigned int* signature_size,
         const BIGNUM*, const BIGNUM*, EC_KEY* signer) {
        return sign_with_tpm(type, digest, digest_size, signature, signature_size,
                             *static_cast<TpmKey*>(EC_KEY_get_ex_data(signer, owner_index())));
      },
      nullptr, nullptr);
  key_ = EVP_PKEY_new();
  if (EC_KEY_set_method(key.get(), method_) != 1 || EC_KEY_set_ex_data(key.get(), owner_index(), this) != 1 ||
      key_ == nullptr || EVP_PKEY_set1_EC_KEY(key_, key.get()) != 1)
    return fail(Code::tls_failed, "OpenSSL does not take the key: " + reason());
  return {};
}

}  // namespace godwit::agent
