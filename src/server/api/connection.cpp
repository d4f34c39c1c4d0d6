#include "server/api/connection.hpp"

#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace godwit::api {
namespace {

constexpr std::size_t kReadTurns = 4;       // reads before other connections get their turn
constexpr std::size_t kRecord = 16 * 1024;  // one TLS record
constexpr ByteCount kDrainLimit = 8 * 1024 * 1024;

/// While a file is on its way the kernel fills whole segments; without it each record wakes the receiver (measured on
/// loopback, 2026-11: a quarter less CPU on both sides). Taking it off sends what is left.
void set_cork(int socket, bool is_on) {
  const int value = is_on ? 1 : 0;
  ::setsockopt(socket, IPPROTO_TCP, TCP_CORK, &value, sizeof value);
}

}  // namespace

HttpConnection::HttpConnection(net::Tcp::socket socket, Rim& rim)
    : rim_(rim), connection_(std::move(socket), rim.tls) {}

void HttpConnection::set_state(State state, Duration time_limit) {
  state_ = state;
  deadline_ = rim_.services.clock.monotonic() + time_limit;
}

void HttpConnection::work_without_deadline() {
  state_ = State::working;
  deadline_ = Duration::max();
}

void HttpConnection::start() {
  set_state(State::handshake, rim_.limits.handshake_time);
  connection_.start_handshake([self = shared_from_this()](const Result<void>& done) {
    if (self->state_ == State::closed) return;
    if (!done) {
      self->rim_.services.log.debug("api.handshake_failed",
                                    {{"peer", self->peer()}, {"problem", done.error().message}});
      return self->close();
    }
    self->begin_request();
  });
}

void HttpConnection::close() {
  if (state_ == State::closed) return;
  state_ = State::closed;
  connection_.close();
  file_ = {};
  if (const auto pending = pending_.lock()) pending->abandon();
  forget_events();
  rim_.forget(*this);  // upload_ stays: a worker may be writing through it, and keeps this object alive
}

void HttpConnection::check_deadline(Duration now) {
  if (state_ == State::closed || now <= deadline_) return;
  if (state_ == State::deferred)
    return give_up_deferred(
        Error{Code::timed_out,
              "the answer did not come within " + std::to_string(rim_.limits.deferred_time.count() / 1000) + " s"});
  if (state_ == State::events) return check_events(now);
  if (state_ != State::draining)
    rim_.services.log.debug("api.peer_too_slow", {{"peer", peer()}, {"state", static_cast<int>(state_)}});
  connection_.abort();
  close();
}

void HttpConnection::stop_soon() {
  if (state_ == State::handshake || (state_ == State::head && input_.empty())) return close();
  closes_after_ = true;
  if (state_ == State::events) send_events();
}

void HttpConnection::end_now() {
  closes_after_ = true;
  if (state_ == State::deferred) give_up_deferred(Error{Code::unavailable, "the service is stopping; try again soon"});
  close();
}

void HttpConnection::begin_request() {
  if (state_ == State::closed) return;
  if (rim_.is_stopping) return close();
  parser_.reset();
  request_ = {};
  match_ = {};
  tenant_ = {&rim_.services, &rim_.access};
  file_ = {};
  upload_was_here_ = false;
  has_unread_body_ = false;
  if (input_.empty()) input_ = std::string();  // idle connections are many and keep no memory for their last request
  set_state(State::head, input_.empty() ? rim_.limits.idle_time : rim_.limits.head_time);
  consume();
}

/// Parses what has been read until the parser wants more or something else must happen first.
void HttpConnection::consume() {
  if (is_consuming_) return;  // called from below: the loop underneath goes on by itself
  is_consuming_ = true;
  while (state_ == State::head || state_ == State::body || state_ == State::upload) {
    const auto used = parser_.feed(input_);
    if (!used) {
      refuse(used.error());
      continue;
    }
    input_.erase(0, *used);
    if (state_ == State::head && parser_.has_head()) {
      on_head();
    } else if (state_ == State::body && parser_.is_done()) {
      on_body();
    } else if (state_ == State::upload && (parser_.is_done() || chunk_.size() >= kUploadChunk)) {
      write_chunk();
    } else if (*used == 0 || input_.empty()) {
      break;
    }
  }
  is_consuming_ = false;
  if (state_ == State::draining) {
    drained_ += input_.size();
    input_.clear();
    if (drained_ > kDrainLimit) return close();
  }
  if (state_ == State::head || state_ == State::body || state_ == State::upload || state_ == State::draining)
    read_more();
}

