#include "device/agent/hub_session.hpp"

#include <algorithm>
#include <utility>

#include "core/base/bytes.hpp"
#include "core/base/text.hpp"
#include "core/twin/twin.hpp"

namespace godwit::agent {
namespace {

constexpr std::string_view kAnswers = "$iothub/twin/res/";
constexpr std::string_view kDesired = "$iothub/twin/PATCH/properties/desired/";
constexpr std::uint16_t kSubscribeId = 1;
constexpr std::size_t kRequestLimit = 64;  // more are under way only if the hub stopped answering

/// The value of `name` in "?a=1&b=2"; empty if it is not there.
std::string_view parameter(std::string_view query, std::string_view name) {
  if (query.starts_with('?')) query.remove_prefix(1);
  while (!query.empty()) {
    const auto end = std::min(query.find('&'), query.size());
    const auto pair = query.substr(0, end);
    const auto equals = pair.find('=');
    if (equals != std::string_view::npos && pair.substr(0, equals) == name) return pair.substr(equals + 1);
    query.remove_prefix(std::min(end + 1, query.size()));
  }
  return {};
}

Result<void> refusal(mqtt::ConnectReturn code) {
  switch (code) {
    case mqtt::ConnectReturn::accepted: return {};
    case mqtt::ConnectReturn::unavailable: return fail(Code::unavailable, "the hub is not available now (code 3)");
    case mqtt::ConnectReturn::bad_credentials:
    case mqtt::ConnectReturn::not_authorized:
      return fail(Code::unauthorized, "the hub refuses this device (code " + std::to_string(static_cast<int>(code)) +
                                          "): check hub.name, hub.device_id, the device's key or certificate, "
                                          "the clock, and that the device is registered and enabled");
    case mqtt::ConnectReturn::bad_protocol:
      return fail(Code::unsupported, "the hub does not speak MQTT 3.1.1 (code 1)");
    case mqtt::ConnectReturn::bad_identifier:
      return fail(Code::unauthorized, "the hub does not take the device id (code 2): check hub.device_id");
  }
  return fail(Code::bad_packet, "the hub refuses with an unknown code");
}

/// Takes "$version" out of a section.
std::optional<std::uint64_t> take_version(json::Object& section) {
  const auto version = json::integer_or_nothing(section, "$version");
  section.erase("$version");
  section.erase("$metadata");
  if (!version || *version < 0) return std::nullopt;
  return static_cast<std::uint64_t>(*version);
}

}  // namespace

std::string HubSession::user_name(const SessionSettings& settings) {
  const std::string client =
      settings.client_type.empty() ? "" : "&DeviceClientType=" + percent_encode(settings.client_type);
  return settings.hub_name + "/" + settings.device_id + "/?api-version=" + settings.api_version + client +
         "&model-id=" + percent_encode(settings.model_id);
}

void HubSession::start(const Secret& password, Duration now) {
  mqtt::Connect connect;
  connect.clean_session = false;
  const auto seconds =
      std::clamp<std::int64_t>(std::chrono::duration_cast<std::chrono::seconds>(settings_.keep_alive).count(), 1, 1177);
  connect.keep_alive_seconds = static_cast<std::uint16_t>(seconds);
  connect.client_id = settings_.device_id;
  connect.user_name = user_name(settings_);
  if (!password.empty()) connect.password = password.reveal();
  stage_ = Stage::connecting;
  stage_expires_at_ = now + settings_.answer_limit;
  send(connect, now);
}

void HubSession::send(const mqtt::Packet& packet, Duration now) {
  output_ += mqtt::encode(packet);
  last_sent_at_ = now;
}

void HubSession::publish(std::string topic, std::string payload, Duration now) {
  mqtt::Publish message;
  message.topic = std::move(topic);
  message.payload = std::move(payload);
  send(message, now);
}

Result<void> HubSession::receive(std::string_view bytes, Duration now) {
  input_.append(bytes);
  std::size_t used = 0;
  while (used < input_.size()) {
    GODWIT_TRY(const auto decoded, mqtt::decode(std::string_view(input_).substr(used), settings_.packet_limit));
    if (!decoded) break;
    used += decoded->used;
    GODWIT_TRY_VOID(handle(decoded->packet, now));
  }
  input_.erase(0, used);
  if (input_.empty()) input_.shrink_to_fit();
  return {};
}

Result<void> HubSession::handle(const mqtt::Packet& packet, Duration now) {
  if (const auto* ack = std::get_if<mqtt::ConnectAck>(&packet)) return on_connect_ack(*ack, now);
  if (stage_ == Stage::connecting) return fail(Code::bad_packet, "the hub sent something before its welcome");
  if (const auto* ack = std::get_if<mqtt::SubscribeAck>(&packet)) return on_subscribe_ack(*ack, now);
  if (const auto* message = std::get_if<mqtt::Publish>(&packet)) return on_publish(*message, now);
  if (std::holds_alternative<mqtt::PingResponse>(packet)) {
    ping_sent_at_.reset();
    return {};
  }
  if (std::holds_alternative<mqtt::PublishAck>(packet) || std::holds_alternative<mqtt::UnsubscribeAck>(packet))
    return {};
  return fail(Code::bad_packet, "the hub sent a packet that only a client sends");
}

Result<void> HubSession::on_connect_ack(const mqtt::ConnectAck& ack, Duration now) {
  if (stage_ != Stage::connecting) return fail(Code::bad_packet, "the hub welcomed twice");
  was_answered_ = true;
  GODWIT_TRY_VOID(refusal(ack.code));
  session_present_ = ack.session_present;
  stage_ = Stage::subscribing;
  stage_expires_at_ = now + settings_.answer_limit;
  mqtt::Subscribe subscribe;
  subscribe.packet_id = kSubscribeId;
  subscribe.topics.push_back({std::string(kAnswers) + "#", 0});
  subscribe.topics.push_back({std::string(kDesired) + "#", 0});
  send(subscribe, now);
  return {};
}

Result<void> HubSession::on_subscribe_ack(const mqtt::SubscribeAck& ack, Duration now) {
  if (stage_ != Stage::subscribing || ack.packet_id != kSubscribeId)
    return fail(Code::bad_packet, "the hub acknowledged a subscription that was not asked for");
  if (ack.codes.size() != 2 || std::ranges::any_of(ack.codes, [](std::uint8_t code) { return code > 2; }))
    return fail(Code::refused, "the hub refuses the twin subscriptions");
  stage_ = Stage::ready;
  events_.push_back(SessionReady{session_present_});
  if (!settings_.identity_patch.empty()) {
    const auto id = next_request_++;
    requests_[id] = {Asked::identity, 0, now + settings_.answer_limit};
    publish("$iothub/twin/PATCH/properties/reported/?$rid=" + std::to_string(id),
            std::exchange(settings_.identity_patch, {}), now);  // said once on each connection
  }
  get_twin(now);
  return {};
}

void HubSession::get_twin(Duration now) {
  const auto id = next_request_++;
  requests_[id] = {Asked::twin, 0, now + settings_.twin_limit};
  must_get_again_ = false;
  publish("$iothub/twin/GET/?$rid=" + std::to_string(id), "", now);
}

void HubSession::ask_twin(Duration now) {
  if (stage_ == Stage::ready && !is_getting_twin()) get_twin(now);
}

bool HubSession::is_getting_twin() const {
  return std::ranges::any_of(requests_, [](const auto& request) { return request.second.asked == Asked::twin; });
}

void HubSession::report(std::uint64_t token, std::string_view patch, Duration now) {
  if (stage_ != Stage::ready || requests_.size() >= kRequestLimit) {
    events_.push_back(SessionAnswer{token, 0});
    return;
  }
  const auto id = next_request_++;
  requests_[id] = {Asked::patch, token, now + settings_.answer_limit};
  publish("$iothub/twin/PATCH/properties/reported/?$rid=" + std::to_string(id), std::string(patch), now);
}

void HubSession::finish() { output_ += mqtt::encode(mqtt::Disconnect{}); }

Result<void> HubSession::on_publish(const mqtt::Publish& message, Duration now) {
  if (message.qos > 0) send(mqtt::PublishAck{message.packet_id}, now);
  const std::string_view topic = message.topic;
  if (topic.starts_with(kAnswers)) return on_answer(topic.substr(kAnswers.size()), message.payload);
  if (topic.starts_with(kDesired)) return on_desired_patch(topic.substr(kDesired.size()), message.payload, now);
  return {};  // nothing else was subscribed to; an older session may still bring something
}

Result<void> HubSession::on_answer(std::string_view rest, const std::string& body) {
  const auto slash = rest.find('/');
  if (slash == std::string_view::npos) return fail(Code::bad_packet, "an answer of the hub has no status");
  const auto status = to_number<int>(rest.substr(0, slash));
  const auto id = to_number<std::uint64_t>(parameter(rest.substr(slash + 1), "$rid"));
  if (!status || !id) return fail(Code::bad_packet, "an answer of the hub has no status or no request id");
  const auto found = requests_.find(*id);
  if (found == requests_.end()) return {};  // of an earlier connection, or answered too late
  const Request request = found->second;
  requests_.erase(found);
  if (request.asked == Asked::patch) events_.push_back(SessionAnswer{request.token, *status});
  if (request.asked == Asked::identity && (*status < 200 || *status > 299))
    return fail(Code::refused, "the hub does not take this device's properties (status " + std::to_string(*status) +
                                   "): check the device section of the configuration");
  if (request.asked != Asked::twin) return {};
  if (*status != 200)
    return fail(Code::unavailable, "the hub does not give the twin (status " + std::to_string(*status) + ")");
  return on_twin(body);
}

Result<void> HubSession::on_twin(const std::string& body) {
  auto document = json::parse_object(body, {.bytes = settings_.packet_limit, .depth = 32});
  if (!document) return with_context("twin", std::move(document).error());
  GODWIT_TRY(const auto* found, json::object(*document, "desired", "twin"));
  json::Object desired = *found;
  const auto version = take_version(desired);
  if (!version) return fail(Code::bad_json, "twin: desired has no $version");
  if (desired_ && *version < desired_version_) return {};  // a patch overtook the answer; the newer one counts
  desired_ = std::move(desired);
  desired_version_ = *version;
  events_.push_back(SessionDesired{*desired_, desired_version_});
  return {};
}

Result<void> HubSession::on_desired_patch(std::string_view rest, const std::string& body, Duration now) {
  auto parsed = json::parse_object(body, {.bytes = settings_.packet_limit, .depth = 32});
  if (!parsed) return with_context("desired patch", std::move(parsed).error());
  json::Object patch = *std::move(parsed);
  auto version = take_version(patch);
  if (!version) version = to_number<std::uint64_t>(parameter(rest, "$version"));
  if (!version) return fail(Code::bad_json, "desired patch: no $version");
  if (!desired_) {
    must_get_again_ = true;  // the GET under way may have been answered before this patch
    return {};
  }
  if (*version <= desired_version_) return {};  // repeated or replayed
  if (*version != desired_version_ + 1) {       // one was missed: the whole document is the truth
    must_get_again_ = true;
    if (!is_getting_twin()) get_twin(now);
    return {};
  }
  twin::merge_plain(*desired_, patch);
  desired_version_ = *version;
  events_.push_back(SessionDesired{*desired_, desired_version_});
  return {};
}

Result<void> HubSession::tick(Duration now) {
  if (stage_ == Stage::fresh) return {};
  if (stage_ != Stage::ready && now >= stage_expires_at_)
    return fail(Code::timed_out, stage_ == Stage::connecting ? "the hub did not answer CONNECT in time"
                                                             : "the hub did not answer SUBSCRIBE in time");
  if (must_get_again_ && !is_getting_twin()) get_twin(now);
  for (auto request = requests_.begin(); request != requests_.end();) {
    if (now < request->second.expires_at) {
      ++request;
      continue;
    }
    if (request->second.asked != Asked::patch)
      return fail(Code::timed_out, "the hub did not answer a twin request in time");
    events_.push_back(SessionAnswer{request->second.token, 0});
    request = requests_.erase(request);
  }
  if (ping_sent_at_ && now >= *ping_sent_at_ + settings_.answer_limit)
    return fail(Code::timed_out, "the hub did not answer a ping in time");
  if (stage_ == Stage::ready && !ping_sent_at_ && now >= last_sent_at_ + settings_.keep_alive * 3 / 4) {
    ping_sent_at_ = now;
    send(mqtt::PingRequest{}, now);
  }
  return {};
}

Duration HubSession::deadline() const {
  Duration earliest = Duration::max();
  if (stage_ == Stage::connecting || stage_ == Stage::subscribing) earliest = stage_expires_at_;
  for (const auto& [id, request] : requests_) earliest = std::min(earliest, request.expires_at);
  if (ping_sent_at_) earliest = std::min(earliest, *ping_sent_at_ + settings_.answer_limit);
  if (stage_ == Stage::ready && !ping_sent_at_)
    earliest = std::min(earliest, last_sent_at_ + settings_.keep_alive * 3 / 4);
  if (must_get_again_ && !is_getting_twin()) earliest = Duration{0};
  return earliest;
}

}  // namespace godwit::agent
