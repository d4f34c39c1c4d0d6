// The proxy through which the hub is reached: chosen from configuration and environment, asked with HTTP CONNECT.
// TLS goes through it end to end: a proxy sees names and counts bytes, and cannot read or change them.
// Functions without state; safe from any thread. They read the file with credentials.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "core/base/secret.hpp"

namespace godwit::agent {

/// What configuration and environment say, before a host is known.
struct ProxyRules {
  std::string url{};        // "http://[user:password@]host[:port]"; "none": no proxy; "": what the environment says
  Path credentials_file{};  // "user:password", for `url`; read anew for every connection
  std::string environment_url{};  // https_proxy
  std::string exceptions{};       // no_proxy; only for environment_url
};

struct Proxy {
  std::string host;
  std::string port;
  Secret authorization{};  // value of Proxy-Authorization; empty without credentials
};

/// The proxy for `host`, nullopt for a direct way. Errors: invalid_argument (not a proxy URL; the message does not
/// repeat a password), not_found, io_failed (credentials_file).
[[nodiscard]] Result<std::optional<Proxy>> proxy_for(const ProxyRules& rules, const std::string& host);

/// True when `exceptions`, as in no_proxy, name `host`: names and everything below them, addresses, networks
/// ("10.0.0.0/8", "fd00::/8"), "*".
[[nodiscard]] bool is_exception(std::string_view exceptions, const std::string& host);

/// The whole request for a way to host:port.
[[nodiscard]] std::string connect_request(const Proxy& proxy, const std::string& host, const std::string& port);
/// `head`: the proxy's answer up to its empty line. Errors: refused with the status and what to do (401, 407:
/// credentials, 403 and 405: the proxy does not let this port through), unavailable (503, 429), network_failed (502,
/// 504: the proxy does not reach the hub), bad_packet.
[[nodiscard]] Result<void> check_connect_answer(std::string_view head);

}  // namespace godwit::agent
