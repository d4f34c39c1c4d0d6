// From CONNECT to CONNACK: check what needs no key on the loop; look the identity up, try its key and read its session
// from one snapshot on the pool; write only what must outlive the connection and is new (a model, a session that ends).
// What the device may rely on (its subscriptions) is durable before CONNACK. What happens to the identity or the twin
// between the snapshot and CONNACK is noticed by the entry: drops make the attempt void, pushes are made good.
#include <algorithm>
#include <utility>

#include "server/hub/hub_core.hpp"
#include "server/hub/policy_credentials.hpp"

namespace godwit::hub {
namespace {

std::shared_ptr<const mqtt::Will> will_of(const mqtt::Connect& connect) {
  return connect.will ? std::make_shared<const mqtt::Will>(*connect.will) : nullptr;
}

}  // namespace

/// In a later turn: now the session is in the middle of its reading. Until then it takes no more packets.
bool HubCore::pass_on(Session& session, const mqtt::Connect& connect) {
  if (!find_other_ || !connect.user_name || is_meant_by(*connect.user_name)) return false;
  HubCore* other = find_other_(*connect.user_name);
  if (other == nullptr || other == this) return false;
  session.set_phase(Phase::authenticating);
  loop_.post([held = session.shared_from_this(), connect, other] {
    if (held->phase() != Phase::authenticating) return;
    other->adopt(held->part("passed on to another hub of this service"), connect);
  });
  return true;
}

void HubCore::on_connect(Session& session, const mqtt::Connect& connect) {
  if (pass_on(session, connect)) return;
  if (connect.user_name && is_provisioning_user_name(*connect.user_name))
    return reception_.on_connect(session, connect);
  std::vector<Bytes> shown = session.peer_certificates();
  auto claim = check_connect(connect, names_, clock_.now(), options_.limits.clock_slack, !shown.empty());
  if (!claim) {
    // A wrong hub name or a clock that is off is a mistake; only what could be guessing counts against the address
    // below.
    return refuse(session, claim.error().code, claim.error().reason);
  }
  session.device.id = claim->name.identity;
  if (connect.will && read_topic(connect.will->topic, claim->name.identity).request != Request::telemetry)
    return refuse(session, mqtt::ConnectReturn::not_authorized, "the will topic is not the device's events topic");
  if (connects_in_flight_ >= options_.limits.connects_in_flight)
    return refuse(session, mqtt::ConnectReturn::unavailable, "too many devices connect at this moment");
  auto attempt = std::make_shared<Attempt>(Attempt{.session = session.shared_from_this(),
                                                   .claim = *std::move(claim),
                                                   .is_clean = connect.clean_session,
                                                   .will = will_of(connect),
                                                   .keep_alive_seconds = connect.keep_alive_seconds,
                                                   .shown = std::move(shown)});
  session.set_phase(Phase::authenticating);
  session.begin_work();
  ++connects_in_flight_;
  Entry& entry = entries_[attempt->claim.name.identity.str()];
  ++entry.connecting;
  attempt->drops = entry.drops;
  attempt->trust_changes = trust_changes_;
  desk_.read([this, attempt](store::Records& records) { return attempt->verdict = look_up(records, *attempt); },
             [this, attempt](const Result<void>& outcome) {
               attempt->verdict = outcome;
               looked_up(attempt);
             });
}

Result<void> HubCore::look_up(store::Records& records, Attempt& attempt) {
  const IdentityId& id = attempt.claim.name.identity;
  GODWIT_TRY(const auto identity, records.devices().find_identity(id));
  if (!identity) return fail(Code::unauthorized, "the device is not registered");
  attempt.identity_etag = identity->etag;
  GODWIT_TRY_VOID(check_proof(records, *identity, attempt));
  GODWIT_TRY(auto stored, records.devices().find_session(id));
  if (!stored) return fail(Code::internal, "the device has no session record");
  attempt.stored = *std::move(stored);
  attempt.must_store =
      attempt.stored.model_id != attempt.claim.name.model_id || (attempt.is_clean && attempt.stored.subscriptions != 0);
  if (attempt.is_clean || !has(attempt.stored.subscriptions, Subscription::twin_desired)) return {};
  GODWIT_TRY(const auto twin, records.devices().find_twin_text(id));
  if (!twin) return {};
  attempt.desired_version = twin->desired_version;
  attempt.desired = with_version(twin->desired, twin->desired_version);
  return {};
}

Result<void> HubCore::check_proof(store::Records& records, const store::DeviceIdentity& identity, Attempt& attempt) {
  if (identity.authentication != store::Authentication::sas) return check_shown(records, identity, attempt);
  GODWIT_TRY(std::string reason, judge_token(records, identity, attempt.claim));
  if (!reason.empty()) return fail(Code::unauthorized, std::move(reason));
  const std::int64_t expiry = attempt.claim.token->expiry;
  attempt.proof_end =
      from_unix_ms(expiry > INT64_MAX / 1000 - 1'000'000 ? INT64_MAX / 2 : expiry * 1000) + options_.limits.clock_slack;
  return {};
}

/// "" when the token lets the device in: signed with its own key, or with that of a policy that may connect devices.
Result<std::string> HubCore::judge_token(store::Records& records, const store::DeviceIdentity& identity,
                                         const Claim& claim) const {
  if (!claim.token || !is_policy_token(*claim.token)) return check_key(claim, identity);
  GODWIT_TRY(const auto policy, records.policies().find(claim.token->policy));
  if (!policy) return std::string("the token names a shared access policy that is not there");
  std::string reason = check_policy_token(*claim.token, claim.name, names_, *policy);
  if (reason.empty() && !identity.is_enabled) reason = "the device is disabled";
  return reason;
}

void HubCore::note_bad_credentials(Session& session) {
  if (admission_.note_bad_credentials(session.peer(), monotonic()))
    log_.warning("hub.address_shut_out", {{"peer", session.peer()},
                                          {"seconds", options_.limits.bad_credentials_pause.count() / 1000},
                                          {"reason", "too many bad credentials"}});
}

void HubCore::looked_up(const std::shared_ptr<Attempt>& attempt) {
  Session& session = *attempt->session;
  if (!attempt->verdict) {
    const bool is_theirs = attempt->verdict.error().code == Code::unauthorized;
    if (is_theirs) note_bad_credentials(session);
    return let_in(attempt, attempt->verdict);
  }
  if (session.phase() != Phase::authenticating || is_stopping_)
    return let_in(attempt, fail(Code::unavailable, "the connection ended before it was let in"));
  Entry& entry = entries_[attempt->claim.name.identity.str()];
  if (entry.live &&
      !entry.takeovers.take(monotonic(), options_.limits.takeovers_per_device, options_.limits.takeover_window))
    return let_in(attempt, fail(Code::unavailable, "two clients with one identity evict each other"));
  if (!attempt->must_store) return let_in(attempt, {});
  submit([this, attempt](store::Records& records) { return store_connect(records, *attempt); },
         [this, attempt](const Result<void>& outcome) { let_in(attempt, outcome); });
}

Result<void> HubCore::store_connect(store::Records& records, Attempt& attempt) const {
  const IdentityId& id = attempt.claim.name.identity;
  GODWIT_TRY(const auto identity, records.devices().find_identity(id));
  // The key was tried on a snapshot; a change since then decides anew.
  if (!identity || !identity->is_enabled || identity->etag != attempt.identity_etag)
    return fail(Code::unauthorized, "the identity was changed while the device connected");
  GODWIT_TRY(auto stored, records.devices().find_session(id));
  if (!stored) return fail(Code::internal, "the device has no session record");
  const bool is_new_model = stored->model_id != attempt.claim.name.model_id;
  if (attempt.is_clean) {
    stored->subscriptions = 0;
    stored->granted_qos = 0;
  }
  stored->model_id = attempt.claim.name.model_id;
  GODWIT_TRY_VOID(records.devices().save_session(id, *stored));
  attempt.stored = *std::move(stored);
  return is_new_model ? observer_.on_model(records, id, attempt.stored.model_id) : Result<void>{};
}

/// The end of an attempt, good or bad.
void HubCore::let_in(const std::shared_ptr<Attempt>& attempt, const Result<void>& outcome) {
  Session& session = *attempt->session;
  const std::string& device = attempt->claim.name.identity.str();
  Entry& entry = entries_[device];
  --entry.connecting;
  --connects_in_flight_;
  if (!outcome)
    refuse(session,
           outcome.error().code == Code::unauthorized ? mqtt::ConnectReturn::not_authorized
                                                      : mqtt::ConnectReturn::unavailable,
           outcome.error().message);
  else if (attempt->proof == Session::Proof::authority && trust_changes_ != attempt->trust_changes)
    refuse(session, mqtt::ConnectReturn::unavailable, "authorities were changed while the device connected");
  else if (entry.drops != attempt->drops)
    refuse(session, mqtt::ConnectReturn::not_authorized, "the identity was changed while the device connected");
  else if (session.phase() == Phase::authenticating)
    welcome(*attempt, entry);
  if (entry.connecting == 0) {
    entry.pushed = 0;
    entry.has_messages = false;
  }
  tidy_entry(device);
  session.end_work();
}

void HubCore::welcome(Attempt& attempt, Entry& entry) {
  const std::shared_ptr<Session> older = std::exchange(entry.live, attempt.session);
  ++counts_.connects;
  ++counts_.devices;
  if (older) {
    ++counts_.takeovers;
    --counts_.devices;
    ++counts_.disconnects;
    log_.info("hub.taken_over", {{"device", attempt.claim.name.identity.str()},
                                 {"old_peer", older->peer()},
                                 {"new_peer", attempt.session->peer()}});
    attempt.session->device.telemetry_unsaved += std::exchange(older->device.telemetry_unsaved, 0);
    older->end("a newer connection of the same device took over");
  }
  Session& session = *attempt.session;
  Session::Device& device = session.device;
  device.model_id = attempt.claim.name.model_id;
  device.is_clean = attempt.is_clean;
  device.will = attempt.will;
  device.subscriptions = attempt.stored.subscriptions;
  device.granted_qos = attempt.stored.granted_qos;
  const Duration one_and_a_half{attempt.keep_alive_seconds * 1500};  // MQTT 3.1.1 section 3.1.2.10
  device.silence_limit = attempt.keep_alive_seconds == 0 ? options_.limits.largest_keep_alive
                                                         : std::min(one_and_a_half, options_.limits.largest_keep_alive);
  device.proof = attempt.proof;
  device.expiry = attempt.proof_end;
  session.set_phase(Phase::connected);
  session.send(mqtt::ConnectAck{.session_present = device.subscriptions != 0, .code = mqtt::ConnectReturn::accepted});
  log_.debug("hub.connected", {{"device", attempt.claim.name.identity.str()},
                               {"peer", session.peer()},
                               {"clean", attempt.is_clean},
                               {"model_id", device.model_id},
                               {"client", attempt.claim.name.client_type}});
  note_connection(attempt.claim.name.identity,
                  {.is_connected = true, .at = clock_.now(), .last_activity = clock_.now(), .reason = {}});
  // A client with restored subscriptions does not ask for its twin again: what changed while it was away comes by
  // itself. A push that came after the snapshot was missed, and it may be a patch onto another one that was missed.
  if (entry.pushed > attempt.desired_version)
    send_whole_desired(session);
  else if (attempt.desired_version > device.desired_seen)
    send_desired(session, attempt.desired, attempt.desired_version);
  if (attempt.stored.queued_messages > 0 || entry.has_messages)
    device.bound = std::make_unique<Session::Device::Bound>();
  became_ready(session);
}

void HubCore::refuse(Session& session, mqtt::ConnectReturn code, const std::string& reason) {
  if (session.phase() == Phase::ended || session.phase() == Phase::flushing) return;
  ++counts_.refused;
  if (const auto number = static_cast<std::size_t>(code); number < counts_.refused_by_code.size())
    ++counts_.refused_by_code[number];
  log_.info("hub.refused", {{"peer", session.peer()},
                            {"device", session.device.id ? session.device.id->str() : ""},
                            {"code", static_cast<int>(code)},
                            {"reason", reason}});
  session.send(mqtt::ConnectAck{.session_present = false, .code = code});
  session.end_after_flush("refused: " + reason);
}

}  // namespace godwit::hub
