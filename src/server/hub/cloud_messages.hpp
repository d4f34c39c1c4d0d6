// Cloud-to-device messages: a short, durable queue for each identity. They are put in by operators, handed to
// connections by the hub, and end by the device's acknowledgement, by time, by too many tries, or by a purge; a sender
// who asked for it finds the end in the feedback. Every function works inside a transaction of the store.
// Writer thread (inside Store jobs).
#pragma once

#include <functional>
#include <optional>

#include "core/base/clock.hpp"
#include "server/hub/property_bag.hpp"
#include "server/store/store.hpp"

namespace godwit::hub {

struct CloudMessageLimits {
  std::size_t bytes = 64 * 1024;  // payload, property names and values
  std::size_t per_identity = 50;
  Duration default_life = std::chrono::hours(1);
  Duration longest_life = std::chrono::hours(48);
  std::uint32_t deliveries = 10;  // a message that was handed over so often without an answer is given up
  std::size_t in_flight = 4;      // unacknowledged messages of one connection
  std::size_t feedback = 10'000;  // newest ends that are kept
  Duration sweep_interval{30'000};
};

struct NewCloudMessage {
  IdentityId id;
  PropertyBag properties{};  // what the sender gave; "to" is added
  std::string payload{};
  std::optional<WallTime> expires{};
  store::Acknowledgement acknowledgement = store::Acknowledgement::none;
};

/// Errors: invalid_argument, too_large. `now` is for the expiry.
[[nodiscard]] Result<void> check_message(const NewCloudMessage& message, const CloudMessageLimits& limits,
                                         WallTime now);

/// `devices/{id}[/modules/{module}]/messages/devicebound/{properties}`.
[[nodiscard]] std::string device_bound_topic(const IdentityId& id, std::string_view properties);

class CloudMessages {
 public:
  /// Tells that something waits for `id`. Any thread; returns at once.
  using Nudge = std::function<void(const IdentityId& id)>;
  CloudMessages(Clock& clock, Nudge nudge, const CloudMessageLimits& limits = {});

  /// Errors: those of check_message, not_found, too_many (the queue is full).
  [[nodiscard]] Result<store::CloudMessage> send(store::Records& records, const NewCloudMessage& wanted) const;
  /// Removes what waits for `id` and returns how many they were. Errors: not_found.
  [[nodiscard]] Result<std::size_t> purge(store::Records& records, const IdentityId& id) const;

  /// The next messages behind `after`, each counted as one delivery more; those that were handed over too often end.
  [[nodiscard]] Result<std::vector<store::CloudMessage>> hand_over(store::Records& records, const IdentityId& id,
                                                                   std::int64_t after, std::size_t limit) const;
  /// The device has it. A message that is gone is no error.
  [[nodiscard]] Result<void> complete(store::Records& records, std::int64_t sequence) const;
  /// Ends what has expired, at most `limit` of them, and returns how many they were.
  [[nodiscard]] Result<std::size_t> expire(store::Records& records, std::size_t limit) const;

 private:
  [[nodiscard]] Result<void> end(store::Records& records, const store::CloudMessage& message,
                                 store::MessageEnd how) const;

  Clock& clock_;
  Nudge nudge_;
  const CloudMessageLimits limits_;
};

}  // namespace godwit::hub
