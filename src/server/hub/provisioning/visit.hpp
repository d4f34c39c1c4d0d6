// A provisioning visit: a connection of a device that has no identity yet. Whether its CONNECT may come in (all that
// needs no records), and what its topics ask for. Pure; safe from any thread.
#pragma once

#include <string>
#include <string_view>

#include "core/base/clock.hpp"
#include "core/mqtt/packets.hpp"
#include "core/trust/sas.hpp"
#include "server/hub/credentials.hpp"
#include "server/hub/provisioning/registration_id.hpp"

namespace godwit::hub {

struct VisitClaim {
  ProvisioningUserName name{};
  std::optional<trust::SasToken> token{};  // nullopt: the client certificate has to do
};

/// Protocol level, user name, client id, id scope, and the token's form, scope and expiry. Without a password the peer
/// must have shown a certificate.
[[nodiscard]] tl::expected<VisitClaim, Refusal> check_visit(const mqtt::Connect& connect, std::string_view id_scope,
                                                            bool has_certificate, WallTime now, Duration slack);

inline constexpr std::string_view kProvisioningFilter = "$dps/registrations/res/#";

struct VisitTopic {
  enum class Request : std::uint8_t { unknown, put_registration, get_status };
  Request request = Request::unknown;
  std::string request_id{};    // $rid exactly as it was written
  std::string operation_id{};  // of get_status
};
[[nodiscard]] VisitTopic read_visit_topic(std::string_view topic);

/// `$dps/registrations/res/{status}/?$rid={rid}[&retry-after={seconds}]`.
[[nodiscard]] std::string visit_answer_topic(int status, std::string_view request_id, int retry_after_seconds = 0);

/// Checks {"registrationId":"..",...}; other members are for allocation policies that do not exist here. A TPM is
/// refused, since it cannot attest over MQTT. Errors: bad_json, invalid_argument, unsupported.
[[nodiscard]] Result<void> check_registration_request(std::string_view body, std::string_view registration_id,
                                                      std::size_t limit);

}  // namespace godwit::hub
