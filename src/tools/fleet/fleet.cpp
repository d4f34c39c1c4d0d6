#include "tools/fleet/fleet.hpp"

#include <fmt/format.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "core/trust/sas.hpp"

namespace godwit::fleet {
namespace {

constexpr std::size_t kPacketLimit = 1024 * 1024;
constexpr std::size_t kScratch = 32 * 1024;
constexpr std::size_t kReasons = 64;  // distinct reasons that are counted; the rest is "other"
constexpr std::size_t kDialsPerTurn = 64;
constexpr std::chrono::milliseconds kTurn{20};
constexpr std::chrono::milliseconds kLookEvery{500};

bool is_later(const std::pair<Steady::time_point, std::uint32_t>& a,
              const std::pair<Steady::time_point, std::uint32_t>& b) {
  return a > b;
}

std::string errno_text(int number) { return error_from_errno("socket", number).message; }

/// A non-blocking socket that dials from `source`; the port is chosen when it connects, so that each pair of addresses
/// has all ports for itself.
Result<UniqueFd> make_socket(const std::optional<Ip4>& source) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return tl::unexpected<Error>{error_from_errno("socket", errno)};
  const int on = 1;
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (!source) return fd;
  ::setsockopt(fd.get(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(*source);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return tl::unexpected<Error>{error_from_errno("bind " + print_ip4(*source), errno)};
  return fd;
}

}  // namespace

Steady::duration backoff(unsigned failures, Steady::duration smallest, Steady::duration largest, Random& random) {
  Steady::duration bound = smallest;
  for (unsigned i = 1; i < failures && bound < largest; ++i) bound *= 2;
  bound = std::min(bound, largest);
  const auto spread = static_cast<std::uint64_t>(bound.count() - bound.count() / 4);
  return bound / 4 + Steady::duration(static_cast<Steady::rep>(random.below(spread + 1)));
}

Fleet::Fleet(FleetOptions options, std::vector<Identity> identities, TlsClient& tls, Random& random)
    : options_(std::move(options)), tls_(tls), random_(random), scratch_(kScratch) {
  devices_.reserve(identities.size());
  for (Identity& identity : identities)
    devices_.emplace_back(static_cast<std::uint32_t>(devices_.size()), std::move(identity));
}

Fleet::~Fleet() { close_all(); }

Result<void> Fleet::open() {
  epoll_.reset(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll_) return tl::unexpected<Error>{error_from_errno("epoll", errno)};
  return {};
}

void Fleet::want(std::size_t count) { wanted_ = std::min(count, devices_.size()); }

void Fleet::run_until(const std::function<bool()>& is_done) {
  std::array<epoll_event, 512> events{};
  while (!is_done()) {
    const auto now = Steady::now();
    dial_some(now);
    if (workload_ != nullptr) workload_->on_turn(now);
    if (now >= next_look_) {
      next_look_ = now + kLookEvery;
      look_at_times(now);
    }
    flush_all();
    const int found = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), kTurn.count());
    for (int i = 0; i < found; ++i)
      on_event(devices_[events[static_cast<std::size_t>(i)].data.u32], events[static_cast<std::size_t>(i)].events);
  }
}

// ---- dialling
// --------------------------------------------------------------------------------------------------------

void Fleet::dial_some(Steady::time_point now) {
  if (options_.connects_per_second > 0) {
    const double passed = std::chrono::duration<double>(now - last_dial_).count();
    allowance_ = std::min(allowance_ + passed * options_.connects_per_second, static_cast<double>(kDialsPerTurn));
  } else {
    allowance_ = static_cast<double>(kDialsPerTurn);
  }
  last_dial_ = now;
  const auto may_dial = [this] { return in_login_ < options_.connecting && allowance_ >= 1; };
  while (may_dial() && !retries_.empty() && retries_.front().first <= now) {
    std::pop_heap(retries_.begin(), retries_.end(), is_later);
    Device& device = devices_[retries_.back().second];
    retries_.pop_back();
    if (device.state == State::waiting && device.retry_at <= now) dial(device, now);
  }
  for (; may_dial() && next_idle_ < wanted_; ++next_idle_)
    if (devices_[next_idle_].state == State::idle) dial(devices_[next_idle_], now);
}

void Fleet::dial(Device& device, Steady::time_point now) {
  allowance_ -= 1;
  device.begun = now;
  ++in_login_;
  set_state(device, State::dialling);
  const auto source = options_.sources ? std::optional(options_.sources->of(device.index)) : std::nullopt;
  auto socket = make_socket(source);
  if (!socket) return lose(device, socket.error().message);
  device.socket = *std::move(socket);
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT;
  event.data.u32 = device.index;
  device.waits_to_write = true;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, device.socket.get(), &event) != 0) return lose(device, errno_text(errno));
  const int returned =
      ::connect(device.socket.get(), reinterpret_cast<const sockaddr*>(&options_.hub), sizeof options_.hub);
  if (returned != 0 && errno != EINPROGRESS) lose(device, "dial: " + errno_text(errno));
}

