// Which updates a class could have, which is the best of them, and how far a fleet is from it. All published updates
// count, whether they are deployed or not. Pure functions; safe from any thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "core/model/compatibility.hpp"
#include "server/store/store.hpp"

namespace godwit::service {

/// Deployable updates that fit the class, best first: highest version, then by id so that the order is one.
[[nodiscard]] std::vector<store::UpdateSummary> installable(const CompatibilitySet& device,
                                                            const std::vector<store::UpdateSummary>& deployable);

struct Compliance {
  std::uint64_t total = 0;
  std::uint64_t on_latest = 0;
  std::uint64_t new_available = 0;
  std::uint64_t in_progress = 0;
  Compliance& operator+=(const Compliance& other);
  friend bool operator==(const Compliance&, const Compliance&) = default;
};

/// The best update of each class that has one.
using BestUpdates = std::map<DeviceClassId, store::UpdateSummary>;

/// What one counter means: a device is on the latest when it has the best update or none fits it; in progress when a
/// deployment is delivering the best one; else there is a new update for it. Devices without a class count nowhere.
[[nodiscard]] Compliance compliance_of(const store::FleetCount& count, const BestUpdates& best);
[[nodiscard]] Compliance compliance_of(const std::vector<store::FleetCount>& counts, const BestUpdates& best);

}  // namespace godwit::service
