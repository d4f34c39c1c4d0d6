#include "server/hub/admission.hpp"

namespace godwit::hub {

Admission::Verdict Admission::enter(const std::string& address, Duration now) {
  if (connections_ >= limits_.connections) return Verdict::too_many;
  const auto known = addresses_.find(address);
  if (known == addresses_.end() && addresses_.size() >= limits_.connections + limits_.tracked_addresses)
    return Verdict::too_many;
  Address& entry = known == addresses_.end() ? addresses_[address] : known->second;
  if (now < entry.shut_until) return Verdict::shut_out;
  if (entry.connections >= limits_.connections_per_address) return Verdict::too_many_of_address;
  if (!entry.connects.take(now, limits_.connects_per_address, limits_.connects_burst_of_address))
    return Verdict::too_fast;
  ++entry.connections;
  ++connections_;
  return Verdict::welcome;
}

void Admission::leave(const std::string& address) {
  const auto known = addresses_.find(address);
  if (known == addresses_.end() || known->second.connections == 0) return;
  --known->second.connections;
  --connections_;
  // The sweep forgets addresses without connections once nothing of their past matters.
}

bool Admission::note_bad_credentials(const std::string& address, Duration now) {
  auto known = addresses_.find(address);
  if (known == addresses_.end()) {
    if (addresses_.size() >= limits_.tracked_addresses) return false;
    known = addresses_.try_emplace(address).first;
  }
  Address& entry = known->second;
  if (now >= entry.window_end) {
    entry.window_end = now + limits_.bad_credentials_window;
    entry.failures = 0;
  }
  if (++entry.failures < limits_.bad_credentials_per_address || now < entry.shut_until) return false;
  entry.shut_until = now + limits_.bad_credentials_pause;
  entry.failures = 0;
  entry.window_end = entry.shut_until;
  return true;
}

void Admission::sweep(Duration now) {
  std::erase_if(addresses_, [&](const auto& item) { return is_forgettable(item.second, now); });
}

bool Admission::is_forgettable(const Address& address, Duration now) const {
  return address.connections == 0 && now >= address.window_end && now >= address.shut_until &&
         address.connects.is_full(now, limits_.connects_per_address, limits_.connects_burst_of_address);
}

}  // namespace godwit::hub
