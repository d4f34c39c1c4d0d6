#include "server/hub/cloud_messages.hpp"

#include <algorithm>

namespace godwit::hub {
namespace {

constexpr std::size_t kIdLimit = 128;
constexpr std::size_t kAllWaiting = 100'000;  // more than any queue holds

tl::unexpected<Error> no_such(const IdentityId& id) {
  return fail(Code::not_found, std::string(id.is_module() ? "module '" : "device '") + id.str() + "' does not exist");
}

std::size_t size_of(const NewCloudMessage& message) {
  std::size_t size = message.payload.size();
  for (const auto* part : {&message.properties.system, &message.properties.application})
    for (const Property& property : *part) size += property.key.size() + property.value.value_or("").size();
  return size;
}

/// Ids may hold what no topic name may: the two wildcards.
std::string topic_level(std::string_view id) {
  std::string level;
  for (const char c : id) level += c == '+' ? "%2B" : c == '#' ? "%23" : std::string(1, c);
  return level;
}

/// The properties as they are sent: the sender's, the address, and the wish for an acknowledgement, as the original.
PropertyBag bag_of(const NewCloudMessage& message) {
  PropertyBag bag = message.properties;
  bag.set_system("to", std::string("/") + device_bound_topic(message.id, ""));
  if (message.expires) bag.set_system("exp", format_time(*message.expires));
  const auto ack = [&](std::string value) {
    bag.application.push_back({.key = "iothub-ack", .value = std::move(value)});
  };
  switch (message.acknowledgement) {
    case store::Acknowledgement::none: break;
    case store::Acknowledgement::positive: ack("positive"); break;
    case store::Acknowledgement::negative: ack("negative"); break;
    case store::Acknowledgement::full: ack("full"); break;
  }
  return bag;
}

bool wants_to_hear(store::Acknowledgement wish, store::MessageEnd how) {
  switch (wish) {
    case store::Acknowledgement::none: return false;
    case store::Acknowledgement::positive: return how == store::MessageEnd::success;
    case store::Acknowledgement::negative: return how != store::MessageEnd::success;
    case store::Acknowledgement::full: return true;
  }
  return false;
}

}  // namespace

std::string device_bound_topic(const IdentityId& id, std::string_view properties) {
  std::string topic = "devices/" + topic_level(id.device_text());
  if (id.is_module()) topic += "/modules/" + topic_level(id.module_text());
  return topic + "/messages/devicebound" + (properties.empty() ? "" : "/" + std::string(properties));
}

Result<void> check_message(const NewCloudMessage& message, const CloudMessageLimits& limits, WallTime now) {
  if (const std::size_t size = size_of(message); size > limits.bytes)
    return fail(Code::too_large, "the message has " + std::to_string(size) + " bytes with its properties; " +
                                     std::to_string(limits.bytes) + " are allowed");
  for (const Property& property : message.properties.application)
    if (property.key.starts_with("iothub-") || property.key.starts_with("$"))
      return fail(Code::invalid_argument, "property '" + property.key.substr(0, 64) +
                                              "': names that begin with 'iothub-' or '$' are the hub's");
  if (message.properties.system_value("mid").size() > kIdLimit ||
      message.properties.system_value("cid").size() > kIdLimit)
    return fail(Code::too_large, "message id and correlation id have at most 128 bytes");
  // Read back as any other properties: one set of limits for all.
  if (const auto bag = parse_bag(print_bag(bag_of(message))); !bag) return with_context("properties", bag.error());
  if (message.expires && (*message.expires <= now || *message.expires > now + limits.longest_life))
    return fail(Code::invalid_argument,
                "the expiry time is in the past or more than " +
                    std::to_string(std::chrono::duration_cast<std::chrono::hours>(limits.longest_life).count()) +
                    " hours away");
  return {};
}

CloudMessages::CloudMessages(Clock& clock, Nudge nudge, const CloudMessageLimits& limits)
    : clock_(clock), nudge_(std::move(nudge)), limits_(limits) {}

Result<store::CloudMessage> CloudMessages::send(store::Records& records, const NewCloudMessage& wanted) const {
  const WallTime now = clock_.now();
  GODWIT_TRY_VOID(check_message(wanted, limits_, now));
  GODWIT_TRY(const auto identity, records.devices().find_identity(wanted.id));
  if (!identity) return no_such(wanted.id);
  GODWIT_TRY(const std::size_t waiting, records.messages().count_messages(wanted.id));
  if (waiting >= limits_.per_identity)
    return fail(Code::too_many, std::to_string(waiting) + " messages wait for '" + wanted.id.str() +
                                    "' already; let it take some, or purge the queue");
  store::CloudMessage message{.id = wanted.id,
                              .message_id = wanted.properties.system_value("mid"),
                              .properties = print_bag(bag_of(wanted)),
                              .payload = wanted.payload,
                              .enqueued = now,
                              .expires = wanted.expires.value_or(now + limits_.default_life),
                              .acknowledgement = wanted.acknowledgement};
  GODWIT_TRY(message.sequence, records.messages().append_message(message));
  records.after_commit([nudge = nudge_, id = wanted.id] { nudge(id); });
  return message;
}

Result<std::size_t> CloudMessages::purge(store::Records& records, const IdentityId& id) const {
  GODWIT_TRY(const auto identity, records.devices().find_identity(id));
  if (!identity) return no_such(id);
  GODWIT_TRY(const auto waiting, records.messages().list_messages(id, 0, WallTime::min(), kAllWaiting));
  for (const store::CloudMessage& message : waiting) GODWIT_TRY_VOID(end(records, message, store::MessageEnd::purged));
  return waiting.size();
}

Result<std::vector<store::CloudMessage>> CloudMessages::hand_over(store::Records& records, const IdentityId& id,
                                                                  std::int64_t after, std::size_t limit) const {
  std::vector<store::CloudMessage> chosen;
  while (chosen.size() < limit) {
    GODWIT_TRY(auto next, records.messages().list_messages(id, after, clock_.now(), limit - chosen.size()));
    if (next.empty()) break;
    for (store::CloudMessage& message : next) {
      after = message.sequence;
      if (message.deliveries >= limits_.deliveries) {
        GODWIT_TRY_VOID(end(records, message, store::MessageEnd::delivery_count_exceeded));
        continue;
      }
      ++message.deliveries;
      GODWIT_TRY_VOID(records.messages().save_deliveries(message.sequence, message.deliveries));
      chosen.push_back(std::move(message));
    }
  }
  return chosen;
}

Result<void> CloudMessages::complete(store::Records& records, std::int64_t sequence) const {
  GODWIT_TRY(const auto message, records.messages().find_message(sequence));
  return message ? end(records, *message, store::MessageEnd::success) : Result<void>{};
}

Result<std::size_t> CloudMessages::expire(store::Records& records, std::size_t limit) const {
  GODWIT_TRY(const auto expired, records.messages().list_expired(clock_.now(), limit));
  for (const store::CloudMessage& message : expired) GODWIT_TRY_VOID(end(records, message, store::MessageEnd::expired));
  return expired.size();
}

Result<void> CloudMessages::end(store::Records& records, const store::CloudMessage& message,
                                store::MessageEnd how) const {
  GODWIT_TRY_VOID(records.messages().remove_message(message.sequence));
  if (!wants_to_hear(message.acknowledgement, how)) return {};
  GODWIT_TRY(const auto identity, records.devices().find_identity(message.id));
  return records.messages().append_feedback({.device = message.id.str(),
                                             .generation = identity ? identity->generation : "",
                                             .message_id = message.message_id,
                                             .end = how,
                                             .at = clock_.now()},
                                            limits_.feedback);
}

}  // namespace godwit::hub