void Fleet::on_dialled(Device& device) {
  int problem = 0;
  socklen_t size = sizeof problem;
  ::getsockopt(device.socket.get(), SOL_SOCKET, SO_ERROR, &problem, &size);
  if (problem != 0) return lose(device, "dial: " + errno_text(problem));
  device.tls = tls_.open(device.socket.get());
  if (!device.tls) return lose(device, "no memory for TLS");
  set_state(device, State::handshaking);
  handshake(device);
}

void Fleet::handshake(Device& device) {
  ERR_clear_error();
  const int returned = SSL_do_handshake(device.tls.get());
  if (returned == 1) return log_in(device);
  if (handle_tls(device, returned, "handshake")) watch_writing(device, SSL_want_write(device.tls.get()));
}

void Fleet::log_in(Device& device) {
  if (workload_ != nullptr && workload_->speaks()) {
    set_state(device, State::logging_in);
    return workload_->on_open(device);
  }
  const std::string& id = device.identity.id.str();
  const auto now =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch());
  mqtt::Connect connect;
  connect.client_id = id;
  connect.clean_session = options_.is_clean;
  connect.keep_alive_seconds = static_cast<std::uint16_t>(options_.keep_alive.count());
  connect.user_name = options_.hub_name + "/" + id + "/?api-version=2021-04-12";
  connect.password = trust::make_sas(options_.hub_name + "/devices/" + id, device.identity.key.reveal(),
                                     (now + options_.token_lifetime).count());
  set_state(device, State::logging_in);
  send(device, connect);
  flush(device);
}

void Fleet::become_ready(Device& device) {
  set_state(device, State::ready);
  device.failures = 0;
  --in_login_;
  ++ready_;
  ++counts_.connects;
  connect_times_.add(std::chrono::duration_cast<Microseconds>(device.since - device.begun));
  tls_.settle(device.tls.get());
  if (workload_ != nullptr) workload_->on_ready(device);
}

// ---- bytes
// -----------------------------------------------------------------------------------------------------------

void Fleet::on_event(Device& device, std::uint32_t events) {
  switch (device.state) {
    case State::idle:
    case State::waiting: return;  // an event of a socket that is closed by now
    case State::dialling: return on_dialled(device);
    case State::handshaking: return handshake(device);
    default: break;
  }
  if ((events & EPOLLOUT) != 0) flush(device);
  if (device.tls && (events & ~static_cast<std::uint32_t>(EPOLLOUT)) != 0) read(device);
}

void Fleet::read(Device& device) {
  do {
    ERR_clear_error();
    const int got = SSL_read(device.tls.get(), scratch_.data(), static_cast<int>(scratch_.size()));
    if (got <= 0) {
      handle_tls(device, got, "read");
      break;
    }
    take(device, {scratch_.data(), static_cast<std::size_t>(got)});
    // epoll is level-triggered: what the kernel still has is announced again.
  } while (device.tls && SSL_pending(device.tls.get()) > 0);
  // To read a ticket of TLS 1.3 OpenSSL also takes a buffer for writing, 16 KiB, and would keep it until the next
  // write.
  if (device.tls) SSL_free_buffers(device.tls.get());  // leaves alone what is in use
}

void Fleet::take(Device& device, std::string_view bytes) {
  if (workload_ != nullptr && workload_->speaks()) {
    ++counts_.packets;
    return workload_->on_bytes(device, bytes);
  }
  std::string joined;
  if (!device.incoming.empty()) {
    joined = std::exchange(device.incoming, {});
    joined += bytes;
    bytes = joined;
  }
  while (!bytes.empty()) {
    auto decoded = mqtt::decode(bytes, kPacketLimit);
    if (!decoded) return lose(device, "bad packet: " + decoded.error().message);
    if (!*decoded) break;
    ++counts_.packets;
    bytes.remove_prefix((*decoded)->used);
    on_packet(device, (*decoded)->packet);
    if (!device.tls) return;
  }
  device.incoming.assign(bytes);
}

void Fleet::on_packet(Device& device, const mqtt::Packet& packet) {
  if (const auto* publish = std::get_if<mqtt::Publish>(&packet)) {
    if (publish->qos == 1) send(device, mqtt::PublishAck{publish->packet_id});
    if (workload_ != nullptr) workload_->on_publish(device, *publish);
    return;
  }
  if (const auto* ack = std::get_if<mqtt::ConnectAck>(&packet)) {
    if (device.state != State::logging_in) return lose(device, "a CONNACK out of turn");
    if (ack->code != mqtt::ConnectReturn::accepted)
      return lose(device, fmt::format("CONNACK {}", static_cast<unsigned>(ack->code)));
    if ((ack->session_present && device.has_subscribed) || options_.filters.empty()) return become_ready(device);
    mqtt::Subscribe subscribe{.packet_id = 1};
    for (const std::string& filter : options_.filters) subscribe.topics.push_back({.filter = filter, .qos = 0});
    set_state(device, State::subscribing);
    return send(device, subscribe);
  }
  if (const auto* ack = std::get_if<mqtt::SubscribeAck>(&packet)) {
    if (device.state != State::subscribing) return;
    const bool is_refused =
        std::any_of(ack->codes.begin(), ack->codes.end(), [](std::uint8_t code) { return code > 2; });
    if (is_refused) return lose(device, "a subscription was refused");
    device.has_subscribed = true;
    return become_ready(device);
  }
}

