// A persistent key of a TPM 2.0, through the provider of tpm2-openssl. The TPM does the one thing that nobody else can:
// it signs a digest. Everything else of TLS stays with OpenSSL's own code in the process's usual library context: the
// provider would take the hub's public key and each digest into the TPM as well, which is slow, and fails where OpenSSL
// copies a digest in mid-way, because a TPM has room for three objects.
// One thread. The TPM is held from open() to the first signature, so that nothing of it stays in memory afterwards.
#pragma once

#include <memory>
#include <string>

#include "core/base/error.hpp"

struct ec_key_method_st;
struct evp_pkey_st;

namespace godwit::agent {

class TpmKey {
 public:
  /// `uri`: "handle:0x8...". Errors: tls_failed with the reason alone: no provider, no TPM, no key, none that can sign.
  [[nodiscard]] static Result<std::unique_ptr<TpmKey>> open(const std::string& uri);
  ~TpmKey();
  TpmKey(const TpmKey&) = delete;
  TpmKey& operator=(const TpmKey&) = delete;

  /// An EC key whose signatures come from the TPM; whoever holds it must be gone before this.
  [[nodiscard]] evp_pkey_st* key() const { return key_; }

  struct Session;  // the library context with the provider in it, and the key as the provider sees it

 private:
  explicit TpmKey(std::string uri);
  [[nodiscard]] Result<void> take_public_half();
  friend int sign_with_tpm(int digest_type, const unsigned char* digest, int digest_size, unsigned char* signature,
                           unsigned int* signature_size, TpmKey& key);

  std::string uri_;
  std::unique_ptr<Session> session_;
  ec_key_method_st* method_ = nullptr;
  evp_pkey_st* key_ = nullptr;
};

}  // namespace godwit::agent
