// One device's connection: TLS, WebSocket frames where it came that way, MQTT framing, an outgoing buffer with a bound,
// and what the hub knows about the peer.
// It decides nothing: whole packets go to the SessionOwner, which also ends it. No timers: the owner looks at the
// times. Belongs to the hub's loop; kept alive by shared_ptr until its last callback has run. Holds no buffers while
// idle.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/model/ids.hpp"
#include "core/mqtt/packets.hpp"
#include "core/websocket/websocket.hpp"
#include "server/hub/limits.hpp"
#include "server/net/connection.hpp"

namespace godwit::hub {

class Session;

class SessionOwner {
 public:
  virtual ~SessionOwner() = default;
  virtual void on_handshake(Session& session, const Result<void>& outcome) = 0;
  virtual void on_packet(Session& session, mqtt::Packet packet) = 0;
  /// Exactly once, when the socket is closed. `reason` is one sentence.
  virtual void on_end(Session& session, const std::string& reason) = 0;
  /// A read buffer that all sessions of the loop share.
  [[nodiscard]] virtual std::span<char> scratch() = 0;
  /// Room for answers that nobody uses at this moment: an idle session keeps none, and making it anew costs time.
  [[nodiscard]] virtual std::string& spare() = 0;
  [[nodiscard]] virtual Duration monotonic() const = 0;
};

enum class Phase : std::uint8_t { shaking_hands, awaiting_connect, authenticating, connected, flushing, ended };

/// What a session consists of between two hubs: its connection at rest, and what was read and not yet written.
struct PartedSession {
  net::DetachedConnection connection{};
  std::unique_ptr<websocket::Framing> framing{};
  std::string incoming{};
  std::string outgoing{};
};

class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(net::Tcp::socket socket, const net::TlsContext& tls, SessionOwner& owner, const Limits& limits);

  /// One that came over HTTPS and asked to become a WebSocket.
  Session(net::asio::io_context& context, net::DetachedConnection connection, SessionOwner& owner,
          const Limits& limits);

  /// One that another hub has parted from.
  Session(net::asio::io_context& context, PartedSession parted, SessionOwner& owner, const Limits& limits);

  void start();
  /// Instead of start(), for the third kind: `connect` is what the device has said so far.
  void resume(const mqtt::Connect& connect);
  /// Gives the connection away and ends; the owner hears of the end. Not from inside a callback of the session.
  [[nodiscard]] PartedSession part(const std::string& reason);
  /// Instead of start(), for the second kind: `welcome` is sent before any frame, `first_bytes` have been read already.
  void start_websocket(std::string_view welcome, std::string first_bytes);
  /// Instead of both: one try to say so, then the socket is closed. The owner hears nothing.
  void turn_away(std::string_view refusal);
  void send(const mqtt::Packet& packet);
  /// PUBLISH at QoS 0, without a copy of the payload on the way.
  void send_publish(std::string_view topic, std::string_view payload);
  /// Closes at once. Idempotent; the first reason counts.
  void end(const std::string& reason);
  /// Closes when what was sent is on its way (or after Limits::flush_time). No more packets are taken.
  void end_after_flush(const std::string& reason);

  // An unanswered request: while there are too many the socket is left unread, so that TCP holds the device back.
  void begin_work() { ++in_flight_; }
  void end_work();

  void set_phase(Phase phase);
  [[nodiscard]] Phase phase() const { return phase_; }
  [[nodiscard]] bool is_live() const { return phase_ == Phase::connected; }
  /// Why it must be ended now for its times, "" if it need not.
  [[nodiscard]] std::string overdue(Duration now, WallTime wall_now) const;

  [[nodiscard]] const std::string& peer() const { return connection_.peer(); }
  /// DER of the certificates the peer showed, its own first; often none.
  [[nodiscard]] std::vector<std::string> peer_certificates() const { return connection_.peer_certificates(); }
  [[nodiscard]] std::size_t unsent() const { return outgoing_.size() - sent_; }

  /// How the peer proved itself, and so what it means when `expiry` comes.
  enum class Proof : std::uint8_t { token, thumbprint, authority, visit };
  /// What CONNECT made known. Written by the hub only.
  struct Device {
    std::optional<IdentityId> id{};
    std::string model_id{};
    bool is_clean = false;
    std::shared_ptr<const mqtt::Will> will{};
    Proof proof = Proof::token;
    std::uint8_t subscriptions = 0;
    std::uint8_t granted_qos = 0;
    Duration silence_limit{};          // from keep-alive; 0 before CONNECT
    WallTime expiry{};                 // of the proof, slack included
    std::uint64_t desired_seen = 1;    // highest desired version sent here; a fresh, empty section is 1
    std::size_t writes_in_flight = 0;  // reported patches not yet durable
    WallTime last_activity{};
    bool is_activity_unsaved = false;
    std::uint64_t telemetry_unsaved = 0;  // messages since they were last written down

    /// Messages of others on their way to it. Most devices never have one.
    struct Bound {
      bool has_more = true;  // something may wait in the store
      bool is_loading = false;
      std::int64_t last_sequence = 0;
      std::map<std::uint16_t, std::int64_t> unacknowledged{};  // packet id -> sequence
    };
    std::unique_ptr<Bound> bound{};
  };
  Device device;
  bool is_shaking_hands = true;  // counted by the owner among the handshakes under way

 private:
  void pump();
  void wait_to_read();
  void wait_to_write();
  [[nodiscard]] bool can_take() const;
  /// Hands whole packets out; returns how many bytes are used up.
  [[nodiscard]] std::size_t take_packets(std::string_view bytes);
  void take_bytes(std::string_view bytes);
  [[nodiscard]] bool may_send() const { return phase_ != Phase::ended && phase_ != Phase::flushing; }
  /// After a packet was appended to outgoing_, where it begins at `begin`: gives it its frame.
  void sent_packet(std::size_t begin);
  /// After something was appended to outgoing_. While packets are taken in, answers are gathered into one write.
  void sent_more();
  void take_raw(std::span<char> bytes);
  void finish_websocket();
  void flush();
  /// Makes room in outgoing_ from the owner's spare one, and gives it back.
  void borrow_room();
  void return_room();

  SessionOwner& owner_;
  const Limits& limits_;
  net::Connection connection_;
  std::unique_ptr<websocket::Framing> framing_;  // null for MQTT right over TLS
  std::string incoming_;                         // the beginning of a packet, or packets that may not be taken yet
  std::string outgoing_;
  std::size_t sent_ = 0;  // of outgoing_
  std::string end_reason_;
  Duration phase_since_{};
  Duration last_heard_{};
  Duration last_write_{};
  std::uint32_t in_flight_ = 0;
  int packets_left_ = 0;  // of this turn: one busy device must not starve the others
  Phase phase_ = Phase::shaking_hands;
  bool has_said_goodbye_ = false;  // DISCONNECT came
  bool has_sent_close_ = false;    // the frame
  bool is_pumping_ = false;
  bool is_waiting_to_read_ = false;
  bool is_waiting_to_write_ = false;
};

}  // namespace godwit::hub
