#include "tools/fleet/addresses.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

namespace godwit::fleet {
namespace {

constexpr std::size_t kHostsPerBlock = 254;  // .1 to .254

/// Position among the usable addresses of 127.0.0.0/8, and back.
std::size_t position_of(Ip4 address) { return ((address >> 8) & 0xFFFFU) * kHostsPerBlock + (address & 0xFFU) - 1; }
Ip4 at_position(std::size_t position) {
  const auto block = static_cast<Ip4>(position / kHostsPerBlock);
  return (127U << 24) | (block << 8) | static_cast<Ip4>(position % kHostsPerBlock + 1);
}

}  // namespace

Result<Ip4> parse_ip4(std::string_view text) {
  in_addr parsed{};
  if (inet_pton(AF_INET, std::string(text).c_str(), &parsed) != 1)
    return fail(Code::invalid_argument, fmt::format("'{}' is no IPv4 address", text));
  return ntohl(parsed.s_addr);
}

std::string print_ip4(Ip4 address) {
  return fmt::format("{}.{}.{}.{}", address >> 24, (address >> 16) & 0xFF, (address >> 8) & 0xFF, address & 0xFF);
}

bool is_loopback(Ip4 address) { return address >> 24 == 127; }

Result<SourceAddresses> SourceAddresses::make(Ip4 first, std::size_t devices_per_address, std::size_t devices) {
  const Ip4 host = first & 0xFFU;
  if (!is_loopback(first) || host == 0 || host == 255)
    return fail(Code::invalid_argument,
                fmt::format("source address {} is not one of 127.x.y.1 to 127.x.y.254", print_ip4(first)));
  if (devices_per_address == 0) return fail(Code::invalid_argument, "0 devices for each source address");
  const std::size_t needed = (devices + devices_per_address - 1) / devices_per_address;
  if (position_of(first) + needed > (std::size_t{1} << 16) * kHostsPerBlock)
    return fail(Code::invalid_argument, fmt::format("{} devices with {} for each address do not fit after {}", devices,
                                                    devices_per_address, print_ip4(first)));
  return SourceAddresses(first, devices_per_address);
}

Ip4 SourceAddresses::of(std::size_t device) const {
  return at_position(position_of(first_) + device / devices_per_address_);
}

}  // namespace godwit::fleet
