#include "device/agent/enrolment.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/bytes.hpp"
#include "core/base/json.hpp"
#include "core/base/text.hpp"
#include "core/model/text.hpp"
#include "core/trust/certificates.hpp"
#include "core/trust/root_keys.hpp"
#include "device/agent/http_answer.hpp"
#include "device/agent/tls_connection.hpp"
#include "device/agent/wakeable.hpp"

namespace godwit::agent {
namespace {

constexpr std::size_t kDigestBytes = 32;
constexpr std::size_t kLeastKeyBytes = 16;
constexpr std::size_t kMostKeyBytes = 64;
constexpr std::size_t kAnswerLimit = 256 * 1024;
constexpr std::int64_t kLargestPort = 65535;
constexpr std::string_view kScheme = "https://";
constexpr std::string_view kCertificateBegin = "-----BEGIN ";

Error bad_url(std::string_view what) {
  return {Code::invalid_argument,
          fmt::format("the URL of the enrolment {}; give it whole and in quotes, as the service printed it: "
                      "'https://host:8443#FINGERPRINT-KEY'",
                      what)};
}

/// A name or an address: what may stand in a header and in a certificate.
bool is_host(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return is_ascii_alphanumeric(c) || std::string_view("-._:%").find(c) != std::string_view::npos;
  });
}

std::string in_brackets(const std::string& host) {
  return host.find(':') == std::string::npos ? host : "[" + host + "]";
}

std::string toml_text(std::string_view text) { return json::print(json::Value(boost::json::string(text))); }

class Exchange {
 public:
  Exchange(const Clock& clock, Duration patience) : clock_(clock), end_(clock.monotonic() + patience), waiter_(clock) {}

  Result<std::string> get(const TlsTarget& target, std::string_view path) {
    GODWIT_TRY_VOID(waiter_.open());
    GODWIT_TRY(const auto connection, TlsConnection::open(target));
    for (;;) {
      GODWIT_TRY(const bool is_open, connection->proceed());
      if (is_open) break;
      GODWIT_TRY_VOID(wait(*connection, target));
    }
    std::string request = fmt::format("GET {} HTTP/1.1\r\nHost: {}:{}\r\nConnection: close\r\n\r\n", path,
                                      in_brackets(target.tls_name), target.port);
    while (!request.empty()) {
      GODWIT_TRY(const std::size_t sent, connection->write(request));
      request.erase(0, sent);
      if (sent == 0) GODWIT_TRY_VOID(wait(*connection, target));
    }
    std::string answer;
    for (;;) {
      const auto got = connection->read(answer, kAnswerLimit);
      if (answer.size() >= kAnswerLimit) return fail(Code::too_large, "the service's answer is too long");
      GODWIT_TRY(const bool is_whole, take_body(answer));
      if (is_whole) return body_;
      if (!got) return with_context("before its answer was whole", got.error());
      GODWIT_TRY_VOID(wait(*connection, target));
    }
  }

 private:
  Result<void> wait(const TlsConnection& connection, const TlsTarget& target) const {
    while (clock_.monotonic() < end_)
      if (waiter_.wait(connection.fd(), connection.wanted(), end_)) return {};
    return fail(Code::timed_out, fmt::format("{}:{} did not answer in time", target.host, target.port));
  }

  /// True when head and body are there. Errors: network_failed for another status or form.
  Result<bool> take_body(const std::string& answer) {
    const auto end = answer.find("\r\n\r\n");
    if (end == std::string::npos) return false;
    GODWIT_TRY(const HttpAnswer head, parse_http_answer(std::string_view(answer).substr(0, end + 4)));
    if (head.status != 200)
      return fail(Code::network_failed,
                  fmt::format("the service answered {} {}: is it a Godwit service?", head.status, head.reason));
    const auto length = to_number<std::uint64_t>(head.field("content-length"));
    if (!length) return fail(Code::network_failed, "the service's answer has no length");
    if (answer.size() - end - 4 < *length) return false;
    body_ = answer.substr(end + 4, *length);
    return true;
  }

  const Clock& clock_;
  Duration end_;
  Wakeable waiter_;
  std::string body_{};
};

}  // namespace

