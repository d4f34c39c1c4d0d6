// Owners for OpenSSL objects and its last error as an Error. Private to this room: not included from outside.
// Stateless; OpenSSL's error queue is per thread.
#pragma once

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/error.hpp"

namespace godwit::trust::ossl {

template <auto Free>
struct Deleter {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Bio = std::unique_ptr<BIO, Deleter<BIO_free_all>>;
using Number = std::unique_ptr<BIGNUM, Deleter<BN_free>>;
using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, Deleter<EVP_PKEY_CTX_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, Deleter<EVP_MD_CTX_free>>;
using ParamBuilder = std::unique_ptr<OSSL_PARAM_BLD, Deleter<OSSL_PARAM_BLD_free>>;
using Params = std::unique_ptr<OSSL_PARAM, Deleter<OSSL_PARAM_free>>;
using Certificate = std::unique_ptr<X509, Deleter<X509_free>>;

/// crypto_failed: "<what>: <reason of OpenSSL>"; empties the thread's error queue.
[[nodiscard]] inline tl::unexpected<Error> failure(std::string_view what) {
  const unsigned long number = ERR_peek_last_error();
  const char* reason = number == 0 ? nullptr : ERR_reason_error_string(number);
  ERR_clear_error();
  std::string message{what};
  message += ": ";
  message += reason != nullptr ? reason : "OpenSSL gives no reason";
  return fail(Code::crypto_failed, std::move(message));
}

/// Reads what was written to a memory BIO.
[[nodiscard]] inline std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : std::string();
}

/// A memory BIO over `text`, which must outlive it.
[[nodiscard]] inline Bio reader(std::string_view text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

/// For PEM readers: an encrypted key is an error, never a question on the terminal.
inline int no_password(char*, int, int, void*) { return -1; }

}  // namespace godwit::trust::ossl
