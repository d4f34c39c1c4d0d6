// One connection to the hub as a protocol without I/O: bytes and time go in, bytes and events come out. Speaks the
// device's side of MQTT 3.1.1 as an IoT hub expects it: CONNECT, the two twin subscriptions, who the device is, twin
// GET, reported patches with their answers, pings. Small enough to have thousands of them in one process (tools/fleet).
// A value-like object for one thread; one per connection, made anew for the next.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/base/clock.hpp"
#include "core/base/error.hpp"
#include "core/base/json.hpp"
#include "core/base/secret.hpp"
#include "core/mqtt/packets.hpp"

namespace godwit::agent {

/// Who connects, and how patient it is.
struct SessionSettings {
  std::string hub_name;
  std::string device_id;
  std::string model_id = "dtmi:azure:iot:deviceUpdateModel;3";
  std::string api_version = "2021-04-12";
  std::string client_type{};     // DeviceClientType, for who looks at connections; "" for none
  std::string identity_patch{};  // JSON of the first reported patch after each connect; "" for none
  Duration keep_alive = std::chrono::minutes(4);
  Duration answer_limit = std::chrono::seconds(30);  // welcome, subscriptions, pings, reported patches
  Duration twin_limit = std::chrono::seconds(60);
  std::size_t packet_limit = 256 * 1024;
};

/// The hub has taken us in: subscriptions stand. Identity and twin GET are under way.
struct SessionReady {
  bool session_present = false;
};
/// The whole desired section (without $version) after the GET or a patch.
struct SessionDesired {
  json::Object desired;
  std::uint64_t version = 0;
};
/// What the hub said to a reported patch; status 0: nothing, in time.
struct SessionAnswer {
  std::uint64_t token = 0;
  int status = 0;
};
using SessionEvent = std::variant<SessionReady, SessionDesired, SessionAnswer>;

class HubSession {
 public:
  explicit HubSession(SessionSettings settings) : settings_(std::move(settings)) {}

  /// The text of the user name in CONNECT: "{hub}/{device}/?api-version=..[&DeviceClientType=..]&model-id=..".
  [[nodiscard]] static std::string user_name(const SessionSettings& settings);

  /// Queues CONNECT. `password` is a SAS token, empty when a client certificate speaks for the device.
  void start(const Secret& password, Duration now);
  /// Takes bytes from the hub. An Error ends the session: close the connection.
  /// Errors: unauthorized, unavailable (refused), bad_packet, too_large, bad_json, refused (a subscription).
  [[nodiscard]] Result<void> receive(std::string_view bytes, Duration now);
  /// Pings and time limits. Errors: timed_out.
  [[nodiscard]] Result<void> tick(Duration now);
  /// When tick() is needed next.
  [[nodiscard]] Duration deadline() const;

  /// Sends a reported patch; its answer comes as SessionAnswer with `token`. Only after SessionReady.
  void report(std::uint64_t token, std::string_view patch, Duration now);
  /// Reads the whole twin once more; it comes as SessionDesired. Nothing happens before SessionReady.
  void ask_twin(Duration now);
  /// Queues DISCONNECT.
  void finish();

  /// Bytes for the hub, in order; the caller takes them all.
  [[nodiscard]] std::string take_output() { return std::exchange(output_, {}); }
  [[nodiscard]] std::vector<SessionEvent> take_events() { return std::exchange(events_, {}); }
  [[nodiscard]] bool is_ready() const { return stage_ == Stage::ready; }
  /// The hub said something to CONNECT, be it no.
  [[nodiscard]] bool was_answered() const { return was_answered_; }
  /// Nothing is waiting for an answer.
  [[nodiscard]] bool is_quiet() const { return requests_.empty() && !ping_sent_at_; }

 private:
  enum class Stage : std::uint8_t { fresh, connecting, subscribing, ready };
  enum class Asked : std::uint8_t { identity, twin, patch };
  struct Request {
    Asked asked;
    std::uint64_t token;
    Duration expires_at;
  };

  void send(const mqtt::Packet& packet, Duration now);
  void publish(std::string topic, std::string payload, Duration now);
  void get_twin(Duration now);
  [[nodiscard]] bool is_getting_twin() const;
  [[nodiscard]] Result<void> handle(const mqtt::Packet& packet, Duration now);
  [[nodiscard]] Result<void> on_connect_ack(const mqtt::ConnectAck& ack, Duration now);
  [[nodiscard]] Result<void> on_subscribe_ack(const mqtt::SubscribeAck& ack, Duration now);
  [[nodiscard]] Result<void> on_publish(const mqtt::Publish& publish, Duration now);
  [[nodiscard]] Result<void> on_answer(std::string_view rest, const std::string& body);
  [[nodiscard]] Result<void> on_twin(const std::string& body);
  [[nodiscard]] Result<void> on_desired_patch(std::string_view rest, const std::string& body, Duration now);

  SessionSettings settings_;
  Stage stage_ = Stage::fresh;
  bool was_answered_ = false;
  bool session_present_ = false;
  std::string input_;
  std::string output_;
  std::vector<SessionEvent> events_;
  std::map<std::uint64_t, Request> requests_;  // by request id
  std::uint64_t next_request_ = 1;
  std::optional<json::Object> desired_;  // nullopt until the GET was answered
  std::uint64_t desired_version_ = 0;
  bool must_get_again_ = false;  // a patch came while the GET was under way
  Duration last_sent_at_{};
  std::optional<Duration> ping_sent_at_;
  Duration stage_expires_at_{};
};

}  // namespace godwit::agent