void HttpConnection::read_more() {
  connection_.wait_readable([self = shared_from_this()](bool is_ready) {
    if (is_ready) self->read_now();
  });
}

void HttpConnection::read_now() {
  if (state_ == State::closed) return;
  const bool was_empty = input_.empty();
  for (std::size_t turn = 0; turn < kReadTurns; ++turn) {
    const net::IoResult got = connection_.read_some(rim_.buffer.data(), rim_.buffer.size());
    if (got.status == net::IoStatus::ok) {
      input_.append(rim_.buffer.data(), got.bytes);
      continue;
    }
    const bool is_over = got.status == net::IoStatus::closed || got.status == net::IoStatus::failed;
    if (is_over && turn > 0) break;  // what came before the end may be a whole request
    if (is_over) return close();
    if (turn == 0) return wait_then(got.status, &HttpConnection::read_now);
    break;
  }
  if (state_ == State::head && was_empty) set_state(State::head, rim_.limits.head_time);
  consume();
}

void HttpConnection::wait_then(net::IoStatus status, void (HttpConnection::*next)()) {
  auto go_on = [self = shared_from_this(), next](bool is_ready) {
    if (is_ready && self->state_ != State::closed) ((*self).*next)();
  };
  if (status == net::IoStatus::want_write)
    connection_.wait_writable(std::move(go_on));
  else
    connection_.wait_readable(std::move(go_on));
}

void HttpConnection::later(void (HttpConnection::*next)()) {
  rim_.loop.post([self = shared_from_this(), next] {
    if (self->state_ != State::closed) ((*self).*next)();
  });
}

void HttpConnection::write_now() {
  while (written_ < output_.size()) {
    const net::IoResult sent = connection_.write_some(std::string_view(output_).substr(written_, kRecord));
    if (sent.status == net::IoStatus::closed || sent.status == net::IoStatus::failed) return close();
    if (sent.status != net::IoStatus::ok) return wait_then(sent.status, &HttpConnection::write_now);
    written_ += sent.bytes;
    set_state(State::writing, rim_.limits.write_time);
  }
  output_ = {};
  written_ = 0;
  if (file_.file) {
    set_cork(connection_.native_handle(), true);
    return stream_file();
  }
  if (after_write_ == AfterWrite::next_request) return end_answer();
  if (std::exchange(after_write_, AfterWrite::next_request) == AfterWrite::events) {
    state_ = State::events;
    return later(&HttpConnection::send_events);  // a source that never pauses must not starve others
  }
  on_body_wanted();
}

/// Sends a file in pieces of one TLS record, at most kDownloadTurn per turn so that one fast download does not starve
/// others. A piece that did not fit into the socket is read again next time: payloads never change.
void HttpConnection::stream_file() {
  for (std::size_t turn = 0; file_.count > 0 && turn < kDownloadTurn;) {
    const std::size_t wanted = std::min<ByteCount>(file_.count, rim_.buffer.size());
    const ssize_t got = ::pread(file_.file.get(), rim_.buffer.data(), wanted, static_cast<off_t>(file_.offset));
    if (got <= 0) {
      // Too late for a status: a cut connection is the only way to say that the body is not whole.
      rim_.services.log.error("api.payload_unreadable",
                              {{"path", request_.path}, {"offset", file_.offset}, {"problem", got < 0 ? errno : 0}});
      connection_.abort();
      return close();
    }
    std::string_view left(rim_.buffer.data(), static_cast<std::size_t>(got));
    while (!left.empty()) {
      const net::IoResult sent = connection_.write_some(left.substr(0, kRecord));
      if (sent.status == net::IoStatus::closed || sent.status == net::IoStatus::failed) return close();
      if (sent.status != net::IoStatus::ok) return wait_then(sent.status, &HttpConnection::stream_file);
      left.remove_prefix(sent.bytes);
      turn += sent.bytes;
      file_.offset += sent.bytes;
      file_.count -= sent.bytes;
      deadline_ = rim_.services.clock.monotonic() + rim_.limits.write_time;
    }
  }
  if (file_.count > 0) return later(&HttpConnection::stream_file);
  file_ = {};
  set_cork(connection_.native_handle(), false);
  end_answer();
}

void HttpConnection::end_answer() {
  log_answer();
  if (closes_after_ && has_unread_body_) {
    // Closing with unread bytes would reset the connection and could take the answer away from the client.
    drained_ = 0;
    set_state(State::draining, rim_.limits.drain_time);
    return consume();
  }
  if (closes_after_) return close();
  begin_request();
}

}  // namespace godwit::api
