// Which addresses the server may fetch from: an import URL is chosen by an operator, and must not reach what only the
// server can reach (loopback, the local network, a cloud's metadata service). Pure; safe from any thread.
#pragma once

#include <sys/socket.h>

namespace godwit::service {

/// False for everything but ordinary public unicast, also when it is wrapped in IPv6 (mapped, NAT64, 6to4, Teredo).
[[nodiscard]] bool is_public_address(const sockaddr& address);

}  // namespace godwit::service
