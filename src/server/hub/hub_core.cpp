#include "server/hub/hub_core.hpp"

#include <algorithm>
#include <utility>

#include "core/base/bytes.hpp"
#include "core/base/text.hpp"

namespace godwit::hub {
namespace {

constexpr std::string_view kStopped = "the hub was stopped";
constexpr std::size_t kActivityBatch = 200;
constexpr std::size_t kNewsBatch = 200;

Options with_provisioning(Options options) {
  const std::string name = options.names.empty() ? std::string{} : options.names.front();
  if (options.id_scope.empty()) options.id_scope = default_id_scope(name);
  if (options.assigned_hub.empty()) options.assigned_hub = name;
  return options;
}

/// Somewhere below 2^48, so that nobody guesses them and they do not run over.
std::uint64_t first_request_id() {
  std::uint64_t first = 0;
  for (const char c : random_bytes(6)) first = (first << 8) | static_cast<unsigned char>(c);
  return first;
}

}  // namespace

HubCore::HubCore(Options options, store::Store& store, TwinObserver& observer, const net::TlsContext& tls, Clock& clock,
                 Log& log)
    : options_(with_provisioning(std::move(options))),
      store_(store),
      observer_(observer),
      tls_(tls),
      clock_(clock),
      log_(log),
      registry_(clock, observer,
                {.push = [this](const IdentityId& id, std::string payload,
                                std::uint64_t version) { push_desired(id, std::move(payload), version); },
                 .drop = [this](const IdentityId& id, std::string reason) { drop(id, std::move(reason)); },
                 .changed = [this](const IdentityId& id) { twins_.forget(id.str()); }},
                options_.twin_limits),
      acceptor_(loop_.context(), log, [this](net::Tcp::socket socket) { accepted(std::move(socket)); }),
      sweep_timer_(loop_.context()),
      news_timer_(loop_.context()),
      twins_(options_.limits.twin_cache_bytes),
      desk_(loop_, store, options_.limits.subscription_delay),
      admission_(options_.limits),
      brake_timer_(loop_.context()),
      methods_(options_.limits.methods, first_request_id()),
      messages_(
          clock, [this](const IdentityId& id) { nudge(id); }, options_.limits.messages),
      reception_({.id_scope = options_.id_scope, .assigned_hub = options_.assigned_hub}, options_.limits, registry_,
                 trust_, clock, log,
                 {.read = [this](store::Store::Job job, Then then) { desk_.read(std::move(job), std::move(then)); },
                  .submit = [this](store::Store::Job job, Then then) { submit(std::move(job), std::move(then)); },
                  .refuse = [this](Session& session, mqtt::ConnectReturn code,
                                   const std::string& reason) { refuse(session, code, reason); },
                  .begin_connect =
                      [this] {
                        const bool has_room = connects_in_flight_ < options_.limits.connects_in_flight;
                        connects_in_flight_ += has_room ? 1U : 0U;
                        return has_room;
                      },
                  .end_connect = [this] { --connects_in_flight_; },
                  .note_bad_credentials = [this](Session& session) { note_bad_credentials(session); },
                  .note_registration = [this] { ++counts_.registrations; }}) {}

HubCore::~HubCore() { stop(); }

// ---- life --------------------------------------------------------------------------------------------------------

Result<void> HubCore::start() {
  GODWIT_CHECK(!is_started_);
  if (options_.names.empty()) return fail(Code::invalid_argument, "the hub needs at least one name (hub.names)");
  GODWIT_TRY_VOID(store_.write([now = clock_.now()](store::Records& records) {
    return records.devices().mark_all_disconnected("the hub was restarted", now);
  }));
  if (options_.listens) GODWIT_TRY_VOID(acceptor_.open(options_.address, options_.port));
  port_ = options_.listens ? acceptor_.port() : options_.port;
  std::vector<std::string> names = options_.names;
  for (const std::string& name : options_.names) names.push_back(name + ":" + std::to_string(port_));
  names_ = HubNames(names);
  next_activity_save_ = clock_.monotonic() + options_.limits.activity_save_interval;
  schedule_sweep();
  is_started_ = true;
  loop_.start();
  if (options_.listens)
    log_.info("hub.listening", {{"address", options_.address}, {"port", port_}});
  else
    log_.info("hub.ready", {{"name", options_.names.front()}, {"port", port_}});
  return {};
}

void HubCore::stop() {
  if (!std::exchange(is_started_, false)) return;
  loop_.run_and_wait([this] {
    acceptor_.close();
    sweep_timer_.cancel();
    news_timer_.cancel();
    brake_timer_.cancel();
    save_activity();
    save_news();
    desk_.hurry();
    is_stopping_ = true;
    methods_.end_all({Code::cancelled, std::string(kStopped)});
    end_all(std::string(kStopped));
  });
  desk_.stop_reads();
  loop_.run_and_wait([] {});  // what the reads posted has run; nothing submits any more
  desk_.wait_for_writes();
  loop_.stop();
  // Every other write of ours is done, so nobody says "connected" after this.
  if (auto marked = store_.write([now = clock_.now()](store::Records& records) {
        return records.devices().mark_all_disconnected(kStopped, now);
      });
      !marked)
    log_.warning("hub.store_failed", {{"what", "mark devices disconnected"}, {"error", marked.error().message}});
}

void HubCore::end_all(const std::string& reason) {
  std::vector<std::shared_ptr<Session>> all;
  all.reserve(sessions_.size());
  for (const auto& [pointer, session] : sessions_) all.push_back(session);
  for (const auto& session : all) session->end(reason);
}

void HubCore::submit(store::Store::Job job, Then then) {
  if (is_stopping_) return then(fail(Code::unavailable, std::string(kStopped)));
  desk_.write(std::move(job), std::move(then));
}

// ---- sockets -----------------------------------------------------------------------------------------------------

void HubCore::accepted(net::Tcp::socket socket) {
  auto session = std::make_shared<Session>(std::move(socket), tls_, *this, options_.limits);
  if (!admit(session)) return;
  ++handshakes_;
  if (!may_come_now() || handshakes_ >= options_.limits.handshakes_in_flight) brake();
  session->start();
}

void HubCore::arrived(WebSocketArrival arrival) {
  if (is_stopping_) return;  // closes the socket
  auto session = std::make_shared<Session>(loop_.context(), std::move(arrival.connection), *this, options_.limits);
  session->is_shaking_hands = false;
  // No kernel's queue holds this one back: when too many come it is told to try again.
  if (!may_come_now()) {
    ++counts_.turned_away;
    return session->turn_away(arrival.refusal);
  }
  if (!admit(session)) return session->turn_away(arrival.refusal);
  session->start_websocket(arrival.welcome, std::move(arrival.first_bytes));
}

bool HubCore::admit(const std::shared_ptr<Session>& session) {
  if (admission_.enter(session->peer(), monotonic()) != Admission::Verdict::welcome) {
    ++counts_.turned_away;
    return false;
  }
  ++counts_.connections;
  sessions_.emplace(session.get(), session);
  return true;
}

bool HubCore::may_come_now() {
  return accepts_.take(monotonic(), options_.limits.connects_per_second, options_.limits.connects_per_second);
}

void HubCore::brake() {
  constexpr std::chrono::milliseconds kLook{20};
  if (std::exchange(is_braking_, true)) return;
  acceptor_.hold();
  brake_timer_.expires_after(kLook);
  brake_timer_.async_wait([this](const net::ErrorCode& ec) {
    if (ec || is_stopping_) return;
    is_braking_ = false;
    const bool may_go_on = handshakes_ < options_.limits.handshakes_in_flight && may_come_now();
    may_go_on ? acceptor_.release() : brake();
  });
}

void HubCore::note_handshake_over(Session& session) {
  if (std::exchange(session.is_shaking_hands, false)) --handshakes_;
}

void HubCore::on_handshake(Session& session, const Result<void>& outcome) {
  note_handshake_over(session);
  if (!outcome) session.end("the TLS handshake failed: " + outcome.error().message);
}

void HubCore::on_packet(Session& session, mqtt::Packet packet) {
  session.device.last_activity = clock_.now();
  session.device.is_activity_unsaved = true;
  if (const auto* connect = std::get_if<mqtt::Connect>(&packet)) {
    if (session.phase() != Phase::awaiting_connect) return session.end("a second CONNECT came");
    return on_connect(session, *connect);
  }
  if (session.phase() != Phase::connected) return session.end("the first packet was no CONNECT");
  if (reception_.has(session)) return reception_.on_packet(session, std::move(packet));
  if (auto* publish = std::get_if<mqtt::Publish>(&packet)) return on_publish(session, std::move(*publish));
  if (const auto* subscribe = std::get_if<mqtt::Subscribe>(&packet)) return on_subscribe(session, *subscribe);
  if (const auto* unsubscribe = std::get_if<mqtt::Unsubscribe>(&packet)) return on_unsubscribe(session, *unsubscribe);
  if (std::holds_alternative<mqtt::PingRequest>(packet)) return session.send(mqtt::PingResponse{});
  if (const auto* ack = std::get_if<mqtt::PublishAck>(&packet)) return acknowledged(session, ack->packet_id);
  if (std::holds_alternative<mqtt::Disconnect>(packet)) {
    session.device.will.reset();  // MQTT 3.1.1 section 3.14.4: the will is discarded
    return session.end("the device said goodbye");
  }
  session.end("a packet came that only a server may send");
}

void HubCore::on_end(Session& session, const std::string& reason) {
  note_handshake_over(session);
  --counts_.connections;
  admission_.leave(session.peer());
  const std::string device = session.device.id ? session.device.id->str() : std::string{};
  log_.debug("hub.connection_ended", {{"peer", session.peer()}, {"device", device}, {"reason", reason}});
  if (const auto will = std::exchange(session.device.will, nullptr))
    take_telemetry(session, read_topic(will->topic, *session.device.id).properties, will->payload, will->retain, true);
  const auto found = session.device.id ? entries_.find(device) : entries_.end();
  if (found != entries_.end() && found->second.live.get() == &session) {
    found->second.live.reset();
    methods_.went(*session.device.id, monotonic());
    --counts_.devices;
    ++counts_.disconnects;
    note_connection(*session.device.id, {.is_connected = false,
                                         .at = clock_.now(),
                                         .last_activity = session.device.last_activity,
                                         .reason = reason,
                                         .telemetry = std::exchange(session.device.telemetry_unsaved, 0)});
    tidy_entry(device);
  }
  reception_.forget(session);
  sessions_.erase(&session);
}

void HubCore::tidy_entry(const std::string& device) {
  const auto found = entries_.find(device);
  if (found != entries_.end() && !found->second.live && found->second.connecting == 0) entries_.erase(found);
}

void HubCore::note_connection(const IdentityId& id, store::ConnectionNews news) {
  if (is_stopping_) return;  // stop() writes one line for all
  const bool is_first = news_.empty();
  if (const auto older = news_.find(id); older != news_.end()) news.telemetry += older->second.telemetry;
  news_.insert_or_assign(id, std::move(news));
  if (!is_first) return;
  news_timer_.expires_after(options_.limits.connection_news_delay);
  news_timer_.async_wait([this](const net::ErrorCode& ec) {
    if (!ec) save_news();
  });
}

void HubCore::save_news() {
  using Batch = std::vector<std::pair<IdentityId, store::ConnectionNews>>;
  std::vector<Batch> batches;
  for (auto& one : news_) {
    if (batches.empty() || batches.back().size() >= kNewsBatch) batches.emplace_back();
    batches.back().emplace_back(one.first, std::move(one.second));
  }
  news_.clear();
  for (Batch& batch : batches) {
    submit(
        [batch = std::move(batch)](store::Records& records) -> Result<void> {
          for (const auto& [id, news] : batch) GODWIT_TRY_VOID(records.devices().save_connection(id, news));
          return {};
        },
        [this](const Result<void>& outcome) {
          if (!outcome)
            log_.warning("hub.store_failed", {{"what", "save connections"}, {"error", outcome.error().message}});
        });
  }
}

// ---- times -------------------------------------------------------------------------------------------------------

void HubCore::schedule_sweep() {
  sweep_timer_.expires_after(options_.limits.sweep_interval);
  sweep_timer_.async_wait([this](const net::ErrorCode& ec) {
    if (ec || is_stopping_) return;
    sweep();
    schedule_sweep();
  });
}

void HubCore::sweep() {
  const Duration now = monotonic();
  const WallTime wall_now = clock_.now();
  std::vector<std::pair<std::shared_ptr<Session>, std::string>> overdue;
  for (const auto& [pointer, session] : sessions_)
    if (std::string why = session->overdue(now, wall_now); !why.empty()) overdue.emplace_back(session, std::move(why));
  for (const auto& [session, why] : overdue) session->end(why);
  admission_.sweep(now);
  methods_.sweep(now);
  sweep_messages(now);
  if (now >= next_activity_save_) {
    next_activity_save_ = now + options_.limits.activity_save_interval;
    save_activity();
  }
  if (const std::uint64_t turned_away = counts_.turned_away;
      turned_away != std::exchange(turned_away_logged_, turned_away))
    log_.warning("hub.turned_away", {{"total", turned_away},
                                     {"connections", admission_.connections()},
                                     {"remedy", "see the connection limits of the hub"}});
}

void HubCore::save_activity() {
  struct Activity {
    IdentityId id;
    WallTime time;
    std::uint64_t telemetry;
  };
  using Batch = std::vector<Activity>;
  std::vector<Batch> batches;
  for (const auto& [pointer, session] : sessions_) {
    if (!session->is_live() || !session->device.id) continue;  // a visitor has no identity yet
    if (!std::exchange(session->device.is_activity_unsaved, false)) continue;
    if (batches.empty() || batches.back().size() >= kActivityBatch) batches.emplace_back();
    batches.back().push_back({.id = *session->device.id,
                              .time = session->device.last_activity,
                              .telemetry = std::exchange(session->device.telemetry_unsaved, 0)});
  }
  for (Batch& batch : batches) {
    submit(
        [batch = std::move(batch)](store::Records& records) -> Result<void> {
          for (const Activity& one : batch)
            GODWIT_TRY_VOID(records.devices().save_activity(one.id, one.time, one.telemetry));
          return {};
        },
        [this](const Result<void>& outcome) {
          if (!outcome)
            log_.warning("hub.store_failed", {{"what", "save last activities"}, {"error", outcome.error().message}});
        });
  }
}

// ---- doors for other threads -------------------------------------------------------------------------------------

void HubCore::adopt(WebSocketArrival arrival) {
  loop_.post([this, held = std::make_shared<WebSocketArrival>(std::move(arrival))] { arrived(std::move(*held)); });
}

void HubCore::adopt(PartedSession parted, mqtt::Connect connect) {
  struct Arrival {
    PartedSession parted;
    mqtt::Connect connect;
  };
  loop_.post([this, held = std::make_shared<Arrival>(Arrival{std::move(parted), std::move(connect)})] {
    if (is_stopping_) return;  // closes the socket
    auto session = std::make_shared<Session>(loop_.context(), std::move(held->parted), *this, options_.limits);
    session->is_shaking_hands = false;
    if (!may_come_now() || !admit(session)) {
      ++counts_.turned_away;
      return session->turn_away("");
    }
    session->resume(held->connect);
  });
}

bool HubCore::is_meant_by(std::string_view user_name) const {
  if (is_provisioning_user_name(user_name))
    return equal_in_any_case(user_name.substr(0, user_name.find('/')), options_.id_scope);
  const auto name = parse_user_name(user_name);
  return name && names_.contains(name->hub);
}

void HubCore::push_desired(const IdentityId& id, std::string payload, std::uint64_t version) {
  loop_.post([this, id, payload = std::move(payload), version] {
    const auto found = entries_.find(id.str());
    if (found == entries_.end()) return;
    Entry& entry = found->second;
    if (entry.connecting > 0) entry.pushed = std::max(entry.pushed, version);
    if (entry.live) send_desired(*entry.live, payload, version);
  });
}

void HubCore::drop(const IdentityId& id, std::string reason) {
  loop_.post([this, id, reason = std::move(reason)] {
    const auto found = entries_.find(id.str());
    if (found == entries_.end()) return;
    ++found->second.drops;
    const auto live = found->second.live;
    if (!live) return;
    log_.info("hub.dropped", {{"device", id.str()}, {"reason", reason}});
    live->end(reason);
  });
}

Counters HubCore::counters() const {
  std::array<std::uint64_t, 6> by_code{};
  std::copy(counts_.refused_by_code.begin(), counts_.refused_by_code.end(), by_code.begin());
  return {.connections = counts_.connections,
          .devices = counts_.devices,
          .connects = counts_.connects,
          .refused = counts_.refused,
          .refused_by_code = by_code,
          .turned_away = counts_.turned_away,
          .takeovers = counts_.takeovers,
          .disconnects = counts_.disconnects,
          .telemetry = counts_.telemetry,
          .twin_gets = counts_.twin_gets,
          .reported_patches = counts_.reported_patches,
          .desired_pushes = counts_.desired_pushes,
          .registrations = counts_.registrations,
          .method_calls = counts_.method_calls,
          .method_answers = counts_.method_answers,
          .stray_answers = counts_.stray_answers,
          .messages_sent = counts_.messages_sent,
          .messages_completed = counts_.messages_completed};
}

// ---- Hub ---------------------------------------------------------------------------------------------------------

Hub::Hub(Options options, store::Store& store, TwinObserver& observer, const net::TlsContext& tls, Clock& clock,
         Log& log)
    : core_(std::make_unique<HubCore>(std::move(options), store, observer, tls, clock, log)) {}
Hub::~Hub() = default;
Result<void> Hub::start() { return core_->start(); }
void Hub::stop() { core_->stop(); }
void Hub::adopt(WebSocketArrival arrival) { core_->adopt(std::move(arrival)); }
std::uint16_t Hub::port() const { return core_->port(); }
Registry& Hub::registry() { return core_->registry(); }
const CloudMessages& Hub::messages() const { return core_->messages(); }
void Hub::push_desired(const IdentityId& id, std::string payload, std::uint64_t version) {
  core_->push_desired(id, std::move(payload), version);
}
void Hub::invoke(MethodCall call, MethodDone done) { core_->invoke(std::move(call), std::move(done)); }
void Hub::drop(const IdentityId& id, std::string reason) { core_->drop(id, std::move(reason)); }
void Hub::recheck_certificates() { core_->recheck_certificates(); }
bool Hub::is_meant_by(std::string_view user_name) const { return core_->is_meant_by(user_name); }
void Hub::pass_on_with(FindHub find) {
  core_->pass_on_with([find = std::move(find)](std::string_view user_name) {
    Hub* other = find(user_name);
    return other == nullptr ? nullptr : other->core_.get();
  });
}
Counters Hub::counters() const { return core_->counters(); }

}  // namespace godwit::hub
