// One conversation with a provisioning service as a protocol without I/O, like HubSession: CONNECT, one subscription,
// one registration, polls until it is decided. A value-like object for one thread; made anew for each try.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/clock.hpp"
#include "core/base/error.hpp"
#include "core/base/json.hpp"
#include "core/base/secret.hpp"
#include "core/mqtt/packets.hpp"

namespace godwit::agent {

/// Who asks, and how patient it is.
struct RegistrationRequest {
  std::string id_scope;
  std::string registration_id;
  std::string client_version;  // for the service's logs; "" for none
  std::string model_id = "dtmi:azure:iot:deviceUpdateModel;3";
  Duration answer_limit = std::chrono::seconds(30);
  Duration whole_limit = std::chrono::minutes(3);  // polls included
};

/// Where a device belongs.
struct Assignment {
  std::string hub;  // name, perhaps with ":port"
  std::string device_id;
  bool operator==(const Assignment&) const = default;
};

class ProvisioningSession {
 public:
  explicit ProvisioningSession(RegistrationRequest request) : request_(std::move(request)) {}

  /// "{idScope}/registrations/{registrationId}/api-version=...": no '?' here.
  [[nodiscard]] static std::string user_name(const RegistrationRequest& request);
  /// The scope of a token for it.
  [[nodiscard]] static std::string scope(const RegistrationRequest& request);

  /// Queues CONNECT. `password`: a SAS token, empty when a client certificate speaks for the device.
  void start(const Secret& password, Duration now);
  /// Errors: unauthorized (the service does not take this credential), refused (disabled, failed; with the service's
  /// words), unavailable, bad_packet, bad_json, too_large.
  [[nodiscard]] Result<void> receive(std::string_view bytes, Duration now);
  /// Polls and time limits. Errors: timed_out.
  [[nodiscard]] Result<void> tick(Duration now);
  [[nodiscard]] Duration deadline() const;

  [[nodiscard]] std::string take_output() { return std::exchange(output_, {}); }
  [[nodiscard]] bool was_answered() const { return was_answered_; }
  /// Set once the service has decided.
  [[nodiscard]] const std::optional<Assignment>& assignment() const { return assignment_; }

 private:
  enum class Stage : std::uint8_t { fresh, connecting, subscribing, registering, waiting, polling };

  void send(const mqtt::Packet& packet, Stage stage, Duration until);
  void ask(std::string topic, std::string body, Stage stage, Duration now);
  [[nodiscard]] Result<void> handle(const mqtt::Packet& packet, Duration now);
  [[nodiscard]] Result<void> on_answer(const mqtt::Publish& message, Duration now);
  [[nodiscard]] Result<void> on_registration(const json::Object& body);
  void poll_later(std::string_view topic, Duration now);

  RegistrationRequest request_;
  Stage stage_ = Stage::fresh;
  bool was_answered_ = false;
  std::string input_;
  std::string output_;
  std::string operation_;
  std::uint16_t next_packet_ = 1;
  Duration expires_at_{};
  Duration whole_expires_at_{};
  std::optional<Assignment> assignment_;
};

}  // namespace godwit::agent
