// What a connected device asks for: subscriptions, its twin, reported patches, telemetry. Requests that need the store
// are counted at the session; above the bound its socket is left unread.
#include <algorithm>
#include <utility>

#include "core/base/bytes.hpp"
#include "core/base/text.hpp"
#include "server/hub/hub_core.hpp"

namespace godwit::hub {
namespace {

constexpr std::uint8_t kSubscriptionRefused = 0x80;

struct TwinError {
  int status;
  int error_code;
};

/// The numbers that clients of an IoT hub know.
TwinError twin_error(Code code) {
  switch (code) {
    case Code::invalid_argument:
    case Code::bad_json:
    case Code::too_large: return {400, 400004};
    case Code::not_found: return {404, 404001};
    case Code::precondition_failed: return {412, 412001};
    case Code::unavailable:
    case Code::database_failed:
    case Code::disk_full:
    case Code::io_failed: return {503, 503001};
    default: return {500, 500001};
  }
}

Result<std::optional<std::uint64_t>> read_version(const std::optional<std::string>& text) {
  if (!text) return std::optional<std::uint64_t>{};
  const auto version = to_number<std::uint64_t>(*text);
  if (!version) return fail(Code::invalid_argument, "$version is not a number");
  return version;
}

}  // namespace

// ---- subscriptions -----------------------------------------------------------------------------------------------

void HubCore::on_subscribe(Session& session, const mqtt::Subscribe& subscribe) {
  Session::Device& device = session.device;
  const std::uint8_t before = device.subscriptions;
  const std::uint8_t qos_before = device.granted_qos;
  mqtt::SubscribeAck ack{.packet_id = subscribe.packet_id};
  bool wants_desired = false;
  for (const mqtt::TopicRequest& topic : subscribe.topics) {
    const auto subscription = read_filter(topic.filter, *device.id);
    if (!subscription) {
      log_.info("hub.subscription_refused", {{"device", device.id->str()}, {"filter", topic.filter.substr(0, 200)}});
      ack.codes.push_back(kSubscriptionRefused);
      continue;
    }
    const auto bit = static_cast<std::uint8_t>(*subscription);
    const std::uint8_t granted = std::min<std::uint8_t>(topic.qos, 1);
    device.subscriptions = static_cast<std::uint8_t>(device.subscriptions | bit);
    device.granted_qos = static_cast<std::uint8_t>(granted > 0 ? device.granted_qos | bit : device.granted_qos & ~bit);
    ack.codes.push_back(granted);
    wants_desired = wants_desired || *subscription == Subscription::twin_desired;
  }
  const bool is_stored = !device.is_clean && (device.subscriptions != before || device.granted_qos != qos_before);
  change_subscriptions(session, std::move(ack), is_stored, wants_desired);
}

void HubCore::on_unsubscribe(Session& session, const mqtt::Unsubscribe& unsubscribe) {
  Session::Device& device = session.device;
  const std::uint8_t before = device.subscriptions;
  for (const std::string& filter : unsubscribe.filters) {
    const auto subscription = read_filter(filter, *device.id);
    if (!subscription) continue;
    device.subscriptions = static_cast<std::uint8_t>(device.subscriptions & ~static_cast<std::uint8_t>(*subscription));
  }
  device.granted_qos &= device.subscriptions;
  change_subscriptions(session, mqtt::UnsubscribeAck{.packet_id = unsubscribe.packet_id},
                       !device.is_clean && device.subscriptions != before, false);
}

/// Sends `answer` once the subscriptions are durable, and the desired section if the device has not seen its version
/// here: a change between its last look and this subscription would be lost to it otherwise.
void HubCore::change_subscriptions(Session& session, mqtt::Packet answer, bool is_stored, bool wants_desired) {
  if (!is_stored && !wants_desired) {
    session.send(answer);
    return became_ready(session);
  }
  struct Desired {
    std::string payload;
    std::uint64_t version = 0;
  };
  const auto desired = std::make_shared<Desired>();
  const IdentityId id = *session.device.id;
  auto job = [id, desired, is_stored, wants_desired, mask = session.device.subscriptions,
              qos = session.device.granted_qos](store::Records& records) -> Result<void> {
    if (is_stored) {
      GODWIT_TRY(auto stored, records.devices().find_session(id));
      if (!stored) return fail(Code::not_found, "the device was removed");
      stored->subscriptions = mask;
      stored->granted_qos = qos;
      GODWIT_TRY_VOID(records.devices().save_session(id, *stored));
    }
    if (!wants_desired) return {};
    GODWIT_TRY(const auto twin, records.devices().find_twin_text(id));
    if (!twin) return fail(Code::not_found, "the device was removed");
    *desired = {.payload = with_version(twin->desired, twin->desired_version), .version = twin->desired_version};
    return {};
  };
  auto then = [this, self = session.shared_from_this(), desired,
               answer = std::move(answer)](const Result<void>& outcome) {
    if (!outcome && self->is_live()) {
      log_.warning("hub.store_failed",
                   {{"what", "subscribe"}, {"device", self->device.id->str()}, {"error", outcome.error().message}});
      self->end("the subscription could not be stored");
    }
    if (self->is_live()) {
      self->send(answer);
      if (desired->version > self->device.desired_seen) send_desired(*self, desired->payload, desired->version);
      became_ready(*self);
    }
    self->end_work();
  };
  session.begin_work();
  // Only what must be stored goes through the writer; the order of the two does not matter to the device.
  is_stored ? desk_.write_soon(std::move(job), std::move(then)) : desk_.read(std::move(job), std::move(then));
}

/// The desired section as it is now, if the device has not seen its version here.
void HubCore::send_whole_desired(Session& session) {
  if (!has(session.device.subscriptions, Subscription::twin_desired)) return;
  const auto twin = std::make_shared<store::TwinText>();
  session.begin_work();
  desk_.read(
      [id = *session.device.id, twin](store::Records& records) -> Result<void> {
        GODWIT_TRY(auto found, records.devices().find_twin_text(id));
        if (found) *twin = *std::move(found);
        return {};
      },
      [this, twin, self = session.shared_from_this()](const Result<void>& outcome) {
        if (outcome && twin->desired_version > self->device.desired_seen)
          send_desired(*self, with_version(twin->desired, twin->desired_version), twin->desired_version);
        else if (!outcome && self->is_live())
          self->end("the desired section could not be read");
        self->end_work();
      });
}

void HubCore::send_desired(Session& session, const std::string& payload, std::uint64_t version) {
  if (!session.is_live() || !has(session.device.subscriptions, Subscription::twin_desired)) return;
  ++counts_.desired_pushes;
  session.device.desired_seen = std::max(session.device.desired_seen, version);
  session.send_publish(desired_patch_topic(version), payload);
}

// ---- publishes ---------------------------------------------------------------------------------------------------

void HubCore::on_publish(Session& session, mqtt::Publish publish) {
  const auto give_up = [&](const std::string& reason) {
    log_.warning("hub.bad_publish",
                 {{"device", session.device.id->str()}, {"topic", publish.topic.substr(0, 200)}, {"reason", reason}});
    session.end(reason);
  };
  if (publish.qos == 2) return give_up("a PUBLISH with QoS 2 came, which is not spoken here");
  if (publish.payload.size() > options_.limits.payload_bytes)
    return give_up("a payload above " + std::to_string(options_.limits.payload_bytes) + " bytes came");
  const DeviceTopic topic = read_topic(publish.topic, *session.device.id);
  if (topic.request == Request::unknown) return give_up("a PUBLISH to an unknown topic came");
  if (topic.properties.size() > options_.limits.property_bytes)
    return give_up("properties above " + std::to_string(options_.limits.property_bytes) + " bytes came");
  // The true answer of a twin request is its response; PUBACK only says that the request arrived.
  if (publish.qos == 1) session.send(mqtt::PublishAck{.packet_id = publish.packet_id});
  if (!session.is_live()) return;
  switch (topic.request) {
    case Request::telemetry:
      return take_telemetry(session, topic.properties, std::move(publish.payload), publish.retain, false);
    case Request::method_response: return take_answer(session, topic, publish.payload);
    case Request::twin_get: return get_twin(session, topic);
    case Request::reported_patch: return patch_reported(session, topic, publish.payload);
    case Request::unknown: return;
  }
}

void HubCore::take_telemetry(Session& session, std::string_view properties, std::string payload, bool is_retained,
                             bool is_will) {
  ++counts_.telemetry;
  ++session.device.telemetry_unsaved;
  if (options_.telemetry == nullptr || !options_.telemetry->is_listening()) return;
  options_.telemetry->take({.id = *session.device.id,
                            .received = clock_.now(),
                            .properties = std::string(properties),
                            .payload = std::move(payload),
                            .is_retained = is_retained,
                            .is_will = is_will});
}

void HubCore::get_twin(Session& session, const DeviceTopic& topic) {
  ++counts_.twin_gets;
  const IdentityId& id = *session.device.id;
  // Behind a patch of its own a device expects to see it: the writer keeps that order. Else a snapshot is cheaper.
  const bool is_behind_write = session.device.writes_in_flight > 0;
  if (!is_behind_write)
    if (const auto ready = twins_.find(id.str())) return answer_twin(session, topic.request_id, *ready);
  const auto answer = std::make_shared<TwinAnswer>();
  auto job = [id, answer](store::Records& records) -> Result<void> {
    GODWIT_TRY(const auto text, records.devices().find_twin_text(id));
    if (!text) return fail(Code::not_found, "device '" + id.str() + "' does not exist");
    *answer = make_twin_answer(*text);
    return {};
  };
  auto then = [this, self = session.shared_from_this(), answer, ticket = twins_.ticket(id.str()),
               request_id = topic.request_id](const Result<void>& outcome) {
    if (outcome) {
      twins_.put(self->device.id->str(), answer, ticket);
      answer_twin(*self, request_id, *answer);
    } else {
      respond_error(*self, request_id, outcome.error());
    }
    self->end_work();
  };
  session.begin_work();
  is_behind_write ? submit(std::move(job), std::move(then)) : desk_.read(std::move(job), std::move(then));
}

void HubCore::answer_twin(Session& session, const std::string& request_id, const TwinAnswer& answer) {
  respond(session, twin_response_topic(200, request_id), answer.payload);
  session.device.desired_seen = std::max(session.device.desired_seen, answer.desired_version);
}

void HubCore::patch_reported(Session& session, const DeviceTopic& topic, std::string_view payload) {
  ++counts_.reported_patches;
  auto patch = json::parse_object(payload, {.bytes = options_.limits.payload_bytes, .depth = 32});
  if (!patch) return respond_error(session, topic.request_id, patch.error());
  const auto if_version = read_version(topic.version);
  if (!if_version) return respond_error(session, topic.request_id, if_version.error());
  const auto new_version = std::make_shared<std::uint64_t>(0);
  session.begin_work();
  ++session.device.writes_in_flight;
  submit(
      [this, id = *session.device.id, patch = std::make_shared<const json::Object>(*std::move(patch)),
       version = *if_version, new_version](store::Records& records) -> Result<void> {
        GODWIT_TRY(*new_version, registry_.patch_reported(records, id, *patch, version));
        return {};
      },
      [this, self = session.shared_from_this(), new_version,
       request_id = topic.request_id](const Result<void>& outcome) {
        --self->device.writes_in_flight;
        if (outcome)
          respond(*self, twin_response_topic(204, request_id, *new_version), {});
        else
          respond_error(*self, request_id, outcome.error());
        self->end_work();
      });
}

void HubCore::respond(Session& session, const std::string& topic, std::string_view payload) {
  if (session.is_live() && has(session.device.subscriptions, Subscription::twin_response))
    session.send_publish(topic, payload);
}

void HubCore::respond_error(Session& session, const std::string& request_id, const Error& error) {
  const TwinError numbers = twin_error(error.code);
  const json::Object body{{"errorCode", numbers.error_code},
                          {"trackingId", random_guid()},
                          {"message", error.message},
                          {"timestampUtc", format_time(clock_.now())}};
  if (numbers.status >= 500)
    log_.warning("hub.store_failed",
                 {{"what", "twin request"}, {"device", session.device.id->str()}, {"error", error.message}});
  respond(session, twin_response_topic(numbers.status, request_id), json::print(body));
}

}  // namespace godwit::hub
