// A private key that stays in hardware: in a token behind PKCS#11 (a secure element, an HSM, softhsm2) or in a TPM 2.0.
// It is named by a URI and used through OpenSSL: PKCS#11 by the engine of libengine-pkcs11-openssl, a TPM by the
// provider of tpm2-openssl. One thread; opened anew for each connection, so that a token may be exchanged.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/base/error.hpp"
#include "device/agent/tpm_key.hpp"

struct evp_pkey_st;

namespace godwit::agent {

/// "" when `uri` may be opened: "pkcs11:..." (RFC 7512; module-path names the token's library) or "handle:0x8..." (a
/// persistent key of the TPM). Otherwise what is wrong with it.
[[nodiscard]] std::string check_key_uri(std::string_view uri);

class HardwareKey {
 public:
  /// Errors: tls_failed naming the URI without its PIN, with the reason: no engine or provider, no token, no key, PIN.
  [[nodiscard]] static Result<std::unique_ptr<HardwareKey>> open(const std::string& uri);
  ~HardwareKey();
  HardwareKey(const HardwareKey&) = delete;
  HardwareKey& operator=(const HardwareKey&) = delete;

  /// Whoever holds it must be gone before this.
  [[nodiscard]] evp_pkey_st* key() const;

 private:
  HardwareKey() = default;
  [[nodiscard]] Result<void> open_token(const std::string& uri);

  std::unique_ptr<TpmKey> tpm_;
  evp_pkey_st* key_ = nullptr;  // of the token
};

}  // namespace godwit::agent
