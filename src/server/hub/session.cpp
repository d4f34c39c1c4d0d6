#include "server/hub/session.hpp"

#include <utility>

namespace godwit::hub {
namespace {

constexpr int kPacketsPerTurn = 64;

[[nodiscard]] websocket::Limits websocket_limits(const Limits& limits) {
  return {.frame_bytes = limits.websocket_frame_bytes, .message_bytes = limits.websocket_message_bytes};
}

}  // namespace

Session::Session(net::Tcp::socket socket, const net::TlsContext& tls, SessionOwner& owner, const Limits& limits)
    : owner_(owner),
      limits_(limits),
      connection_(std::move(socket), tls),
      phase_since_(owner.monotonic()),
      last_heard_(phase_since_),
      last_write_(phase_since_) {}

Session::Session(net::asio::io_context& context, net::DetachedConnection connection, SessionOwner& owner,
                 const Limits& limits)
    : owner_(owner),
      limits_(limits),
      connection_(context, std::move(connection)),
      framing_(std::make_unique<websocket::Framing>(websocket_limits(limits))),
      phase_since_(owner.monotonic()),
      last_heard_(phase_since_),
      last_write_(phase_since_) {}

Session::Session(net::asio::io_context& context, PartedSession parted, SessionOwner& owner, const Limits& limits)
    : owner_(owner),
      limits_(limits),
      connection_(context, std::move(parted.connection)),
      framing_(std::move(parted.framing)),
      incoming_(std::move(parted.incoming)),
      outgoing_(std::move(parted.outgoing)),
      phase_since_(owner.monotonic()),
      last_heard_(phase_since_),
      last_write_(phase_since_) {}

PartedSession Session::part(const std::string& reason) {
  GODWIT_CHECK(!is_pumping_ && phase_ != Phase::ended);
  const auto self = shared_from_this();  // the owner lets go of us in on_end
  set_phase(Phase::ended);
  PartedSession parted{.connection = connection_.release(),
                       .framing = std::move(framing_),
                       .incoming = std::exchange(incoming_, {}),
                       .outgoing = outgoing_.substr(sent_)};
  outgoing_ = {};
  sent_ = 0;
  owner_.on_end(*this, reason);
  return parted;
}

void Session::resume(const mqtt::Connect& connect) {
  set_phase(Phase::awaiting_connect);
  owner_.on_handshake(*this, {});
  if (phase_ == Phase::ended) return;
  incoming_.insert(0, mqtt::encode(connect));
  if (unsent() > 0) sent_more();
  pump();
}

void Session::start_websocket(std::string_view welcome, std::string first_bytes) {
  set_phase(Phase::awaiting_connect);
  owner_.on_handshake(*this, {});
  if (phase_ == Phase::ended) return;
  outgoing_ += welcome;
  sent_more();
  if (phase_ != Phase::ended) take_raw(first_bytes);
  pump();
}

void Session::turn_away(std::string_view refusal) {
  set_phase(Phase::ended);
  if (!refusal.empty()) static_cast<void>(connection_.write_some(refusal));
  connection_.close();
}

void Session::start() {
  connection_.start_handshake([self = shared_from_this()](Result<void> outcome) {
    if (self->phase_ == Phase::ended) return;
    if (outcome) self->set_phase(Phase::awaiting_connect);
    self->owner_.on_handshake(*self, outcome);
    if (outcome) self->pump();
  });
}

void Session::set_phase(Phase phase) {
  phase_ = phase;
  phase_since_ = owner_.monotonic();
}

void Session::end(const std::string& reason) {
  if (phase_ == Phase::ended) return;
  const auto self = shared_from_this();  // the owner lets go of us in on_end
  const std::string why = end_reason_.empty() ? reason : std::exchange(end_reason_, {});
  set_phase(Phase::ended);
  if (framing_ && !has_sent_close_)
    outgoing_ += framing_->is_over() ? framing_->last_frame()
                                     : websocket::close_frame(has_said_goodbye_ ? websocket::CloseCode::normal
                                                                                : websocket::CloseCode::going_away);
  // Answers that were being gathered and the close frame get one try: a polite device has asked before it said goodbye.
  if ((is_pumping_ || framing_) && unsent() > 0)
    static_cast<void>(connection_.write_some(std::string_view(outgoing_).substr(sent_)));
  connection_.close();
  framing_.reset();
  incoming_ = {};
  outgoing_ = {};
  sent_ = 0;
  owner_.on_end(*this, why);
}

void Session::end_after_flush(const std::string& reason) {
  if (phase_ == Phase::ended || phase_ == Phase::flushing) return;
  end_reason_ = reason;
  set_phase(Phase::flushing);
  if (unsent() == 0) return end(reason);
  if (!is_waiting_to_write_ && !is_pumping_) flush();
}

void Session::end_work() {
  GODWIT_CHECK(in_flight_ > 0);
  --in_flight_;
  if (phase_ != Phase::ended && !is_waiting_to_read_) pump();
}

std::string Session::overdue(Duration now, WallTime wall_now) const {
  const Duration in_phase = now - phase_since_;
  switch (phase_) {
    case Phase::shaking_hands: return in_phase > limits_.handshake_time ? "the TLS handshake took too long" : "";
    case Phase::awaiting_connect: return in_phase > limits_.connect_time ? "no CONNECT came in time" : "";
    case Phase::authenticating:
      return in_phase > limits_.authentication_time ? "the device could not be looked up in time" : "";
    case Phase::flushing: return in_phase > limits_.flush_time ? "the peer did not take the last bytes" : "";
    case Phase::ended: return "";
    case Phase::connected: break;
  }
  if (unsent() > 0 && now - last_write_ > limits_.write_stall_time) return "the device takes no more bytes";
  // While requests wait for the store it is we who do not read: silence is then not the device's.
  if (in_flight_ < limits_.in_flight_per_device && now - last_heard_ > device.silence_limit)
    return "nothing was heard within the keep-alive time";
  if (wall_now >= device.expiry) {
    if (device.proof == Proof::token) return "the token expired";
    return device.proof == Proof::visit ? "the device took too long to register" : "the client certificate expired";
  }
  return "";
}

// ---- writing -----------------------------------------------------------------------------------------------------

void Session::send(const mqtt::Packet& packet) {
  if (!may_send()) return;
  borrow_room();
  const std::size_t begin = outgoing_.size();
  outgoing_ += mqtt::encode(packet);
  sent_packet(begin);
}

void Session::send_publish(std::string_view topic, std::string_view payload) {
  if (!may_send()) return;
  borrow_room();
  const std::size_t begin = outgoing_.size();
  mqtt::append_publish(outgoing_, topic, payload);
  sent_packet(begin);
}

void Session::sent_packet(std::size_t begin) {
  if (framing_) outgoing_.insert(begin, websocket::binary_head(outgoing_.size() - begin));
  sent_more();
}

void Session::sent_more() {
  if (!is_waiting_to_write_ && !is_pumping_) {
    last_write_ = owner_.monotonic();
    flush();
  }
  if (phase_ != Phase::ended && unsent() > limits_.outgoing_bytes)
    end("the device reads too slowly: " + std::to_string(unsent()) + " bytes wait for it");
}

void Session::flush() {
  while (unsent() > 0) {
    const net::IoResult result = connection_.write_some(std::string_view(outgoing_).substr(sent_));
    switch (result.status) {
      case net::IoStatus::ok:
        sent_ += result.bytes;
        last_write_ = owner_.monotonic();
        continue;
      case net::IoStatus::want_read:  // TLS wants a message of the peer first; reading goes on anyhow
      case net::IoStatus::want_write:
        // Only the unsent rest is kept, so that a large answer does not stay twice.
        outgoing_.erase(0, std::exchange(sent_, 0));
        return wait_to_write();
      case net::IoStatus::closed: return end("the peer closed the connection");
      case net::IoStatus::failed: return end("writing failed: " + connection_.error_text());
    }
  }
  return_room();
  if (phase_ == Phase::flushing) end(end_reason_);
}

void Session::borrow_room() {
  if (outgoing_.empty()) outgoing_.swap(owner_.spare());
}

void Session::return_room() {
  constexpr std::size_t kWorthKeeping = 64 * 1024;
  outgoing_.clear();
  sent_ = 0;
  if (outgoing_.capacity() <= kWorthKeeping && owner_.spare().capacity() < outgoing_.capacity())
    outgoing_.swap(owner_.spare());
  outgoing_ = {};
}

void Session::wait_to_write() {
  if (std::exchange(is_waiting_to_write_, true)) return;
  connection_.wait_writable([self = shared_from_this()](bool is_ready) {
    self->is_waiting_to_write_ = false;
    if (self->phase_ == Phase::ended) return;
    if (!is_ready) return self->end("the connection broke");
    self->flush();
    if (self->phase_ != Phase::ended && !self->is_waiting_to_read_) self->pump();
  });
}

// ---- reading -----------------------------------------------------------------------------------------------------

bool Session::can_take() const {
  if (phase_ != Phase::awaiting_connect && phase_ != Phase::connected) return false;
  return in_flight_ < limits_.in_flight_per_device && unsent() <= limits_.outgoing_high_water;
}

std::size_t Session::take_packets(std::string_view bytes) {
  std::size_t used = 0;
  while (can_take() && packets_left_ > 0) {
    const std::size_t limit = phase_ == Phase::connected ? limits_.packet_bytes : limits_.connect_packet_bytes;
    auto decoded = mqtt::decode(bytes.substr(used), limit);
    if (!decoded) {
      end("a bad packet came: " + decoded.error().message);
      return used;
    }
    if (!*decoded) return used;
    used += (*decoded)->used;
    --packets_left_;
    has_said_goodbye_ = std::holds_alternative<mqtt::Disconnect>((*decoded)->packet);
    owner_.on_packet(*this, std::move((*decoded)->packet));
  }
  return used;
}

void Session::take_bytes(std::string_view bytes) {
  last_heard_ = owner_.monotonic();
  if (incoming_.empty()) {
    const std::size_t used = take_packets(bytes);
    if (phase_ != Phase::ended) incoming_.assign(bytes.substr(used));
    return;
  }
  incoming_.append(bytes);
}

/// Bytes as TLS gave them; those of frames are unwrapped where they lie.
void Session::take_raw(std::span<char> bytes) {
  if (!framing_) return take_bytes({bytes.data(), bytes.size()});
  const auto unwrapped = framing_->unwrap(bytes);
  if (!unwrapped.reply.empty()) {
    outgoing_ += unwrapped.reply;
    sent_more();
  }
  // Pings are not MQTT: only bytes of the stream say that the device is alive.
  if (phase_ != Phase::ended && unwrapped.bytes > 0) take_bytes({bytes.data(), unwrapped.bytes});
}

/// After the peer's close, or a rule that it broke: whole packets before it have been taken.
void Session::finish_websocket() {
  end_reason_ = framing_->end_reason();  // also if that last frame cannot be sent
  has_sent_close_ = true;
  outgoing_ += framing_->last_frame();
  end_after_flush(end_reason_);
}

void Session::pump() {
  if (is_pumping_ || phase_ == Phase::ended) return;
  const auto self = shared_from_this();
  is_pumping_ = true;
  packets_left_ = kPacketsPerTurn;
  bool must_wait = false;
  while (!must_wait && can_take() && packets_left_ > 0) {
    if (!incoming_.empty()) {
      // Packets may be answered from inside, but nothing appends to incoming_ meanwhile: reading happens only here.
      const std::size_t used = take_packets(incoming_);
      if (phase_ == Phase::ended) break;
      used == incoming_.size() ? void(incoming_ = {}) : void(incoming_.erase(0, used));
      if (!can_take() || packets_left_ == 0) break;
    }
    if (framing_ && framing_->is_over()) {
      finish_websocket();
      break;
    }
    --packets_left_;  // a read counts too: frames without content are not for free
    const std::span<char> buffer = owner_.scratch();
    const net::IoResult result = connection_.read_some(buffer.data(), buffer.size());
    switch (result.status) {
      case net::IoStatus::ok:
        take_raw(buffer.first(result.bytes));
        // The wait tells of bytes that the kernel holds; asking it once more for each packet would double the calls.
        // A WebSocket that is over is finished here: its peer sends nothing more.
        must_wait = incoming_.empty() && !connection_.may_hold_bytes() && !(framing_ && framing_->is_over());
        break;
      case net::IoStatus::want_read: must_wait = true; break;
      case net::IoStatus::want_write:
        wait_to_write();
        must_wait = true;
        break;
      case net::IoStatus::closed: end("the peer closed the connection"); break;
      case net::IoStatus::failed: end("reading failed: " + connection_.error_text()); break;
    }
  }
  is_pumping_ = false;
  if (phase_ != Phase::ended && unsent() > 0 && !is_waiting_to_write_) {
    last_write_ = owner_.monotonic();
    flush();
  }
  if (!may_send()) return;
  if (must_wait) return wait_to_read();
  if (can_take()) connection_.yield([self](bool) { self->pump(); });
}

void Session::wait_to_read() {
  if (std::exchange(is_waiting_to_read_, true)) return;
  connection_.wait_readable([self = shared_from_this()](bool is_ready) {
    self->is_waiting_to_read_ = false;
    if (self->phase_ == Phase::ended) return;
    if (!is_ready) return self->end("the connection broke");
    self->pump();
  });
}

}  // namespace godwit::hub
