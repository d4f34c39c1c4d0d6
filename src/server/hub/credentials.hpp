// Whether a CONNECT may come in: pure checks of protocol, names and token, apart from where the identity comes from.
// Pure; safe from any thread.
#pragma once

#include <optional>
#include <set>
#include <string>

#include "core/base/clock.hpp"
#include "core/mqtt/packets.hpp"
#include "core/trust/sas.hpp"
#include "server/hub/user_name.hpp"
#include "server/store/device_records.hpp"

namespace godwit::hub {

struct Refusal {
  mqtt::ConnectReturn code = mqtt::ConnectReturn::not_authorized;
  std::string reason;  // for the log; a peer learns the code only
};
/// A claim that is well formed; the key or the certificate is still to be tried.
struct Claim {
  UserName name;
  std::optional<trust::SasToken> token{};  // nullopt: the client certificate has to do
};

/// Hub names in lower case, each also as "name:port" where devices dial a port that is not the usual one.
class HubNames {
 public:
  explicit HubNames(const std::vector<std::string>& names);
  [[nodiscard]] bool contains(std::string_view name) const;

 private:
  std::set<std::string> names_;
};

/// Everything that needs no key: protocol level (code 1), user name, client id, hub name, token form, scope, expiry
/// (code 5). Without a password the peer must have shown a certificate.
[[nodiscard]] tl::expected<Claim, Refusal> check_connect(const mqtt::Connect& connect, const HubNames& names,
                                                         WallTime now, Duration slack, bool has_certificate = false);
/// "" when the key holds and the device is enabled, else the reason.
[[nodiscard]] std::string check_key(const Claim& claim, const store::DeviceIdentity& identity);

}  // namespace godwit::hub
