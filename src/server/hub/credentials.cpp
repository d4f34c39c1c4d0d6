#include "server/hub/credentials.hpp"

#include "core/base/bytes.hpp"
#include "core/base/text.hpp"

namespace godwit::hub {
namespace {

tl::unexpected<Refusal> refuse(std::string reason, mqtt::ConnectReturn code = mqtt::ConnectReturn::not_authorized) {
  return tl::unexpected<Refusal>{Refusal{.code = code, .reason = std::move(reason)}};
}

/// `{hub}/devices/{id}` or `{hub}/devices/{id}/modules/{module}`; a token for a whole hub is not for devices.
std::string check_scope(const trust::SasToken& token, const UserName& name, const HubNames& names) {
  const auto slash = token.scope.find('/');
  if (slash == std::string::npos || !names.contains(std::string_view(token.scope).substr(0, slash)))
    return "the token is for another hub";
  const std::string rest = token.scope.substr(slash);
  std::string wanted = "/devices/" + std::string(name.identity.device_text());
  if (name.identity.is_module()) wanted += "/modules/" + std::string(name.identity.module_text());
  // Some clients encode the id once more inside the scope.
  if (rest != wanted && percent_decode(rest).value_or("") != wanted) return "the token is for another device";
  return {};
}

}  // namespace

HubNames::HubNames(const std::vector<std::string>& names) {
  for (const std::string& name : names) names_.insert(lower_case(name));
}

bool HubNames::contains(std::string_view name) const { return names_.contains(lower_case(name)); }

tl::expected<Claim, Refusal> check_connect(const mqtt::Connect& connect, const HubNames& names, WallTime now,
                                           Duration slack, bool has_certificate) {
  if (connect.protocol_name != "MQTT" || connect.protocol_level != 4)
    return refuse("protocol level " + std::to_string(connect.protocol_level) + " is not MQTT 3.1.1",
                  mqtt::ConnectReturn::bad_protocol);
  if (!connect.user_name) return refuse("there is no user name");
  auto name = parse_user_name(*connect.user_name);
  if (!name) return refuse(name.error().message);
  if (connect.client_id != name->identity.str())
    return refuse("the client id is not the device (or device/module) of the user name");
  if (!names.contains(name->hub)) return refuse("the hub name '" + name->hub + "' is not ours (add it to hub.names)");
  if (!connect.password || connect.password->empty()) {
    if (!has_certificate) return refuse("there is neither a password nor a client certificate");
    return Claim{.name = *std::move(name)};
  }
  auto token = trust::parse_sas(*connect.password);
  if (!token) return refuse(token.error().message);
  // What a token of a policy covers is judged together with the policy's key (policy_credentials.hpp).
  if (token->policy.empty())
    if (const std::string problem = check_scope(*token, *name, names); !problem.empty()) return refuse(problem);
  const std::int64_t now_seconds = to_unix_ms(now) / 1000;
  if (token->expiry <= now_seconds - slack.count() / 1000)
    return refuse("the token expired " + std::to_string(now_seconds - token->expiry) +
                  " s ago (is the device's clock right?)");
  return Claim{.name = *std::move(name), .token = *std::move(token)};
}

std::string check_key(const Claim& claim, const store::DeviceIdentity& identity) {
  if (identity.authentication != store::Authentication::sas)
    return "the device is registered with a certificate, not with keys";
  if (!claim.token) return "the device is registered with keys, and no token came";
  // Both keys are always tried, so that time tells nothing about which one is right.
  const bool is_primary = trust::sas_signature_holds(*claim.token, identity.primary_key.reveal());
  const bool is_secondary = trust::sas_signature_holds(*claim.token, identity.secondary_key.reveal());
  if (!is_primary && !is_secondary) return "the token was not signed with a key of this device";
  if (!identity.is_enabled) return "the device is disabled";
  return {};
}

}  // namespace godwit::hub
