// How a device that knows nothing yet comes to a service: one URL names the service, the fingerprint of its authority
// and the key of an enrollment group. Functions without state; fetch_enrolment() blocks and uses the network.
#pragma once

#include <string>
#include <string_view>

#include "core/base/clock.hpp"
#include "core/base/error.hpp"
#include "core/base/secret.hpp"

namespace godwit::agent {

inline constexpr std::size_t kEnrolmentUrlLimit = 1024;

/// "https://host:port#FINGERPRINT-KEY": SHA-256 of the authority's certificate and the group's key, both in hex.
struct EnrolmentUrl {
  std::string host{};
  std::string port = "8443";
  std::string authority{};  // 32 bytes
  Secret group_key{};
};
/// Errors: invalid_argument with what is missing. What it says never holds the key.
[[nodiscard]] Result<EnrolmentUrl> parse_enrolment_url(std::string_view text);

/// What the service says of itself to devices.
struct Enrolment {
  std::string ca_pem{};
  std::string trust_anchors{};  // as in trust-anchors.json
  std::string id_scope{};
  std::int64_t hub_port = 8883;
};
/// Errors: bad_json or invalid_argument naming the member; refused when its authority is not the one of the URL, or not
/// alone.
[[nodiscard]] Result<Enrolment> parse_enrolment(std::string_view text, const EnrolmentUrl& url);
/// GET over TLS, where only the authority of the URL is believed. Errors: network_failed, tls_failed, timed_out, and
/// parse_enrolment()'s.
[[nodiscard]] Result<Enrolment> fetch_enrolment(const EnrolmentUrl& url, const Clock& clock, Duration patience);

struct DeviceWords {
  std::string registration_id{};
  std::string manufacturer{};
  std::string model{};
};
/// agent.toml and installer.toml of such a device; the files that they name lie beside them.
[[nodiscard]] std::string print_agent_toml(const EnrolmentUrl& url, const Enrolment& service, const DeviceWords& words);
[[nodiscard]] std::string print_installer_toml(const DeviceWords& words);

}  // namespace godwit::agent
