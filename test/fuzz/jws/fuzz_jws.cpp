// No text made without the keys is believed. The first byte chooses how deep the rest gets: '0' is the whole signature,
// '1' a payload that the root key really signed, '2' one that the signing key really signed.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/trust/manifest_signature.hpp"

namespace {

using namespace godwit;
using namespace godwit::trust;

constexpr std::string_view kManifest = "{}";

struct Keys {
  PrivateKey root = PrivateKey::generate(2048).value();
  PrivateKey signing = PrivateKey::generate(2048).value();
  std::string signed_jwk = make_signed_jwk(signing.public_key(), "signing.1", root, "root.1").value();
  RootKeyPackage package;
  Keys() { package.root_keys = {{"root.1", root.public_key()}}; }
};

std::string jws(std::string_view header, std::string_view payload, const PrivateKey& key) {
  const std::string text = base64url_encode(header) + "." + base64url_encode(payload);
  return text + "." + base64url_encode(key.sign(text).value());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Keys keys;
  if (size == 0) return 0;
  const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] == '1') {
    const std::string inner = jws(R"({"alg":"RS256","kid":"root.1"})", rest, keys.root);
    static_cast<void>(
        check_manifest_signature(kManifest, sign_manifest(kManifest, keys.signing, inner).value(), keys.package));
  } else if (data[0] == '2') {
    const std::string header = R"({"alg":"RS256","sjwk":")" + keys.signed_jwk + "\"}";
    static_cast<void>(check_manifest_signature(kManifest, jws(header, rest, keys.signing), keys.package));
  } else {
    GODWIT_CHECK(check_manifest_signature(kManifest, rest, keys.package).has_value());
  }
  return 0;
}
