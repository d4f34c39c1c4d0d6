// The updateManifestSignature: a compact JWS whose header carries the signing key as a JWS of its own (sjwk),
// signed by a root key. Verification names what failed by the extended code the original agent uses.
// Pure functions; safe from any thread.
#pragma once

#include <string>
#include <string_view>

#include "core/base/error.hpp"
#include "core/model/outcome.hpp"
#include "core/trust/root_keys.hpp"

namespace godwit::trust {

/// The inner JWS: `signing` key as JWK, signed by the root key `root_kid`. Made off-line, kept beside the signing key.
[[nodiscard]] Result<std::string> make_signed_jwk(const PublicKey& signing, std::string_view signing_kid,
                                                  const PrivateKey& root, std::string_view root_kid);
/// The whole signature over the exact bytes of `manifest`.
[[nodiscard]] Result<std::string> sign_manifest(std::string_view manifest, const PrivateKey& signing,
                                                std::string_view signed_jwk);

/// What a signature says of itself, read but not believed: for people who look at it.
struct SignatureClaims {
  std::string algorithm{};
  std::string key_id{};     // of the signing key; "" where it has none
  Bytes key_fingerprint{};  // of the signing key, as a root key package names a disabled one
  std::size_t key_bits = 0;
  std::string root_key_id{};  // of the root key that vouches for it
};
/// Errors: bad_signature, bad_json (what cannot be read), crypto_failed (a key that is none).
[[nodiscard]] Result<SignatureClaims> read_manifest_signature(std::string_view signature);

/// How every signature under `signed_jwk` begins, and none under another.
[[nodiscard]] std::string manifest_signature_head(std::string_view signed_jwk);

struct SignatureProblem {
  ExtendedCode code = 0;
  std::string message;
};
/// nullopt: the signature holds. Order: structure, alg RS256 (nothing else, whatever the header says), root kid known
/// and not disabled, inner signature, signing key not disabled, outer signature, digest of `manifest`. Only keys of a
/// verified package are passed in.
[[nodiscard]] std::optional<SignatureProblem> check_manifest_signature(std::string_view manifest,
                                                                       std::string_view signature,
                                                                       const RootKeyPackage& roots);

}  // namespace godwit::trust