Result<EnrolmentUrl> parse_enrolment_url(std::string_view text) {
  EnrolmentUrl url;
  if (text.size() > kEnrolmentUrlLimit) return tl::unexpected<Error>{bad_url("is too long")};
  if (!text.starts_with(kScheme)) return tl::unexpected<Error>{bad_url("does not begin with https://")};
  text.remove_prefix(kScheme.size());
  const auto hash = text.find('#');
  const auto dash = hash == std::string_view::npos ? hash : text.find('-', hash);
  if (dash == std::string_view::npos) return tl::unexpected<Error>{bad_url("has no part after #")};
  std::string_view place = text.substr(0, hash);
  if (place.ends_with('/')) place.remove_suffix(1);
  const auto bracket = place.rfind(']');
  const auto colon = place.rfind(':');
  if (colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket)) {
    const auto port = to_number<std::int64_t>(place.substr(colon + 1));
    if (!port || *port < 1 || *port > kLargestPort) return tl::unexpected<Error>{bad_url("has a port out of range")};
    url.port = std::to_string(*port);
    place = place.substr(0, colon);
  }
  if (place.starts_with('[') && place.ends_with(']')) place = place.substr(1, place.size() - 2);
  if (!is_host(place)) return tl::unexpected<Error>{bad_url("names no host alone")};
  url.host = place;
  const auto authority = hex_decode(text.substr(hash + 1, dash - hash - 1));
  const auto key = hex_decode(text.substr(dash + 1));
  if (!authority || authority->size() != kDigestBytes)
    return tl::unexpected<Error>{bad_url("has a fingerprint that is not 64 hex digits")};
  if (!key || key->size() < kLeastKeyBytes || key->size() > kMostKeyBytes)
    return tl::unexpected<Error>{bad_url("has a key that is not 32 to 128 hex digits")};
  url.authority = *authority;
  url.group_key = Secret(*key);
  return url;
}

Result<Enrolment> parse_enrolment(std::string_view text, const EnrolmentUrl& url) {
  constexpr std::string_view kWhere = "the service's enrolment";
  GODWIT_TRY(const json::Object object, json::parse_object(text, {.bytes = kAnswerLimit, .depth = 8}));
  Enrolment service;
  GODWIT_TRY(service.ca_pem, json::text(object, "ca", kWhere));
  GODWIT_TRY(service.trust_anchors, json::text(object, "trustAnchors", kWhere));
  GODWIT_TRY(service.id_scope, json::text(object, "idScope", kWhere));
  GODWIT_TRY(service.hub_port, json::integer(object, "hubPort", kWhere));
  if (service.hub_port < 1 || service.hub_port > kLargestPort)
    return fail(Code::invalid_argument, "the service's enrolment has a port out of range");
  // Else what stands behind the authority of the URL would be believed as well.
  if (service.ca_pem.find(kCertificateBegin, kCertificateBegin.size()) != std::string::npos)
    return fail(Code::refused, "the service names more than one authority, but the URL vouches for one");
  GODWIT_TRY(const std::string fingerprint, trust::certificate_fingerprint(service.ca_pem));
  if (fingerprint != url.authority)
    return fail(Code::refused, "the service's authority is not the one whose fingerprint is in the URL");
  if (auto anchors = trust::TrustAnchors::parse(service.trust_anchors); !anchors)
    return with_context("the service's trust anchors", anchors.error());
  return service;
}

Result<Enrolment> fetch_enrolment(const EnrolmentUrl& url, const Clock& clock, Duration patience) {
  TlsTarget target;
  target.host = target.tls_name = url.host;
  target.port = url.port;
  target.authority = url.authority;
  GODWIT_TRY(const std::string body, Exchange(clock, patience).get(target, "/enrolment"));
  return parse_enrolment(body, url);
}

std::string print_agent_toml(const EnrolmentUrl& url, const Enrolment& service, const DeviceWords& words) {
  return fmt::format(
      "# Written by godwit-agent enrol. All keys with their defaults: godwit-agent --print-config\n"
      "[hub]\nkey_file = \"device.key\"\nca_file = \"ca.pem\"\n\n"
      "[provisioning]\nid_scope = {}\nhost = {}\nport = {}\nregistration_id = {}\n\n"
      "[device]\nmanufacturer = {}\nmodel = {}\n",
      toml_text(service.id_scope), toml_text(url.host), service.hub_port, toml_text(words.registration_id),
      toml_text(words.manufacturer), toml_text(words.model));
}

std::string print_installer_toml(const DeviceWords& words) {
  return fmt::format(
      "# Written by godwit-agent enrol. All keys with their defaults: godwit-installer --print-config\n"
      "[device]\nmanufacturer = {}\nmodel = {}\n",
      toml_text(words.manufacturer), toml_text(words.model));
}

}  // namespace godwit::agent
