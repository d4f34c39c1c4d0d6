// Messages that wait for their device, and what became of them for whoever asked to be told. Part of a transaction, see
// store.hpp. The meaning of the fields is the hub's (hub/cloud_messages.hpp).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/base/clock.hpp"
#include "core/base/error.hpp"
#include "core/model/ids.hpp"

namespace godwit::store {

/// Of which ends the sender wants to hear; stored, so never renumbered.
enum class Acknowledgement : std::uint8_t { none = 0, positive = 1, negative = 2, full = 3 };
/// How a message ended; stored, so never renumbered.
enum class MessageEnd : std::uint8_t {
  success = 0,
  expired = 1,
  delivery_count_exceeded = 2,
  rejected = 3,
  purged = 4
};

struct CloudMessage {
  std::int64_t sequence = 0;  // given by the store, rising
  IdentityId id;
  std::string message_id{};
  std::string properties{};  // as they go into the topic
  Bytes payload{};
  WallTime enqueued{};
  WallTime expires{};
  std::uint32_t deliveries = 0;  // how often it was handed to a connection
  Acknowledgement acknowledgement = Acknowledgement::none;
};

struct Feedback {
  std::int64_t sequence = 0;  // given by the store, rising
  std::string device{};       // identity as text; it may be gone by now
  std::string generation{};
  std::string message_id{};
  MessageEnd end = MessageEnd::success;
  WallTime at{};
};

class MessageRecords {
 public:
  virtual ~MessageRecords() = default;
  /// Returns its sequence; `message.sequence` is ignored.
  [[nodiscard]] virtual Result<std::int64_t> append_message(const CloudMessage& message) = 0;
  [[nodiscard]] virtual Result<std::size_t> count_messages(const IdentityId& id) = 0;
  /// Of one identity, in order, behind `after`, expiring later than `now`; at most `limit`.
  [[nodiscard]] virtual Result<std::vector<CloudMessage>> list_messages(const IdentityId& id, std::int64_t after,
                                                                        WallTime now, std::size_t limit) = 0;
  [[nodiscard]] virtual Result<std::optional<CloudMessage>> find_message(std::int64_t sequence) = 0;
  [[nodiscard]] virtual Result<void> save_deliveries(std::int64_t sequence, std::uint32_t deliveries) = 0;
  [[nodiscard]] virtual Result<void> remove_message(std::int64_t sequence) = 0;
  /// Of all identities, those that expire at `now` or before, soonest first, without their payloads.
  [[nodiscard]] virtual Result<std::vector<CloudMessage>> list_expired(WallTime now, std::size_t limit) = 0;

  /// Keeps the newest `keep` only.
  [[nodiscard]] virtual Result<void> append_feedback(const Feedback& feedback, std::size_t keep) = 0;
  /// Oldest first.
  [[nodiscard]] virtual Result<std::vector<Feedback>> list_feedback(std::size_t limit) = 0;
  /// Up to and with `sequence`.
  [[nodiscard]] virtual Result<void> remove_feedback(std::int64_t sequence) = 0;
};

}  // namespace godwit::store
