// What the hub asks of others. Wired in apps/godwitd; the hub never includes the service.
#pragma once

#include "core/base/error.hpp"
#include "core/model/ids.hpp"
#include "core/twin/twin.hpp"
#include "server/store/store.hpp"

namespace godwit::hub {

/// Told of every accepted change of a device or a module, inside the transaction that stores it: what the service
/// concludes is durable with it. Writer thread. An error rolls the change back, so return one only for a failure of the
/// store.
class TwinObserver {
 public:
  virtual ~TwinObserver() = default;
  [[nodiscard]] virtual Result<void> on_created(store::Records& records, const IdentityId& id) = 0;
  [[nodiscard]] virtual Result<void> on_removed(store::Records& records, const IdentityId& id) = 0;
  /// `twin` is the state after the change: tags and reported section; of the desired one only the version.
  [[nodiscard]] virtual Result<void> on_reported(store::Records& records, const IdentityId& id, const twin::Twin& twin,
                                                 const json::Object& patch) = 0;
  [[nodiscard]] virtual Result<void> on_tags(store::Records& records, const IdentityId& id, const twin::Twin& twin) = 0;
  /// The model announced at CONNECT is another one than at the last (or this is the first CONNECT).
  [[nodiscard]] virtual Result<void> on_model(store::Records& records, const IdentityId& id,
                                              const std::string& model_id) = 0;
};

}  // namespace godwit::hub
