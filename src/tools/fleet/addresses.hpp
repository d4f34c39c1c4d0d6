// Where virtual devices dial from: many addresses of the loopback range, because one pair of addresses has only some
// 28,000 ports for outgoing connections and a hub counts connections by address. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/error.hpp"

namespace godwit::fleet {

/// An IPv4 address in host byte order.
using Ip4 = std::uint32_t;

/// "127.10.0.1". Errors: invalid_argument.
[[nodiscard]] Result<Ip4> parse_ip4(std::string_view text);
[[nodiscard]] std::string print_ip4(Ip4 address);
[[nodiscard]] bool is_loopback(Ip4 address);

class SourceAddresses {
 public:
  /// Devices get `first` and the addresses that follow it, `devices_per_address` each. Addresses that end in 0 or 255
  /// are left out. Errors: invalid_argument outside 127.0.0.0/8, for 0 devices each, or when `devices` do not fit.
  [[nodiscard]] static Result<SourceAddresses> make(Ip4 first, std::size_t devices_per_address, std::size_t devices);
  /// Same index, same address.
  [[nodiscard]] Ip4 of(std::size_t device) const;

 private:
  SourceAddresses(Ip4 first, std::size_t each) : first_(first), devices_per_address_(each) {}
  Ip4 first_;
  std::size_t devices_per_address_;
};

}  // namespace godwit::fleet
