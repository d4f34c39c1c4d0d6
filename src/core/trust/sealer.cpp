#include "core/trust/sealer.hpp"

#include <openssl/evp.h>

#include "core/trust/openssl.hpp"

namespace godwit::trust {
namespace {

constexpr char kFormat = 1;
constexpr std::size_t kNonce = 12;
constexpr std::size_t kTag = 16;

using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, ossl::Deleter<EVP_CIPHER_CTX_free>>;

const unsigned char* bytes(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }
unsigned char* bytes(std::string& text, std::size_t at) { return reinterpret_cast<unsigned char*>(text.data()) + at; }

tl::unexpected<Error> unreadable() {
  return fail(Code::crypto_failed,
              "a sealed secret cannot be opened: it was changed, or the key of the installation is another one");
}

}  // namespace

Result<Sealer> Sealer::from_key(const Secret& key) {
  if (key.reveal().size() != kKeyBytes)
    return fail(Code::invalid_argument, "a sealing key has " + std::to_string(kKeyBytes) + " bytes, this one has " +
                                            std::to_string(key.reveal().size()));
  return Sealer(key);
}

Bytes Sealer::seal(std::string_view plain, std::string_view context) const {
  const Bytes nonce = random_bytes(kNonce);
  Bytes out(kOverhead + plain.size(), '\0');
  out[0] = kFormat;
  out.replace(1, kNonce, nonce);
  const CipherContext cipher(EVP_CIPHER_CTX_new());
  int size = 0;
  const bool is_sealed =
      cipher != nullptr &&
      EVP_EncryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, bytes(key_.reveal()), bytes(nonce)) == 1 &&
      EVP_EncryptUpdate(cipher.get(), nullptr, &size, bytes(context), static_cast<int>(context.size())) == 1 &&
      EVP_EncryptUpdate(cipher.get(), bytes(out, 1 + kNonce), &size, bytes(plain), static_cast<int>(plain.size())) ==
          1 &&
      EVP_EncryptFinal_ex(cipher.get(), bytes(out, 1 + kNonce + plain.size()), &size) == 1 &&
      EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, kTag, bytes(out, 1 + kNonce + plain.size())) == 1;
  GODWIT_CHECK(is_sealed);  // fails only without memory or without the algorithm
  return out;
}

Result<Secret> Sealer::open(std::string_view sealed, std::string_view context) const {
  if (sealed.size() < kOverhead || sealed[0] != kFormat) return unreadable();
  const std::string_view nonce = sealed.substr(1, kNonce);
  const std::string_view text = sealed.substr(1 + kNonce, sealed.size() - kOverhead);
  std::string tag(sealed.substr(sealed.size() - kTag));
  std::string plain(text.size(), '\0');
  const CipherContext cipher(EVP_CIPHER_CTX_new());
  int size = 0;
  const bool is_open =
      cipher != nullptr &&
      EVP_DecryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, bytes(key_.reveal()), bytes(nonce)) == 1 &&
      EVP_DecryptUpdate(cipher.get(), nullptr, &size, bytes(context), static_cast<int>(context.size())) == 1 &&
      EVP_DecryptUpdate(cipher.get(), bytes(plain, 0), &size, bytes(text), static_cast<int>(text.size())) == 1 &&
      EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, kTag, tag.data()) == 1 &&
      EVP_DecryptFinal_ex(cipher.get(), bytes(plain, plain.size()), &size) == 1;
  ERR_clear_error();
  if (!is_open) return unreadable();
  return Secret(std::move(plain));
}

}  // namespace godwit::trust
