// The inside of the hub, in files by what happens: hub_core.cpp (life, accept, sweep, records of connections),
// connect_flow.cpp (CONNECT to CONNACK), certificate_flow.cpp (client certificates), message_flow.cpp (subscriptions,
// twins, telemetry), to_device.cpp (methods, messages). Devices without an identity are the business of
// provisioning/reception.hpp. Everything runs on the hub's loop except where a function says otherwise. Looking
// identities up and reading twins happens on a small pool, writing on the store's writer; both answer by posting to the
// loop.
#pragma once

#include <array>
#include <atomic>
#include <map>
#include <unordered_map>

#include "server/hub/admission.hpp"
#include "server/hub/credentials.hpp"
#include "server/hub/hub.hpp"
#include "server/hub/provisioning/reception.hpp"
#include "server/hub/session.hpp"
#include "server/hub/store_desk.hpp"
#include "server/hub/topics.hpp"
#include "server/hub/twin_cache.hpp"
#include "server/net/acceptor.hpp"
#include "server/net/loop.hpp"

namespace godwit::hub {

class HubCore final : public SessionOwner {
 public:
  HubCore(Options options, store::Store& store, TwinObserver& observer, const net::TlsContext& tls, Clock& clock,
          Log& log);
  ~HubCore() override;

  [[nodiscard]] Result<void> start();
  void stop();
  void adopt(WebSocketArrival arrival);                     // any thread
  void adopt(PartedSession parted, mqtt::Connect connect);  // any thread
  [[nodiscard]] bool is_meant_by(std::string_view user_name) const;
  using FindCore = std::function<HubCore*(std::string_view user_name)>;
  void pass_on_with(FindCore find) { find_other_ = std::move(find); }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] Registry& registry() { return registry_; }
  [[nodiscard]] const CloudMessages& messages() const { return messages_; }
  void push_desired(const IdentityId& id, std::string payload, std::uint64_t version);  // any thread
  void drop(const IdentityId& id, std::string reason);                                  // any thread
  void recheck_certificates();                                                          // any thread
  void invoke(MethodCall call, MethodDone done);                                        // any thread
  [[nodiscard]] Counters counters() const;                                              // any thread

 private:
  using Then = StoreDesk::Then;
  /// One CONNECT on its way from the packet to CONNACK.
  struct Attempt {
    std::shared_ptr<Session> session;
    Claim claim;
    bool is_clean = false;
    std::shared_ptr<const mqtt::Will> will{};
    std::uint16_t keep_alive_seconds = 0;
    std::vector<Bytes> shown{};       // client certificates
    std::uint64_t drops = 0;          // of its entry, when it began
    std::uint64_t trust_changes = 0;  // when it began
    // Found by the lookup.
    Result<void> verdict{};  // unauthorized: the device's fault; else ours
    std::uint64_t identity_etag = 0;
    Session::Proof proof = Session::Proof::token;
    WallTime proof_end{};
    store::DeviceSession stored{};
    bool must_store = false;  // something of the session changes that must outlive it
    std::string desired{};    // the whole section, when the device is to be told at once
    std::uint64_t desired_version = 0;
  };
  /// What is known of a device while anything of it is alive here.
  struct Entry {
    std::shared_ptr<Session> live{};
    int connecting = 0;         // attempts between CONNECT and CONNACK
    std::uint64_t drops = 0;    // drop() calls: an attempt that began before one is void
    std::uint64_t pushed = 0;   // highest desired version pushed while one was connecting
    bool has_messages = false;  // some came while one was connecting
    WindowCounter takeovers{};
  };

  // hub_core.cpp
  void on_handshake(Session& session, const Result<void>& outcome) override;
  void on_packet(Session& session, mqtt::Packet packet) override;
  void on_end(Session& session, const std::string& reason) override;
  std::span<char> scratch() override { return scratch_; }
  std::string& spare() override { return spare_; }
  Duration monotonic() const override { return clock_.monotonic(); }
  void accepted(net::Tcp::socket socket);
  void arrived(WebSocketArrival arrival);
  [[nodiscard]] bool admit(const std::shared_ptr<Session>& session);
  /// Takes one from what may come in this second, whichever way.
  [[nodiscard]] bool may_come_now();
  /// Newcomers wait while too many handshakes run or too many came this second: a fleet that comes back all at once is
  /// let in at the pace of this machine.
  void brake();
  void note_handshake_over(Session& session);
  void sweep();
  void schedule_sweep();
  void save_activity();
  /// Lets go of an entry that nobody needs any more.
  void tidy_entry(const std::string& device);
  /// Written down a little later, many at once: who is connected is true in memory, and after a crash nobody is.
  void note_connection(const IdentityId& id, store::ConnectionNews news);
  void save_news();
  void end_all(const std::string& reason);
  /// As StoreDesk::write(); while stopping it is refused.
  void submit(store::Store::Job job, Then then);

