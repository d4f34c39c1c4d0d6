// Where devices without an identity come in: provisioning visits over MQTT, from CONNECT to the last answer. A visitor
// reaches its own registration and nothing else. Belongs to the hub's loop, apart from what doors run elsewhere.
#pragma once

#include <functional>
#include <memory>
#include <unordered_map>

#include "core/base/log.hpp"
#include "server/hub/provisioning/provisioner.hpp"
#include "server/hub/provisioning/visit.hpp"
#include "server/hub/session.hpp"

namespace godwit::hub {

struct ReceptionOptions {
  std::string id_scope{};      // in user names and tokens
  std::string assigned_hub{};  // the host name (and port, if unusual) that devices are told
};

class Reception {
 public:
  /// What the hub does for its reception.
  struct Doors {
    using Then = std::function<void(const Result<void>&)>;
    std::function<void(store::Store::Job, Then)> read{};    // over a snapshot, then on the loop
    std::function<void(store::Store::Job, Then)> submit{};  // on the writer, then on the loop
    std::function<void(Session&, mqtt::ConnectReturn, const std::string& reason)> refuse{};
    std::function<bool()> begin_connect{};  // false: too many at a time
    std::function<void()> end_connect{};
    std::function<void(Session&)> note_bad_credentials{};
    std::function<void()> note_registration{};
  };

  /// References outlive the reception.
  Reception(ReceptionOptions options, const Limits& limits, const Registry& registry, TrustCache& trust, Clock& clock,
            Log& log, Doors doors);

  /// For a CONNECT whose user name is_provisioning_user_name().
  void on_connect(Session& session, const mqtt::Connect& connect);
  /// True for a session that was let in here: its packets come to on_packet().
  [[nodiscard]] bool has(const Session& session) const { return visits_.contains(&session); }
  void on_packet(Session& session, mqtt::Packet packet);
  /// The session is closed. Harmless for one that was never here.
  void forget(Session& session);

 private:
  struct Visit {
    std::shared_ptr<Session> session;
    VisitClaim claim;
    std::vector<Bytes> shown{};  // certificates, until they are parsed
    std::uint16_t keep_alive_seconds = 0;
    Attested attested{};
    bool is_subscribed = false;
    std::size_t requests = 0;
    std::string id{};  // canonical registration id
  };
  using VisitPointer = std::shared_ptr<Visit>;

  [[nodiscard]] Result<void> look_up(store::Records& records, Visit& visit) const;  // pool
  void looked_up(const VisitPointer& visit, const Result<void>& outcome);
  void welcome(const VisitPointer& visit);
  void on_publish(const VisitPointer& visit, const mqtt::Publish& publish);
  void on_subscribe(Visit& visit, const mqtt::Subscribe& subscribe) const;
  void put_registration(const VisitPointer& visit, const VisitTopic& topic, std::string_view body);
  void get_status(const VisitPointer& visit, const VisitTopic& topic);
  void answer(const Visit& visit, const std::string& request_id, const store::RegistrationRecord& registration) const;
  void answer_error(const Visit& visit, const std::string& request_id, const Error& error) const;

  const ReceptionOptions options_;
  const Limits& limits_;
  const Provisioner provisioner_;
  TrustCache& trust_;
  Clock& clock_;
  Log& log_;
  const Doors doors_;
  std::unordered_map<const Session*, VisitPointer> visits_{};
  std::unordered_map<std::string, Session*> session_of_{};  // by canonical registration id: the newest
};

}  // namespace godwit::hub
