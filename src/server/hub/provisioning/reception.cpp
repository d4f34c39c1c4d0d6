#include "server/hub/provisioning/reception.hpp"

#include <algorithm>
#include <utility>

#include "server/hub/provisioning/answers.hpp"

namespace godwit::hub {
namespace {

constexpr std::uint8_t kSubscriptionRefused = 0x80;
constexpr int kRetryAfterSeconds = 3;

struct VisitError {
  int status;
  std::int64_t error_code;
};

VisitError visit_error(Code code) {
  switch (code) {
    case Code::invalid_argument:
    case Code::bad_json:
    case Code::unsupported:
    case Code::too_large: return {400, provisioning_code::bad_request};
    case Code::unauthorized: return {401, provisioning_code::unauthorized};
    case Code::not_found: return {404, provisioning_code::not_found};
    case Code::conflict: return {409, provisioning_code::conflict};
    case Code::unavailable:
    case Code::database_failed:
    case Code::disk_full:
    case Code::io_failed: return {503, provisioning_code::unavailable};
    default: return {500, provisioning_code::internal};
  }
}

}  // namespace

Reception::Reception(ReceptionOptions options, const Limits& limits, const Registry& registry, TrustCache& trust,
                     Clock& clock, Log& log, Doors doors)
    : options_(std::move(options)),
      limits_(limits),
      provisioner_(clock, registry),
      trust_(trust),
      clock_(clock),
      log_(log),
      doors_(std::move(doors)) {}

// ---- CONNECT -----------------------------------------------------------------------------------------------------

void Reception::on_connect(Session& session, const mqtt::Connect& connect) {
  std::vector<Bytes> shown = session.peer_certificates();
  auto claim = check_visit(connect, options_.id_scope, !shown.empty(), clock_.now(), limits_.clock_slack);
  if (!claim) return doors_.refuse(session, claim.error().code, claim.error().reason);
  if (!doors_.begin_connect())
    return doors_.refuse(session, mqtt::ConnectReturn::unavailable, "too many devices connect at this moment");
  auto visit = std::make_shared<Visit>(Visit{.session = session.shared_from_this(),
                                             .claim = *std::move(claim),
                                             .shown = std::move(shown),
                                             .keep_alive_seconds = connect.keep_alive_seconds});
  visit->id = canonical_registration_id(visit->claim.name.registration_id);
  session.set_phase(Phase::authenticating);
  session.begin_work();
  doors_.read([this, visit](store::Records& records) { return look_up(records, *visit); },
              [this, visit](const Result<void>& outcome) { looked_up(visit, outcome); });
}

Result<void> Reception::look_up(store::Records& records, Visit& visit) const {
  Evidence evidence{.registration_id = visit.claim.name.registration_id, .token = visit.claim.token};
  if (!evidence.token) {
    GODWIT_TRY(evidence.certificates, parse_client_certificates(std::exchange(visit.shown, {})));
  }
  GODWIT_TRY(const auto trust, trust_.get(records));
  GODWIT_TRY(visit.attested, attest(records, *trust, evidence, clock_.now()));
  return {};
}

void Reception::looked_up(const VisitPointer& visit, const Result<void>& outcome) {
  doors_.end_connect();
  Session& session = *visit->session;
  if (!outcome) {
    const bool is_theirs = outcome.error().code == Code::unauthorized;
    if (is_theirs) doors_.note_bad_credentials(session);
    doors_.refuse(session, is_theirs ? mqtt::ConnectReturn::not_authorized : mqtt::ConnectReturn::unavailable,
                  "registration '" + visit->id + "': " + outcome.error().message);
  } else if (session.phase() == Phase::authenticating) {
    welcome(visit);
  }
  session.end_work();
}

void Reception::welcome(const VisitPointer& visit) {
  Session& session = *visit->session;
  if (const auto older = session_of_.find(visit->id); older != session_of_.end())
    visits_.at(older->second)->session->end("a newer connection of the same registration took over");
  visits_[&session] = visit;
  session_of_[visit->id] = &session;
  const Duration one_and_a_half{visit->keep_alive_seconds * 1500};  // MQTT 3.1.1 section 3.1.2.10
  session.device.silence_limit =
      visit->keep_alive_seconds == 0 ? limits_.visit_time : std::min(one_and_a_half, limits_.visit_time);
  session.device.proof = Session::Proof::visit;
  session.device.expiry = clock_.now() + limits_.visit_time;
  session.set_phase(Phase::connected);
  session.send(mqtt::ConnectAck{.session_present = false, .code = mqtt::ConnectReturn::accepted});
  log_.debug("hub.visit", {{"registration", visit->id},
                           {"peer", session.peer()},
                           {"enrollment", visit->attested.enrollment.id},
                           {"client", visit->claim.name.client_version}});
}

void Reception::forget(Session& session) {
  const auto found = visits_.find(&session);
  if (found == visits_.end()) return;
  if (const auto newest = session_of_.find(found->second->id);
      newest != session_of_.end() && newest->second == &session)
    session_of_.erase(newest);
  visits_.erase(found);
}

// ---- packets -----------------------------------------------------------------------------------------------------

void Reception::on_packet(Session& session, mqtt::Packet packet) {
  const VisitPointer visit = visits_.at(&session);
  if (const auto* publish = std::get_if<mqtt::Publish>(&packet)) return on_publish(visit, *publish);
  if (const auto* subscribe = std::get_if<mqtt::Subscribe>(&packet)) return on_subscribe(*visit, *subscribe);
  if (const auto* unsubscribe = std::get_if<mqtt::Unsubscribe>(&packet)) {
    visit->is_subscribed = visit->is_subscribed && std::find(unsubscribe->filters.begin(), unsubscribe->filters.end(),
                                                             kProvisioningFilter) == unsubscribe->filters.end();
    return session.send(mqtt::UnsubscribeAck{.packet_id = unsubscribe->packet_id});
  }
  if (std::holds_alternative<mqtt::PingRequest>(packet)) return session.send(mqtt::PingResponse{});
  if (std::holds_alternative<mqtt::PublishAck>(packet)) return;  // answers go out with QoS 0
  session.end(std::holds_alternative<mqtt::Disconnect>(packet) ? "the device said goodbye"
                                                               : "a packet came that does not belong here");
}

void Reception::on_subscribe(Visit& visit, const mqtt::Subscribe& subscribe) const {
  mqtt::SubscribeAck ack{.packet_id = subscribe.packet_id};
  for (const mqtt::TopicRequest& topic : subscribe.topics) {
    const bool is_ours = topic.filter == kProvisioningFilter;
    visit.is_subscribed = visit.is_subscribed || is_ours;
    ack.codes.push_back(is_ours ? std::min<std::uint8_t>(topic.qos, 1) : kSubscriptionRefused);
  }
  visit.session->send(ack);
}

void Reception::on_publish(const VisitPointer& visit, const mqtt::Publish& publish) {
  Session& session = *visit->session;
  const auto give_up = [&](const std::string& reason) {
    log_.warning("hub.bad_publish",
                 {{"registration", visit->id}, {"topic", publish.topic.substr(0, 200)}, {"reason", reason}});
    session.end(reason);
  };
  if (publish.qos == 2) return give_up("a PUBLISH with QoS 2 came, which is not spoken here");
  if (publish.payload.size() > limits_.visit_payload_bytes)
    return give_up("a payload above " + std::to_string(limits_.visit_payload_bytes) + " bytes came");
  const VisitTopic topic = read_visit_topic(publish.topic);
  if (topic.request == VisitTopic::Request::unknown)
    return give_up("a PUBLISH to a topic came that a device may not use before it is provisioned");
  if (++visit->requests > limits_.visit_requests) return give_up("too many requests came in one visit");
  if (publish.qos == 1) session.send(mqtt::PublishAck{.packet_id = publish.packet_id});
  if (!session.is_live()) return;
  topic.request == VisitTopic::Request::put_registration ? put_registration(visit, topic, publish.payload)
                                                         : get_status(visit, topic);
}

void Reception::put_registration(const VisitPointer& visit, const VisitTopic& topic, std::string_view body) {
  const std::string& registration_id = visit->claim.name.registration_id;
  if (const auto checked = check_registration_request(body, registration_id, limits_.visit_payload_bytes); !checked)
    return answer_error(*visit, topic.request_id, checked.error());
  const auto registration = std::make_shared<store::RegistrationRecord>();
  visit->session->begin_work();
  doors_.submit(
      [this, visit, registration](store::Records& records) -> Result<void> {
        GODWIT_TRY(*registration, provisioner_.provision(records, visit->attested, visit->claim.name.registration_id));
        return {};
      },
      [this, visit, registration, request_id = topic.request_id](const Result<void>& outcome) {
        if (outcome) {
          log_.info("hub.registered", {{"registration", visit->id},
                                       {"peer", visit->session->peer()},
                                       {"enrollment", visit->attested.enrollment.id},
                                       {"status", registration_status_name(registration->status)},
                                       {"device", registration->device_id},
                                       {"reason", registration->error_message}});
          if (registration->status == store::RegistrationStatus::assigned) doors_.note_registration();
          answer(*visit, request_id, *registration);
        } else {
          answer_error(*visit, request_id, outcome.error());
        }
        visit->session->end_work();
      });
}

void Reception::get_status(const VisitPointer& visit, const VisitTopic& topic) {
  const auto registration = std::make_shared<store::RegistrationRecord>();
  visit->session->begin_work();
  doors_.read(
      [visit, registration, topic](store::Records& records) -> Result<void> {
        GODWIT_TRY(auto found, records.provisioning().find_registration(visit->id));
        const store::EnrollmentRecord& enrollment = visit->attested.enrollment;
        const bool is_theirs = found && found->enrollment_kind == enrollment.kind &&
                               found->enrollment_id == enrollment.id && operation_id(*found) == topic.operation_id;
        if (!is_theirs) return fail(Code::not_found, "the operation is not known here; register first");
        *registration = *std::move(found);
        return {};
      },
      [this, visit, registration, request_id = topic.request_id](const Result<void>& outcome) {
        outcome ? answer(*visit, request_id, *registration) : answer_error(*visit, request_id, outcome.error());
        visit->session->end_work();
      });
}

void Reception::answer(const Visit& visit, const std::string& request_id,
                       const store::RegistrationRecord& registration) const {
  if (!visit.session->is_live() || !visit.is_subscribed) return;
  visit.session->send(mqtt::Publish{.topic = visit_answer_topic(200, request_id),
                                    .payload = json::print(operation_json(registration, options_.assigned_hub))});
}

void Reception::answer_error(const Visit& visit, const std::string& request_id, const Error& error) const {
  const VisitError numbers = visit_error(error.code);
  if (numbers.status >= 500)
    log_.warning("hub.store_failed", {{"what", "register"}, {"registration", visit.id}, {"error", error.message}});
  if (!visit.session->is_live() || !visit.is_subscribed) return;
  const json::Object body{{"errorCode", numbers.error_code},
                          {"trackingId", random_guid()},
                          {"message", error.message},
                          {"timestampUtc", format_time(clock_.now())}};
  visit.session->send(mqtt::Publish{
      .topic = visit_answer_topic(numbers.status, request_id, numbers.status >= 429 ? kRetryAfterSeconds : 0),
      .payload = json::print(body)});
}

}  // namespace godwit::hub