  // connect_flow.cpp
  /// True: the device means another hub of this process and is on its way there.
  [[nodiscard]] bool pass_on(Session& session, const mqtt::Connect& connect);
  void on_connect(Session& session, const mqtt::Connect& connect);
  void refuse(Session& session, mqtt::ConnectReturn code, const std::string& reason);
  [[nodiscard]] Result<void> look_up(store::Records& records, Attempt& attempt);              // pool
  [[nodiscard]] Result<void> store_connect(store::Records& records, Attempt& attempt) const;  // writer
  [[nodiscard]] Result<void> check_proof(store::Records& records, const store::DeviceIdentity& identity,
                                         Attempt& attempt);  // pool
  [[nodiscard]] Result<std::string> judge_token(store::Records& records, const store::DeviceIdentity& identity,
                                                const Claim& claim) const;  // pool
  void note_bad_credentials(Session& session);
  void looked_up(const std::shared_ptr<Attempt>& attempt);
  void let_in(const std::shared_ptr<Attempt>& attempt, const Result<void>& outcome);
  void welcome(Attempt& attempt, Entry& entry);

  // certificate_flow.cpp
  [[nodiscard]] Result<void> check_shown(store::Records& records, const store::DeviceIdentity& identity,
                                         Attempt& attempt);  // pool
  struct Recheck;
  void recheck(std::shared_ptr<Recheck> batch);

  // message_flow.cpp
  void on_publish(Session& session, mqtt::Publish publish);
  void on_subscribe(Session& session, const mqtt::Subscribe& subscribe);
  void on_unsubscribe(Session& session, const mqtt::Unsubscribe& unsubscribe);
  void change_subscriptions(Session& session, mqtt::Packet answer, bool is_stored, bool wants_desired);
  void get_twin(Session& session, const DeviceTopic& topic);
  void patch_reported(Session& session, const DeviceTopic& topic, std::string_view payload);
  void answer_twin(Session& session, const std::string& request_id, const TwinAnswer& answer);
  void respond(Session& session, const std::string& topic, std::string_view payload);
  void take_telemetry(Session& session, std::string_view properties, std::string payload, bool is_retained,
                      bool is_will);
  void respond_error(Session& session, const std::string& request_id, const Error& error);
  void send_whole_desired(Session& session);
  void send_desired(Session& session, const std::string& payload, std::uint64_t version);

  // to_device.cpp
  void start_call(MethodCall call, MethodDone done);
  void send_calls(Session& session, const std::vector<MethodCalls::Message>& messages);
  /// What others have for a device is sent once it listens: after CONNACK and after each SUBACK.
  void became_ready(Session& session);
  void take_answer(const Session& session, const DeviceTopic& topic, std::string_view payload);
  void nudge(const IdentityId& id);  // any thread
  void hand_over(Session& session);
  void handed_over(Session& session, const std::vector<store::CloudMessage>& messages, std::size_t asked);
  [[nodiscard]] bool send_message(Session& session, const store::CloudMessage& message);
  void acknowledged(Session& session, std::uint16_t packet_id);
  void complete(Session& session, std::int64_t sequence);
  void sweep_messages(Duration now);

  struct Counts {
    std::atomic<std::uint64_t> connections{0}, devices{0}, connects{0}, refused{0}, turned_away{0}, takeovers{0},
        disconnects{0}, telemetry{0}, twin_gets{0}, reported_patches{0}, desired_pushes{0}, registrations{0},

        method_calls{0}, method_answers{0}, stray_answers{0}, messages_sent{0}, messages_completed{0};
    std::array<std::atomic<std::uint64_t>, 6> refused_by_code{};
  };

  const Options options_;
  store::Store& store_;
  TwinObserver& observer_;
  const net::TlsContext& tls_;
  Clock& clock_;
  Log& log_;
  Registry registry_;
  TrustCache trust_;
  HubNames names_{{}};
  FindCore find_other_{};
  Counts counts_;

  net::Loop loop_{"hub"};
  net::Acceptor acceptor_;
  net::asio::steady_timer sweep_timer_;
  net::asio::steady_timer news_timer_;
  std::map<IdentityId, store::ConnectionNews> news_;
  TwinCache twins_;
  StoreDesk desk_;
  std::array<char, 16 * 1024> scratch_{};
  std::string spare_;
  std::unordered_map<Session*, std::shared_ptr<Session>> sessions_;
  std::unordered_map<std::string, Entry> entries_;
  Admission admission_;
  TokenBucket accepts_;
  std::size_t handshakes_ = 0;
  bool is_braking_ = false;
  net::asio::steady_timer brake_timer_;
  MethodCalls methods_;
  CloudMessages messages_;
  Duration next_message_sweep_{};
  std::size_t connects_in_flight_ = 0;
  Reception reception_;
  std::uint64_t trust_changes_ = 0;  // authorities or revocation lists
  Duration next_activity_save_{};
  std::uint64_t turned_away_logged_ = 0;
  bool is_stopping_ = false;

  std::uint16_t port_ = 0;
  bool is_started_ = false;  // start() and stop(): one thread
};

}  // namespace godwit::hub
