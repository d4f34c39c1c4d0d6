#include "device/agent/provisioning_session.hpp"

#include <algorithm>

#include "core/base/bytes.hpp"
#include "core/base/text.hpp"
#include "core/model/ids.hpp"

namespace godwit::agent {
namespace {

constexpr std::string_view kAnswers = "$dps/registrations/res/";
constexpr std::string_view kRegister = "$dps/registrations/PUT/iotdps-register/";
constexpr std::string_view kPoll = "$dps/registrations/GET/iotdps-get-operationstatus/";
constexpr std::size_t kPacketLimit = 64 * 1024;
constexpr std::size_t kNameLimit = 255;
constexpr std::int64_t kDefaultPause = 3;  // seconds, where the service names none
constexpr std::int64_t kLongestPause = 60;

std::string parameter(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const auto end = std::min(query.find_first_of("?&"), query.size());
    const auto pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (pair.size() > name.size() && pair.starts_with(name) && pair[name.size()] == '=')
      return std::string(pair.substr(name.size() + 1));
  }
  return {};
}

/// What the service said, as far as it can be shown.
std::string words_of(const json::Object& body) {
  std::string words = json::text_or_nothing(body, "errorMessage").value_or("");
  if (words.empty()) words = json::text_or_nothing(body, "message").value_or("");
  if (const auto code = json::integer_or_nothing(body, "errorCode")) words += " (" + std::to_string(*code) + ")";
  return words.substr(0, 500);
}

/// "name" or "name:port" as it may be dialled and stand in a user name.
bool is_hub_name(std::string_view name) {
  return !name.empty() && name.size() <= kNameLimit && std::ranges::all_of(name, [](char c) {
    return (c >= '0' && c <= '9') || (to_lower(c) >= 'a' && to_lower(c) <= 'z') || c == '-' || c == '.' || c == ':' ||
           c == '_' || c == '[' || c == ']';
  });
}

Result<void> refusal(mqtt::ConnectReturn code) {
  switch (code) {
    case mqtt::ConnectReturn::accepted: return {};
    case mqtt::ConnectReturn::unavailable:
      return fail(Code::unavailable, "the provisioning service is not available now (code 3)");
    case mqtt::ConnectReturn::bad_protocol:
      return fail(Code::unsupported, "the provisioning service does not speak MQTT 3.1.1 (code 1)");
    default:
      return fail(Code::refused, "the provisioning service refuses this device (code " +
                                     std::to_string(static_cast<int>(code)) +
                                     "): check provisioning.id_scope, provisioning.registration_id, the enrollment and "
                                     "its key or certificate, and the clock");
  }
}

}  // namespace

std::string ProvisioningSession::scope(const RegistrationRequest& request) {
  return request.id_scope + "/registrations/" + request.registration_id;
}

std::string ProvisioningSession::user_name(const RegistrationRequest& request) {
  std::string name = scope(request) + "/api-version=2019-03-31";
  if (!request.client_version.empty()) name += "&ClientVersion=" + percent_encode(request.client_version);
  return name;
}

void ProvisioningSession::start(const Secret& password, Duration now) {
  mqtt::Connect connect;
  connect.clean_session = true;
  connect.keep_alive_seconds = 120;
  connect.client_id = request_.registration_id;
  connect.user_name = user_name(request_);
  if (!password.empty()) connect.password = password.reveal();
  whole_expires_at_ = now + request_.whole_limit;
  send(connect, Stage::connecting, now + request_.answer_limit);
}

void ProvisioningSession::send(const mqtt::Packet& packet, Stage stage, Duration until) {
  output_ += mqtt::encode(packet);
  stage_ = stage;
  expires_at_ = until;
}

void ProvisioningSession::ask(std::string topic, std::string body, Stage stage, Duration now) {
  mqtt::Publish message;
  message.topic = std::move(topic);
  message.payload = std::move(body);
  message.qos = 1;
  message.packet_id = next_packet_++;
  send(message, stage, now + request_.answer_limit);
}

Result<void> ProvisioningSession::receive(std::string_view bytes, Duration now) {
  input_.append(bytes);
  std::size_t used = 0;
  while (used < input_.size() && !assignment_) {
    GODWIT_TRY(const auto decoded, mqtt::decode(std::string_view(input_).substr(used), kPacketLimit));
    if (!decoded) break;
    used += decoded->used;
    GODWIT_TRY_VOID(handle(decoded->packet, now));
  }
  input_.erase(0, used);
  return {};
}

