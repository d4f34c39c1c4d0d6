// The registry: identities and twins as operators and the service change them. Every function works inside a
// transaction of the store, tells the observer, and pushes desired patches to a connected device after the commit.
// Writer thread (inside Store jobs).
#pragma once

#include <functional>
#include <optional>

#include "core/base/clock.hpp"
#include "server/hub/ports.hpp"

namespace godwit::hub {

/// Sends `patch` + $version to the device if it is connected and subscribed. Any thread; returns at once.
using PushDesired = std::function<void(const IdentityId& id, std::string payload, std::uint64_t version)>;
/// Ends live connections of a device whose identity was removed, disabled or got new keys. Any thread.
using DropDevice = std::function<void(const IdentityId& id, std::string reason)>;

/// The twin is another one now, or gone: whoever keeps a copy forgets it. Writer thread, after the commit.
using TwinChanged = std::function<void(const IdentityId& id)>;

/// What the registry asks of the hub after a commit.
struct RegistryDoors {
  PushDesired push;
  DropDevice drop;
  TwinChanged changed;
};

struct NewIdentity {
  IdentityId id;
  bool is_enabled = true;
  std::string status_reason{};
  store::Authentication authentication = store::Authentication::sas;
  std::string primary_key{};  // raw bytes; empty = generated (at an update: kept); only for sas
  std::string secondary_key{};
  std::string primary_thumbprint{};  // hex of SHA-1 or SHA-256; only for self_signed, which needs at least one
  std::string secondary_thumbprint{};
  std::string managed_by{};  // of a module
};
struct TwinChange {
  std::optional<json::Object> tags{};
  std::optional<json::Object> desired{};
  bool is_replace = false;                    // PUT: given sections are replaced whole
  std::optional<std::uint64_t> if_version{};  // twin etag; nullopt = any
};

class Registry {
 public:
  Registry(Clock& clock, TwinObserver& observer, RegistryDoors doors, twin::Limits limits = {});

  /// A module needs its device. Errors: conflict, invalid_argument, not_found, too_many (modules of one device).
  [[nodiscard]] Result<store::DeviceIdentity> create(store::Records& records, const NewIdentity& wanted) const;
  /// Live connections end when the identity was disabled or proves itself otherwise now. Errors: not_found,
  /// precondition_failed, invalid_argument.
  [[nodiscard]] Result<store::DeviceIdentity> update(store::Records& records, const NewIdentity& wanted,
                                                     std::optional<std::uint64_t> if_etag) const;
  /// A device goes with its modules. Errors: not_found, precondition_failed.
  [[nodiscard]] Result<void> remove(store::Records& records, const IdentityId& id,
                                    std::optional<std::uint64_t> if_etag) const;
  /// Answers with the twin after the change and after what the observer made of it. Pushes of one transaction leave in
  /// the order of their versions, also when the observer calls this again. Errors: not_found, precondition_failed,
  /// invalid_argument, too_large.
  [[nodiscard]] Result<store::TwinRecord> change_twin(store::Records& records, const IdentityId& id,
                                                      const TwinChange& change) const;
  /// Whether change_twin() would take `change` of tags and desired for a twin that is as `record`; changes nothing.
  /// Errors: invalid_argument, too_large.
  [[nodiscard]] Result<void> check_change(store::TwinRecord record, const TwinChange& change) const;
  /// A device's own reported patch. `if_version`: the $version it believes in (precondition_failed when it is another).
  [[nodiscard]] Result<std::uint64_t> patch_reported(store::Records& records, const IdentityId& id,
                                                     const json::Object& patch,
                                                     std::optional<std::uint64_t> if_version) const;

 private:
  [[nodiscard]] Result<void> apply(store::TwinRecord& record, const TwinChange& change) const;

  Clock& clock_;
  TwinObserver& observer_;
  RegistryDoors doors_;
  twin::Limits limits_;
};

}  // namespace godwit::hub
