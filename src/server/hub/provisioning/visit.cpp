#include "server/hub/provisioning/visit.hpp"

#include <algorithm>

#include "core/base/bytes.hpp"
#include "core/base/json.hpp"

namespace godwit::hub {
namespace {

constexpr std::string_view kPut = "$dps/registrations/PUT/iotdps-register/";
constexpr std::string_view kGet = "$dps/registrations/GET/iotdps-get-operationstatus/";
constexpr std::size_t kParameterLimit = 256;

tl::unexpected<Refusal> refuse(std::string reason, mqtt::ConnectReturn code = mqtt::ConnectReturn::not_authorized) {
  return tl::unexpected<Refusal>{Refusal{.code = code, .reason = std::move(reason)}};
}

bool is_same(std::string_view a, std::string_view b) {
  return canonical_registration_id(a) == canonical_registration_id(b);
}

std::string check_token(const trust::SasToken& token, const ProvisioningUserName& name, WallTime now, Duration slack) {
  const std::string wanted = name.id_scope + "/registrations/" + name.registration_id;
  // Some clients encode the id once more inside the scope.
  if (!is_same(token.scope, wanted) && !is_same(percent_decode(token.scope).value_or(""), wanted))
    return "the token is for another registration";
  const std::int64_t now_seconds = to_unix_ms(now) / 1000;
  if (token.expiry <= now_seconds - slack.count() / 1000)
    return "the token expired " + std::to_string(now_seconds - token.expiry) + " s ago (is the device's clock right?)";
  return {};
}

/// Reads `?$rid=..&operationId=..`; other parameters are passed over.
VisitTopic with_parameters(VisitTopic::Request request, std::string_view bag) {
  VisitTopic topic{.request = request};
  if (!bag.starts_with('?')) return {};
  bag.remove_prefix(1);
  while (!bag.empty()) {
    const std::string_view part = bag.substr(0, bag.find('&'));
    bag.remove_prefix(std::min(part.size() + 1, bag.size()));
    if (part.starts_with("$rid=")) topic.request_id = std::string(part.substr(5));
    if (part.starts_with("operationId=")) topic.operation_id = percent_decode(part.substr(12)).value_or("");
  }
  const bool is_whole = !topic.request_id.empty() && topic.request_id.size() <= kParameterLimit &&
                        topic.operation_id.size() <= kParameterLimit;
  return is_whole ? topic : VisitTopic{};
}

}  // namespace

tl::expected<VisitClaim, Refusal> check_visit(const mqtt::Connect& connect, std::string_view id_scope,
                                              bool has_certificate, WallTime now, Duration slack) {
  if (connect.protocol_name != "MQTT" || connect.protocol_level != 4)
    return refuse("protocol level " + std::to_string(connect.protocol_level) + " is not MQTT 3.1.1",
                  mqtt::ConnectReturn::bad_protocol);
  auto name = parse_provisioning_user_name(connect.user_name.value_or(""));
  if (!name) return refuse(name.error().message);
  if (!is_same(name->id_scope, id_scope))
    return refuse("the id scope '" + name->id_scope + "' is not ours (see dps.id_scope)");
  if (!is_same(connect.client_id, name->registration_id))
    return refuse("the client id is not the registration id of the user name");
  if (connect.will) return refuse("a device that registers has no will");
  VisitClaim claim{.name = *std::move(name)};
  if (!connect.password || connect.password->empty()) {
    if (!has_certificate) return refuse("there is neither a password nor a client certificate");
    return claim;
  }
  auto token = trust::parse_sas(*connect.password);
  if (!token) return refuse(token.error().message);
  if (const std::string problem = check_token(*token, claim.name, now, slack); !problem.empty()) return refuse(problem);
  claim.token = *std::move(token);
  return claim;
}

VisitTopic read_visit_topic(std::string_view topic) {
  if (topic.starts_with(kPut)) return with_parameters(VisitTopic::Request::put_registration, topic.substr(kPut.size()));
  if (topic.starts_with(kGet)) return with_parameters(VisitTopic::Request::get_status, topic.substr(kGet.size()));
  return {};
}

std::string visit_answer_topic(int status, std::string_view request_id, int retry_after_seconds) {
  std::string topic = "$dps/registrations/res/" + std::to_string(status) + "/?$rid=";
  topic += request_id;
  if (retry_after_seconds > 0) topic += "&retry-after=" + std::to_string(retry_after_seconds);
  return topic;
}

Result<void> check_registration_request(std::string_view body, std::string_view registration_id, std::size_t limit) {
  GODWIT_TRY(const json::Object request, json::parse_object(body, {.bytes = limit, .depth = 32}));
  if (const json::Value* named = json::find(request, "registrationId"); named != nullptr) {
    if (!named->is_string() || !is_same(std::string_view(named->get_string()), registration_id))
      return fail(Code::invalid_argument, "registrationId in the body is not the one of the connection");
  }
  if (const json::Value* tpm = json::find(request, "tpm"); tpm != nullptr && !tpm->is_null())
    return fail(Code::unsupported, "a TPM does not attest here; use a symmetric key or a certificate");
  return {};
}

}  // namespace godwit::hub
