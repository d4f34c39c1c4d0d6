#include "server/service/inventory/compliance.hpp"

#include <algorithm>

namespace godwit::service {

std::vector<store::UpdateSummary> installable(const CompatibilitySet& device,
                                              const std::vector<store::UpdateSummary>& deployable) {
  std::vector<store::UpdateSummary> fitting;
  for (const store::UpdateSummary& update : deployable)
    if (update.is_deployable && matches_any(update.compatibility, device)) fitting.push_back(update);
  std::sort(fitting.begin(), fitting.end(), [](const store::UpdateSummary& a, const store::UpdateSummary& b) {
    if (a.id.version != b.id.version) return b.id.version < a.id.version;
    return a.id < b.id;
  });
  return fitting;
}

Compliance& Compliance::operator+=(const Compliance& other) {
  total += other.total;
  on_latest += other.on_latest;
  new_available += other.new_available;
  in_progress += other.in_progress;
  return *this;
}

Compliance compliance_of(const store::FleetCount& count, const BestUpdates& best) {
  if (!count.class_id) return {};
  Compliance compliance{.total = count.devices};
  const auto found = best.find(*count.class_id);
  if (found == best.end() || count.installed == found->second.id)
    compliance.on_latest = count.devices;
  else if (count.state == DeviceState::in_progress && count.attempted == found->second.id)
    compliance.in_progress = count.devices;
  else
    compliance.new_available = count.devices;
  return compliance;
}

Compliance compliance_of(const std::vector<store::FleetCount>& counts, const BestUpdates& best) {
  Compliance sum;
  for (const store::FleetCount& count : counts) sum += compliance_of(count, best);
  return sum;
}

}  // namespace godwit::service