Result<void> ProvisioningSession::handle(const mqtt::Packet& packet, Duration now) {
  if (const auto* ack = std::get_if<mqtt::ConnectAck>(&packet)) {
    if (stage_ != Stage::connecting) return fail(Code::bad_packet, "the provisioning service welcomed twice");
    was_answered_ = true;
    GODWIT_TRY_VOID(refusal(ack->code));
    mqtt::Subscribe subscribe;
    subscribe.packet_id = next_packet_++;
    subscribe.topics.push_back({std::string(kAnswers) + "#", 1});
    send(subscribe, Stage::subscribing, now + request_.answer_limit);
    return {};
  }
  if (stage_ == Stage::connecting) return fail(Code::bad_packet, "the provisioning service spoke before its welcome");
  if (const auto* ack = std::get_if<mqtt::SubscribeAck>(&packet)) {
    if (stage_ != Stage::subscribing || ack->codes.size() != 1 || ack->codes[0] > 2)
      return fail(Code::bad_packet, "the provisioning service does not take the subscription");
    const json::Object body{{"registrationId", request_.registration_id},
                            {"payload", json::Object{{"modelId", request_.model_id}}}};
    ask(std::string(kRegister) + "?$rid=1", json::print(body), Stage::registering, now);
    return {};
  }
  if (const auto* message = std::get_if<mqtt::Publish>(&packet)) {
    if (message->qos > 0) output_ += mqtt::encode(mqtt::PublishAck{message->packet_id});
    if (std::string_view(message->topic).starts_with(kAnswers)) return on_answer(*message, now);
  }
  return {};
}

Result<void> ProvisioningSession::on_answer(const mqtt::Publish& message, Duration now) {
  if (stage_ != Stage::registering && stage_ != Stage::polling) return {};  // repeated
  const std::string_view rest = std::string_view(message.topic).substr(kAnswers.size());
  const auto slash = std::min(rest.find('/'), rest.size());
  const auto status = to_number<int>(rest.substr(0, slash));
  if (!status) return fail(Code::bad_packet, "an answer of the provisioning service has no status");
  const std::string_view query = rest.substr(std::min(slash + 1, rest.size()));
  if (*status == 429 || *status >= 500) {
    poll_later(query, now);
    return {};
  }
  auto parsed = json::parse_object(message.payload, {.bytes = kPacketLimit, .depth = 16});
  if (!parsed) return with_context("the provisioning service's answer", std::move(parsed).error());
  if (*status >= 300)
    return fail(Code::refused, "the provisioning service says " + std::to_string(*status) + ": " + words_of(*parsed));
  if (const auto operation = json::text_or_nothing(*parsed, "operationId"))
    operation_ = operation->substr(0, kNameLimit);
  const auto outcome = json::text_or_nothing(*parsed, "status").value_or("");
  if (outcome != "assigning" && outcome != "unassigned" && outcome != "registering") return on_registration(*parsed);
  poll_later(query, now);
  return {};
}

Result<void> ProvisioningSession::on_registration(const json::Object& body) {
  const auto* state = json::object_or_null(body, "registrationState");
  const auto outcome = json::text_or_nothing(body, "status").value_or("");
  if (outcome != "assigned" || state == nullptr)
    return fail(Code::refused, "the provisioning service gives no hub (" + outcome +
                                   "): " + words_of(state != nullptr ? *state : body));
  Assignment found{.hub = json::text_or_nothing(*state, "assignedHub").value_or(""),
                   .device_id = json::text_or_nothing(*state, "deviceId").value_or("")};
  if (!is_hub_name(found.hub)) return fail(Code::bad_packet, "the provisioning service names no usable hub");
  if (const std::string reason = check_device_id(found.device_id); !reason.empty())
    return fail(Code::bad_packet, "the provisioning service names a device id that " + reason);
  assignment_ = std::move(found);
  output_ += mqtt::encode(mqtt::Disconnect{});
  return {};
}

void ProvisioningSession::poll_later(std::string_view topic, Duration now) {
  const auto pause = to_number<std::int64_t>(parameter(topic, "retry-after")).value_or(kDefaultPause);
  stage_ = Stage::waiting;
  expires_at_ = now + std::chrono::seconds(std::clamp<std::int64_t>(pause, 1, kLongestPause));
}

Result<void> ProvisioningSession::tick(Duration now) {
  if (stage_ == Stage::fresh || assignment_) return {};
  if (now >= whole_expires_at_) return fail(Code::timed_out, "the provisioning service did not decide in time");
  if (now < expires_at_) return {};
  if (stage_ != Stage::waiting) return fail(Code::timed_out, "the provisioning service did not answer in time");
  if (operation_.empty()) {
    const json::Object body{{"registrationId", request_.registration_id},
                            {"payload", json::Object{{"modelId", request_.model_id}}}};
    ask(std::string(kRegister) + "?$rid=1", json::print(body), Stage::registering, now);
  } else {
    ask(std::string(kPoll) + "?$rid=2&operationId=" + percent_encode(operation_), " ", Stage::polling, now);
  }
  return {};
}

Duration ProvisioningSession::deadline() const { return std::min(expires_at_, whole_expires_at_); }

}  // namespace godwit::agent
