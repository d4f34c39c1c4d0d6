// What others want of a connected device: direct methods and messages.
#include <utility>

#include "server/hub/hub_core.hpp"

namespace godwit::hub {

void HubCore::invoke(MethodCall call, MethodDone done) {
  // A large payload is looked at here, on the caller's thread.
  auto checked = check_call(call, options_.limits.methods);
  loop_.post([this, call = std::move(call), done = std::move(done), checked = std::move(checked)]() mutable {
    if (!checked) return done(tl::unexpected<Error>{checked.error()});
    start_call(std::move(call), std::move(done));
  });
}

void HubCore::start_call(MethodCall call, MethodDone done) {
  if (is_stopping_) return done(fail(Code::cancelled, "the hub was stopped"));
  ++counts_.method_calls;
  const auto found = entries_.find(call.id.str());
  const std::shared_ptr<Session> live = found == entries_.end() ? nullptr : found->second.live;
  const bool is_reachable = live && live->is_live() && has(live->device.subscriptions, Subscription::methods);
  const auto messages = methods_.add(std::move(call), std::move(done), is_reachable, monotonic());
  if (live) send_calls(*live, messages);
}

void HubCore::send_calls(Session& session, const std::vector<MethodCalls::Message>& messages) {
  for (const MethodCalls::Message& message : messages)
    session.send(mqtt::Publish{.topic = message.topic, .payload = message.payload});
}

void HubCore::became_ready(Session& session) {
  if (!session.is_live()) return;
  if (has(session.device.subscriptions, Subscription::methods))
    send_calls(session, methods_.came(*session.device.id, monotonic()));
  hand_over(session);
}

void HubCore::take_answer(const Session& session, const DeviceTopic& topic, std::string_view payload) {
  if (methods_.answer(*session.device.id, topic.request_id, topic.status, payload)) {
    ++counts_.method_answers;
    return;
  }
  ++counts_.stray_answers;
  log_.info("hub.stray_answer", {{"device", session.device.id->str()}, {"status", topic.status}});
}

// ---- messages ----------------------------------------------------------------------------------------------------

void HubCore::nudge(const IdentityId& id) {
  loop_.post([this, id] {
    const auto found = entries_.find(id.str());
    if (found == entries_.end()) return;
    found->second.has_messages = found->second.connecting > 0;
    if (!found->second.live) return;
    auto& bound = found->second.live->device.bound;
    if (!bound) bound = std::make_unique<Session::Device::Bound>();
    bound->has_more = true;
    hand_over(*found->second.live);
  });
}

/// Asks the store for as many messages as may be on their way. Handing over is written down first: a message that makes
/// its device fall over is given up after some tries.
void HubCore::hand_over(Session& session) {
  Session::Device::Bound* const bound = session.device.bound.get();
  if (bound == nullptr || !bound->has_more || bound->is_loading || !session.is_live()) return;
  if (!has(session.device.subscriptions, Subscription::device_bound)) return;
  const std::size_t most = options_.limits.messages.in_flight;
  // Where the device reads slowly the sweep asks again.
  if (bound->unacknowledged.size() >= most || session.unsent() > options_.limits.outgoing_high_water) return;
  const std::size_t room = most - bound->unacknowledged.size();
  bound->is_loading = true;
  bound->has_more = false;  // a nudge in the meantime says otherwise
  const auto messages = std::make_shared<std::vector<store::CloudMessage>>();
  session.begin_work();
  submit(
      [this, id = *session.device.id, after = bound->last_sequence, room,
       messages](store::Records& records) -> Result<void> {
        GODWIT_TRY(*messages, messages_.hand_over(records, id, after, room));
        return {};
      },
      [this, self = session.shared_from_this(), messages, room](const Result<void>& outcome) {
        self->device.bound->is_loading = false;
        if (!outcome) {
          self->device.bound->has_more = true;
          log_.warning(
              "hub.store_failed",
              {{"what", "hand messages over"}, {"device", self->device.id->str()}, {"error", outcome.error().message}});
        } else {
          handed_over(*self, *messages, room);
        }
        self->end_work();
      });
}

void HubCore::handed_over(Session& session, const std::vector<store::CloudMessage>& messages, std::size_t asked) {
  Session::Device::Bound& bound = *session.device.bound;
  for (const store::CloudMessage& message : messages) {
    if (!send_message(session, message)) {
      bound.has_more = true;
      return;
    }
    bound.last_sequence = message.sequence;
  }
  if (messages.size() == asked) bound.has_more = true;
  hand_over(session);
}

/// False: it could not be sent now.
bool HubCore::send_message(Session& session, const store::CloudMessage& message) {
  Session::Device& device = session.device;
  if (!session.is_live() || !has(device.subscriptions, Subscription::device_bound)) return false;
  mqtt::Publish publish{.topic = device_bound_topic(message.id, message.properties), .payload = message.payload};
  if (has(device.granted_qos, Subscription::device_bound)) {
    // A packet id that follows from the message stays the same over connections and restarts, as MQTT 3.1.1 section
    // 4.4 asks for what is sent again.
    const auto packet_id = static_cast<std::uint16_t>(1 + message.sequence % 65'535);
    if (!device.bound->unacknowledged.try_emplace(packet_id, message.sequence).second) return false;
    publish.qos = 1;
    publish.packet_id = packet_id;
    publish.duplicate = !device.is_clean && message.deliveries > 1;
  }
  ++counts_.messages_sent;
  session.send(publish);
  if (publish.qos == 0) complete(session, message.sequence);
  return true;
}

void HubCore::acknowledged(Session& session, std::uint16_t packet_id) {
  if (!session.device.bound) return;
  const auto found = session.device.bound->unacknowledged.find(packet_id);
  if (found == session.device.bound->unacknowledged.end()) return;
  const std::int64_t sequence = found->second;
  session.device.bound->unacknowledged.erase(found);
  complete(session, sequence);
  hand_over(session);
}

void HubCore::complete(Session& session, std::int64_t sequence) {
  session.begin_work();
  submit([this, sequence](store::Records& records) { return messages_.complete(records, sequence); },
         [this, self = session.shared_from_this()](const Result<void>& outcome) {
           if (outcome)
             ++counts_.messages_completed;
           else
             log_.warning("hub.store_failed", {{"what", "complete a message"},
                                               {"device", self->device.id->str()},
                                               {"error", outcome.error().message}});
           self->end_work();
         });
}

void HubCore::sweep_messages(Duration now) {
  constexpr std::size_t kPerTransaction = 500;
  for (const auto& [pointer, session] : sessions_) hand_over(*session);
  if (now < next_message_sweep_) return;
  next_message_sweep_ = now + options_.limits.messages.sweep_interval;
  submit(
      [this](store::Records& records) -> Result<void> {
        GODWIT_TRY([[maybe_unused]] const std::size_t ended, messages_.expire(records, kPerTransaction));
        return {};
      },
      [this](const Result<void>& outcome) {
        if (!outcome)
          log_.warning("hub.store_failed", {{"what", "expire messages"}, {"error", outcome.error().message}});
      });
}

}  // namespace godwit::hub
