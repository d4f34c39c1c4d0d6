#include "device/agent/proxy.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>

#include "core/base/text.hpp"
#include "device/agent/http_answer.hpp"

namespace godwit::agent {
namespace {

constexpr ByteCount kCredentialsLimit = 4096;
constexpr std::string_view kScheme = "http://";

/// An address as 16 bytes (IPv4 mapped), so that both kinds compare alike.
std::optional<std::array<unsigned char, 16>> address_bytes(const std::string& text) {
  std::array<unsigned char, 16> bytes{};
  if (::inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1) return bytes;
  bytes[10] = bytes[11] = 0xff;
  if (::inet_pton(AF_INET, text.c_str(), bytes.data() + 12) == 1) return bytes;
  return std::nullopt;
}

bool is_in_network(const std::string& network, const std::string& host) {
  const auto slash = network.find('/');
  const auto base = address_bytes(network.substr(0, slash));
  const auto address = address_bytes(host);
  if (!base || !address) return false;
  unsigned bits = 128;
  if (slash != std::string::npos) {
    const bool is_short = network.find(':') == std::string::npos;
    const auto wanted = to_number<unsigned>(std::string_view(network).substr(slash + 1));
    if (!wanted || *wanted > (is_short ? 32U : 128U)) return false;
    bits = *wanted + (is_short ? 96U : 0U);
  }
  for (unsigned bit = 0; bit < bits; ++bit) {
    const auto mask = static_cast<unsigned char>(0x80U >> (bit % 8));
    if (((*base)[bit / 8] & mask) != ((*address)[bit / 8] & mask)) return false;
  }
  return true;
}

std::string_view without_brackets(std::string_view host) {
  return host.size() > 2 && host.front() == '[' && host.back() == ']' ? host.substr(1, host.size() - 2) : host;
}

bool matches(std::string_view item, const std::string& host) {
  if (item == "*") return true;
  if (is_in_network(std::string(without_brackets(item)), host)) return true;
  if (item.starts_with("*.")) item.remove_prefix(1);
  if (item.starts_with('.')) item.remove_prefix(1);
  if (item.empty() || item.size() > host.size()) return false;
  const auto tail = std::string_view(host).substr(host.size() - item.size());
  return equal_in_any_case(tail, item) && (tail.size() == host.size() || host[host.size() - item.size() - 1] == '.');
}

Result<Proxy> parse_proxy(std::string_view url, std::string_view where) {
  const auto refuse = [&](std::string_view why) {
    return fail(Code::invalid_argument, std::string(where) + ": " + std::string(why) +
                                            "; write it like \"http://proxy.example:3128\" (or with user:password@ "
                                            "before the name)");
  };
  if (url.find("://") != std::string_view::npos) {
    if (!equal_in_any_case(url.substr(0, kScheme.size()), kScheme))
      return refuse("only proxies with the scheme http are spoken to");
    url.remove_prefix(kScheme.size());
  }
  url = url.substr(0, url.find('/'));
  Proxy proxy;
  if (const auto at = url.rfind('@'); at != std::string_view::npos) {
    const auto credentials = percent_decode(url.substr(0, at));
    if (!credentials) return refuse("user and password have a broken %-sequence");
    proxy.authorization = Secret("Basic " + base64_encode(*credentials));
    url.remove_prefix(at + 1);
  }
  const auto bracket = url.starts_with('[') ? url.find(']') : 0;
  if (bracket == std::string_view::npos) return refuse("the address has no closing bracket");
  const auto colon = url.find(':', bracket);
  proxy.host = without_brackets(url.substr(0, colon));
  proxy.port = colon == std::string_view::npos ? "80" : std::string(url.substr(colon + 1));
  const auto port = to_number<unsigned>(proxy.port);
  if (proxy.host.empty()) return refuse("it has no name");
  if (!port || *port == 0 || *port > 65535) return refuse("its port is no number from 1 to 65535");
  return proxy;
}

/// One line as it may stand in an HTTP request.
bool is_one_line(std::string_view text) { return text.find_first_of(std::string_view("\r\n\0", 3)) == text.npos; }

}  // namespace

bool is_exception(std::string_view exceptions, const std::string& host) {
  while (!exceptions.empty()) {
    const auto end = std::min(exceptions.find_first_of(", "), exceptions.size());
    const auto item = trimmed(exceptions.substr(0, end));
    exceptions.remove_prefix(std::min(end + 1, exceptions.size()));
    if (!item.empty() && matches(item, host)) return true;
  }
  return false;
}

Result<std::optional<Proxy>> proxy_for(const ProxyRules& rules, const std::string& host) {
  if (rules.url == "none") return std::optional<Proxy>{};
  if (!rules.url.empty()) {
    GODWIT_TRY(auto proxy, parse_proxy(rules.url, "connection.proxy"));
    if (!rules.credentials_file.empty()) {
      GODWIT_TRY(const auto text, read_file(rules.credentials_file, kCredentialsLimit));
      const auto line = trimmed(text);
      if (line.find(':') == std::string_view::npos || !is_one_line(line))
        return fail(Code::invalid_argument,
                    rules.credentials_file.string() + " does not hold one line \"user:password\"");
      proxy.authorization = Secret("Basic " + base64_encode(line));
    }
    return std::optional<Proxy>{std::move(proxy)};
  }
  if (rules.environment_url.empty() || is_exception(rules.exceptions, host)) return std::optional<Proxy>{};
  GODWIT_TRY(auto proxy, parse_proxy(rules.environment_url, "https_proxy"));
  return std::optional<Proxy>{std::move(proxy)};
}

std::string connect_request(const Proxy& proxy, const std::string& host, const std::string& port) {
  const std::string where = (host.find(':') != std::string::npos ? "[" + host + "]" : host) + ":" + port;
  std::string request = "CONNECT " + where + " HTTP/1.1\r\nHost: " + where + "\r\n";
  if (!proxy.authorization.empty()) request += "Proxy-Authorization: " + proxy.authorization.reveal() + "\r\n";
  return request + "\r\n";
}

Result<void> check_connect_answer(std::string_view head) {
  GODWIT_TRY(const auto answer, parse_http_answer(head));
  if (answer.status >= 200 && answer.status <= 299) return {};
  const std::string said = "the proxy says " + std::to_string(answer.status) + " " + answer.reason + ": ";
  switch (answer.status) {
    case 401:  // some say this to a wrong password
    case 407: return fail(Code::refused, said + "it wants a user and a password (connection.proxy_credentials_file)");
    case 403:
    case 405:
      return fail(Code::refused, said +
                                     "it does not let this device through to that port; connection.transport = "
                                     "\"websocket\" goes to port 443");
    case 429:
    case 503: return fail(Code::unavailable, said + "it has no time now");
    case 502:
    case 504: return fail(Code::network_failed, said + "it does not reach the hub");
    default: return fail(Code::refused, said + "no way was opened");
  }
}

}  // namespace godwit::agent
