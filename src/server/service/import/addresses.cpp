#include "server/service/import/addresses.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <span>

namespace godwit::service {
namespace {

struct Range4 {
  std::uint32_t network;
  unsigned bits;
};

/// IANA IPv4 special-purpose registry (RFC 6890 and later).
constexpr auto kSpecial4 = std::to_array<Range4>({
    {0x00000000, 8},   // this network
    {0x0A000000, 8},   // private
    {0x64400000, 10},  // carrier-grade NAT, RFC 6598
    {0x7F000000, 8},   // loopback
    {0xA9FE0000, 16},  // link-local; cloud metadata lives at 169.254.169.254
    {0xAC100000, 12},  // private
    {0xC0000000, 24},  // IETF protocol assignments
    {0xC0000200, 24},  // documentation
    {0xC0586300, 24},  // 6to4 relay anycast
    {0xC0A80000, 16},  // private
    {0xC6120000, 15},  // benchmarking
    {0xC6336400, 24},  // documentation
    {0xCB007100, 24},  // documentation
    {0xE0000000, 4},   // multicast
    {0xF0000000, 4},   // reserved, broadcast
});

bool is_public4(std::uint32_t address) {
  return std::none_of(kSpecial4.begin(), kSpecial4.end(),
                      [address](const Range4& range) { return (address ^ range.network) >> (32 - range.bits) == 0; });
}

using Bytes16 = std::array<std::uint8_t, 16>;

std::uint32_t embedded4(const Bytes16& bytes, std::size_t at) {
  return (std::uint32_t{bytes[at]} << 24U) | (std::uint32_t{bytes[at + 1]} << 16U) |
         (std::uint32_t{bytes[at + 2]} << 8U) | bytes[at + 3];
}

bool begins_with(const Bytes16& bytes, std::initializer_list<std::uint8_t> prefix) {
  return std::equal(prefix.begin(), prefix.end(), bytes.begin());
}

bool is_public6(const Bytes16& bytes) {
  if (begins_with(bytes, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF}))
    return is_public4(embedded4(bytes, 12));  // mapped
  if (begins_with(bytes, {0x00, 0x64, 0xFF, 0x9B, 0, 0, 0, 0, 0, 0, 0, 0}))
    return is_public4(embedded4(bytes, 12));                                     // NAT64, RFC 6052
  if (begins_with(bytes, {0x20, 0x02})) return is_public4(embedded4(bytes, 2));  // 6to4
  if (begins_with(bytes, {0x20, 0x01, 0x00}) || begins_with(bytes, {0x20, 0x01, 0x0D, 0xB8}))
    return false;  // Teredo and others, documentation
  if (begins_with(bytes, {0x20, 0x01, 0x01})) return false;
  return (bytes[0] & 0xE0U) ==
         0x20U;  // only 2000::/3 is global unicast: ::1, fc00::/7, fe80::/10, ff00::/8 are outside
}

}  // namespace

bool is_public_address(const sockaddr& address) {
  if (address.sa_family == AF_INET) {
    sockaddr_in four{};
    std::memcpy(&four, &address, sizeof four);
    return is_public4(ntohl(four.sin_addr.s_addr));
  }
  if (address.sa_family == AF_INET6) {
    sockaddr_in6 six{};
    std::memcpy(&six, &address, sizeof six);
    Bytes16 bytes{};
    std::memcpy(bytes.data(), &six.sin6_addr, bytes.size());
    return is_public6(bytes);
  }
  return false;
}

}  // namespace godwit::service
