// The key that signs update manifests: what devices think of it, and another in its place.
#pragma once

#include "apps/godwitd/layout.hpp"
#include "apps/godwitd/root_keys.hpp"
#include "server/service/import/prepare.hpp"

namespace godwit::daemon {

/// Errors: not_found, crypto_failed.
[[nodiscard]] Result<service::SigningIdentity> load_signing_identity(const Layout& layout);

struct SigningKey {
  std::string name{};         // "signing-5f0c2a9b"
  std::string fingerprint{};  // hex of what a root key package lists when it disables the key
  std::string refusal{};      // why devices refuse what it signs; "": they take it
};
/// The key in place, judged as a device with the present package of root keys does. Errors: those of
/// load_signing_identity() and read_root_keys().
[[nodiscard]] Result<SigningKey> read_signing_key(const Layout& layout);

/// Makes a new key, lets a root key vouch for it, disables the one before in the next version of the root key package,
/// and puts all of it in place at once: a cut leaves either the old or the new state, see finish_key_change(). The
/// running service takes it into use at its next start. Errors: renew_root_keys()'s; conflict: somebody else is at it.
[[nodiscard]] Result<SigningKey> replace_signing_key(const Layout& layout, const RenewOptions& options);

/// Completes a replacement that was cut off after it was decided; to be called before any of these files is read.
/// Errors: io_failed.
[[nodiscard]] Result<void> finish_key_change(const Layout& layout);

/// For the terminal.
[[nodiscard]] std::string describe_signing_key(const SigningKey& key);

}  // namespace godwit::daemon
