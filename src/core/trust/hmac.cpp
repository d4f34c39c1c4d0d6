#include "core/trust/hmac.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "core/base/error.hpp"

namespace godwit::trust {

Bytes hmac_sha256(std::string_view key, std::string_view data) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  const auto* result = HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
                            reinterpret_cast<const unsigned char*>(data.data()), data.size(), digest, &size);
  GODWIT_CHECK(result != nullptr && size == 32);
  return Bytes(reinterpret_cast<const char*>(digest), size);
}

}  // namespace godwit::trust
