// The root key package of an installation: read as devices will read it, and renewed by whoever holds the root keys.
// Blocks; any thread.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "apps/godwitd/layout.hpp"
#include "core/trust/root_keys.hpp"

namespace godwit::daemon {

struct RootKeys {
  trust::RootKeyPackage package{};
  std::string text{};
};

/// The package is checked against the anchors that devices got: a wrong one would make every device refuse every
/// update. Errors: verify_root_key_package()'s, not_found, io_failed.
[[nodiscard]] Result<RootKeys> read_root_keys(const Layout& layout);

struct RenewOptions {
  std::vector<Path> keys{};   // PEM of the private root keys, in any order; each that the package lists is needed
  std::optional<int> days{};  // 0: without an end; nothing: as long as the package before was made for
  std::optional<std::int64_t> version{};  // nothing: the next; devices take none below what they have seen
  std::optional<WallTime> now{};          // for tests
};

/// Changes the package on its way to the next version. `keys`: the private root keys, in the package's order.
using RootKeysChange =
    std::function<Result<void>(trust::RootKeyPackage& next, const std::vector<const trust::PrivateKey*>& keys)>;
/// The next version, signed and checked, and not put in place. Errors: `change`'s and those of renew_root_keys().
[[nodiscard]] Result<RootKeys> sign_next_root_keys(const Layout& layout, const RenewOptions& options,
                                                   const RootKeysChange& change);

/// Puts the next version in place of the package, with the same keys, as a file of the folder's owner. The running
/// service shows it after a restart. Errors: read_root_keys()'s, invalid_argument (a key is missing, or none of the
/// package's; a version that is too low), crypto_failed.
[[nodiscard]] Result<trust::RootKeyPackage> renew_root_keys(const Layout& layout, const RenewOptions& options);

/// "version 3, published ..., ends ...; 2 root keys: ...", for the terminal.
[[nodiscard]] std::string describe_root_keys(const trust::RootKeyPackage& package, WallTime now);

}  // namespace godwit::daemon
