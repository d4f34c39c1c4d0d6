// Further instances of an installation: their folders below DATA/instances. Made and removed while the service does not
// run, found by it at its start. Blocks; main thread only.
#pragma once

#include <string>
#include <vector>

#include "apps/godwitd/config.hpp"
#include "apps/godwitd/layout.hpp"

namespace godwit::daemon {

struct InstanceFolder {
  std::string id;
  Config config;
  Layout layout;
};

/// All further instances, by id. Errors: those of their files; conflict when two say the same hub name or id scope, or
/// one of them that of the first.
[[nodiscard]] Result<std::vector<InstanceFolder>> find_instances(const Config& first, const Layout& installation);

/// Makes the folder with instance.toml and secrets, beside its place and renamed into it. Errors: invalid_argument (id,
/// hub name), conflict (there is one, or the hub name is taken), io_failed.
[[nodiscard]] Result<void> create_instance(const Config& first, const Layout& installation, const std::string& id,
                                           const std::string& hub_name);

/// Removes the instance with all it holds: devices, updates, payloads, logs. `confirmed` is its id once more.
/// Errors: not_found, invalid_argument (not confirmed), conflict (the service runs), io_failed.
[[nodiscard]] Result<void> remove_instance(const Layout& installation, const std::string& id,
                                           const std::string& confirmed);

/// A table for people: id, hub name, id scope, folder.
[[nodiscard]] std::string describe_instances(const Config& first, const Layout& installation,
                                             const std::vector<InstanceFolder>& further);

}  // namespace godwit::daemon
