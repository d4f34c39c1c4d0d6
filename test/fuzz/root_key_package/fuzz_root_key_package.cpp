// No package made without the anchor's key is believed; and one that the anchor signed is read without harm.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/trust/root_keys.hpp"

namespace {

using namespace godwit;
using namespace godwit::trust;

struct Anchor {
  PrivateKey key = PrivateKey::generate(2048).value();
  TrustAnchors anchors;
  Anchor() { anchors.keys.emplace("root.1", key.public_key()); }
};

/// Puts the anchor's key into rootKeys, so that the rest of the reader is reached, and signs.
std::string signed_by(const Anchor& anchor, json::Object content) {
  json::Object root_key{{"keyType", "RSA"}, {"n", base64url_encode(anchor.key.public_key().modulus())}, {"e", 65537}};
  content["rootKeys"] = json::Object{{"root.1", root_key}};
  const std::string signature = base64url_encode(anchor.key.sign(json::print(content)).value());
  json::Object document;
  document["protected"] = std::move(content);
  document["signatures"] = json::Array{json::Object{{"alg", "RS256"}, {"sig", signature}}};
  return json::print(document);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Anchor anchor;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  GODWIT_CHECK(!verify_root_key_package(text, anchor.anchors, 0));
  if (const auto read = TrustAnchors::parse(text)) GODWIT_CHECK(TrustAnchors::parse(read->print()).has_value());
  const auto content = json::parse_object(text, {.bytes = 1 << 16, .depth = 6});
  if (!content) return 0;
  if (const auto package = verify_root_key_package(signed_by(anchor, *content), anchor.anchors, 0)) {
    const auto again = verify_root_key_package(package->sign({&anchor.key}).value(), anchor.anchors, package->version);
    GODWIT_CHECK(again.has_value());
    GODWIT_CHECK(again->disabled_signing_keys == package->disabled_signing_keys);
  }
  return 0;
}
