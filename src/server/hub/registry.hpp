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
using PushDesired = std::function<void(const DeviceId& id, std::string payload, std::uint64_t version)>;
/// Ends live connections of a device whose identity was removed, disabled or got new keys. Any thread.
using DropDevice = std::function<void(const DeviceId& id, std::string reason)>;

struct NewIdentity {
  DeviceId id;
  bool is_enabled = true;
  std::string status_reason{};
  std::string primary_key{};  // raw bytes; empty = generated
  std::string secondary_key{};
};
struct TwinChange {
  std::optional<json::Object> tags{};
  std::optional<json::Object> desired{};
  bool is_replace = false;                    // PUT: given sections are replaced whole
  std::optional<std::uint64_t> if_version{};  // twin etag; nullopt = any
};

class Registry {
 public:
  Registry(Clock& clock, TwinObserver& observer, PushDesired push, DropDevice drop, twin::Limits limits = {});

  [[nodiscard]] Result<store::DeviceIdentity> create(store::Records& records,
                                                     const NewIdentity& wanted) const;  // conflict
  [[nodiscard]] Result<store::DeviceIdentity> update(
      store::Records& records, const NewIdentity& wanted,
      std::optional<std::uint64_t> if_etag) const;  // not_found, precondition_failed
  [[nodiscard]] Result<void> remove(store::Records& records, const DeviceId& id,
                                    std::optional<std::uint64_t> if_etag) const;
  /// Errors: not_found, precondition_failed, invalid_argument, too_large.
  [[nodiscard]] Result<store::TwinRecord> change_twin(store::Records& records, const DeviceId& id,
                                                      const TwinChange& change) const;
  /// A device's own reported patch. `if_version`: the $version it believes in (precondition_failed when it is another).
  [[nodiscard]] Result<std::uint64_t> patch_reported(store::Records& records, const DeviceId& id,
                                                     const json::Object& patch,
                                                     std::optional<std::uint64_t> if_version) const;

 private:
  Clock& clock_;
  TwinObserver& observer_;
  PushDesired push_;
  DropDevice drop_;
  twin::Limits limits_;
};

}  // namespace godwit::hub
