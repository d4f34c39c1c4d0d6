// What views look up again and again within one snapshot: updates by id, best updates by class. Lives as long as one
// read.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "server/service/inventory/compliance.hpp"
#include "server/store/store.hpp"

namespace godwit::service {

class Lookup {
 public:
  explicit Lookup(store::Records& records) : records_(records) {}
  /// {"updateId", "description"?, "friendlyName"?}; the id alone when the update is no longer there.
  [[nodiscard]] Result<json::Object> info(const UpdateId& id);
  /// Best updates of all classes.
  [[nodiscard]] Result<const BestUpdates*> best();
  [[nodiscard]] Result<std::optional<store::UpdateSummary>> best_of(const DeviceClassId& id);
  /// Installable updates of one class, best first.
  [[nodiscard]] Result<std::vector<store::UpdateSummary>> installable_for(const DeviceClassId& id);

 private:
  [[nodiscard]] Result<const std::vector<store::UpdateSummary>*> deployable();

  store::Records& records_;
  std::map<UpdateId, json::Object> infos_{};
  std::optional<std::vector<store::UpdateSummary>> deployable_{};
  std::optional<BestUpdates> best_{};
};

/// One value read out of one snapshot. `read` takes Records& and gives Result<Value>.
template <class Value, class Read>
[[nodiscard]] Result<Value> snapshot(store::Store& store, Read read) {
  std::optional<Value> value;
  const store::Store::Job job = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY(value, read(records));
    return {};
  };
  GODWIT_TRY_VOID(store.read(job));
  return *std::move(value);
}

/// deviceId, and moduleId of a module.
void put_identity(json::Object& object, const IdentityId& id);

/// The Device shape of the API.
[[nodiscard]] Result<json::Object> device_json(const store::FleetDevice& device, Lookup& lookup);

}  // namespace godwit::service