void Fleet::send(Device& device, const mqtt::Packet& packet) {
  if (device.tls) send_bytes(device, mqtt::encode(packet));
}

void Fleet::send_bytes(Device& device, std::string_view bytes) {
  if (!device.tls || bytes.empty()) return;
  device.outgoing += bytes;
  if (!std::exchange(device.has_unsent, true)) unsent_.push_back(device.index);
}

void Fleet::flush_all() {
  // Losing a device may make the workload send to others: those wait for the next turn.
  for (const std::uint32_t index : std::exchange(unsent_, {})) {
    Device& device = devices_[index];
    device.has_unsent = false;
    if (device.tls && device.state > State::handshaking) flush(device);
  }
}

void Fleet::flush(Device& device) {
  std::size_t sent = 0;
  while (sent < device.outgoing.size()) {
    ERR_clear_error();
    const int written =
        SSL_write(device.tls.get(), device.outgoing.data() + sent, static_cast<int>(device.outgoing.size() - sent));
    if (written <= 0) {
      if (!handle_tls(device, written, "write")) return;
      break;
    }
    sent += static_cast<std::size_t>(written);
    device.last_sent = Steady::now();
  }
  if (sent == device.outgoing.size())
    device.outgoing = {};
  else
    device.outgoing.erase(0, sent);
  watch_writing(device, !device.outgoing.empty());
}

void Fleet::watch_writing(Device& device, bool on) {
  if (device.waits_to_write == on) return;
  device.waits_to_write = on;
  epoll_event event{};
  event.events = on ? EPOLLIN | EPOLLOUT : EPOLLIN;
  event.data.u32 = device.index;
  epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, device.socket.get(), &event);
}

bool Fleet::handle_tls(Device& device, int returned, std::string_view doing) {
  const int number = errno;
  const int why = SSL_get_error(device.tls.get(), returned);
  if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) return true;
  std::string reason = take_tls_error();
  if (reason.empty() && why == SSL_ERROR_SYSCALL && number != 0) reason = errno_text(number);
  if (reason.empty()) reason = "the peer closed the connection";
  lose(device, fmt::format("{}: {}", doing, reason));
  return false;
}

// ---- times and ends
// --------------------------------------------------------------------------------------------------

void Fleet::look_at_times(Steady::time_point now) {
  const Steady::duration ping_after = options_.keep_alive / 2;
  const bool is_own = workload_ != nullptr && workload_->speaks();
  for (Device& device : devices_) {
    if (device.state == State::ready) {
      if (!is_own && now - device.last_sent >= ping_after) send(device, mqtt::PingRequest{});
    } else if (device.state > State::waiting && now - device.begun > options_.login_time) {
      lose(device, "no login within its time");
    }
  }
}

void Fleet::set_state(Device& device, State state) {
  device.state = state;
  device.since = Steady::now();
}

void Fleet::release(Device& device) {
  if (device.state == State::ready)
    --ready_;
  else if (device.state > State::waiting)
    --in_login_;
  device.tls.reset();
  device.socket.reset();
  device.incoming = {};
  device.outgoing = {};
}

void Fleet::lose(Device& device, std::string reason) {
  auto counted = counts_.errors.find(reason);
  if (counted == counts_.errors.end() && counts_.errors.size() >= kReasons) reason = "other";
  ++counts_.errors[reason];
  const bool was_ready = device.state == State::ready;
  release(device);
  device.failures = static_cast<std::uint16_t>(std::min<unsigned>(device.failures + 1U, 1000));
  dial_again(device,
             Steady::now() + backoff(device.failures, options_.smallest_backoff, options_.largest_backoff, random_));
  if (workload_ != nullptr) workload_->on_closed(device);
  if (!was_ready) return;
  ++counts_.lost;
  if (workload_ != nullptr) workload_->on_lost(device);
}

void Fleet::dial_again(Device& device, Steady::time_point at) {
  device.retry_at = at;
  set_state(device, State::waiting);
  retries_.emplace_back(at, device.index);
  std::push_heap(retries_.begin(), retries_.end(), is_later);
}

void Fleet::vanish(Device& device, Steady::duration pause) {
  release(device);
  dial_again(device, Steady::now() + pause);
}

void Fleet::disconnect(Device& device) {
  if (device.state == State::ready) {
    send(device, mqtt::Disconnect{});
    flush(device);
  }
  if (device.state == State::waiting) return;  // lost while it said goodbye
  release(device);
  set_state(device, State::idle);
}

void Fleet::close_all() {
  workload_ = nullptr;
  wanted_ = 0;
  retries_.clear();
  for (Device& device : devices_) {
    disconnect(device);
    set_state(device, State::idle);
  }
  retries_.clear();
}

}  // namespace godwit::fleet
