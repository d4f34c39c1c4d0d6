#include "server/hub/admission.hpp"

namespace godwit::hub {

Admission::Verdict Admission::enter(const std::string& address, Duration now) {
  if (connections_ >= limits_.connections) return Verdict::too_many;
  const auto known = addresses_.find(address);
  if (known != addresses_.end()) {
    if (now < known->second.shut_until) return Verdict::shut_out;
    if (known->second.connections >= limits_.connections_per_address) return Verdict::too_many_of_address;
  }
  ++addresses_[address].connections;
  ++connections_;
  return Verdict::welcome;
}

void Admission::leave(const std::string& address) {
  const auto known = addresses_.find(address);
  if (known == addresses_.end() || known->second.connections == 0) return;
  --known->second.connections;
  --connections_;
  if (known->second.connections == 0 && known->second.window_end == Duration{})
    addresses_.erase(known);  // without a past; the sweep takes the others
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
  std::erase_if(addresses_, [now](const auto& item) {
    return item.second.connections == 0 && now >= item.second.window_end && now >= item.second.shut_until;
  });
}

}  // namespace godwit::hub
