// Answers that come from elsewhere: a reply that somebody gives later, and events until somebody ends the stream. While
// they are waited for no thread is held and nothing is asked of the socket but whether the client is still there.
#include <exception>

#include "server/api/connection.hpp"

namespace godwit::api {
namespace {

constexpr std::size_t kMostAhead = 64 * 1024;   // of later requests, read while an answer is waited for
constexpr std::size_t kEventsTurn = 64 * 1024;  // written before other connections get their turn
constexpr std::string_view kEventsType = "Content-Type: text/event-stream\r\n";
constexpr std::string_view kHeartbeat = ":\n\n";
constexpr std::string_view kLastChunk = "0\r\n\r\n";

[[nodiscard]] Result<EventSubscription> call(EventHandler handler, const Request& request, Services& services) {
  try {
    return handler(request, services);
  } catch (const std::exception& problem) {
    return fail(Code::internal, std::string("the handler ended with an exception: ") + problem.what());
  }
}

/// One of a counted number of places; gives itself back when it goes.
[[nodiscard]] std::shared_ptr<void> take_slot(const std::shared_ptr<std::atomic<std::size_t>>& count) {
  ++*count;
  return {count.get(), [count](void*) { --*count; }};
}

}  // namespace

void HttpConnection::run_deferred(AsyncHandler handler) {
  if (*rim_.deferred >= rim_.limits.deferred)
    return refuse(Error{Code::too_many, std::to_string(rim_.limits.deferred) +
                                            " requests wait for their answers already; try again soon"});
  ++deferral_;
  auto deliver = [door = rim_.door, weak = weak_from_this(), number = deferral_](Result<Reply> reply) {
    auto held = std::make_shared<Result<Reply>>(std::move(reply));
    door->post([weak, number, held] {
      if (const auto self = weak.lock()) self->on_deferred(number, std::move(*held));
    });
  };
  auto pending = std::make_shared<PendingReply>(std::move(deliver), take_slot(rim_.deferred));
  pending_ = pending;
  set_state(State::deferred, rim_.limits.deferred_time);
  // A copy, because an answer may come, and with it the next request, before the handler has returned.
  std::string body = std::move(request_.body);
  auto request = std::make_shared<Request>(request_);
  request->body = std::move(body);
  const bool is_taken = rim_.workers.try_post([handler, request, pending, &services = *tenant_.services] {
    const Responder responder(pending);
    try {
      handler(*request, services, responder);
    } catch (const std::exception& problem) {
      responder.answer(fail(Code::internal, std::string("the handler ended with an exception: ") + problem.what()));
    }
  });
  if (!is_taken) return give_up_deferred(Error{Code::unavailable, "the service is busy; try again soon"});
  watch_peer();
}

void HttpConnection::on_deferred(std::uint64_t number, Result<Reply> reply) {
  if (state_ != State::deferred || number != deferral_) return;
  on_reply(std::move(reply));
}

void HttpConnection::give_up_deferred(const Error& error) {
  if (const auto pending = pending_.lock()) pending->abandon();
  pending_.reset();
  refuse(error);
}

void HttpConnection::run_events(EventHandler handler) {
  if (request_.method == Method::head) {
    begin_output(Reply{}, kEventsType);
    set_state(State::writing, rim_.limits.write_time);
    return write_now();
  }
  if (rim_.event_streams >= rim_.limits.event_streams)
    return refuse(Error{Code::too_many, std::to_string(rim_.limits.event_streams) +
                                            " streams of events are open already; close one or try again later"});
  ++rim_.event_streams;
  has_event_slot_ = true;
  work_without_deadline();
  const bool is_taken = rim_.workers.try_post([self = shared_from_this(), handler] {
    auto events = std::make_shared<Result<EventSubscription>>(call(handler, self->request_, *self->tenant_.services));
    self->rim_.loop.post([self, events] {
      if (self->state_ != State::closed) return self->on_events(std::move(*events));
      if (*events && **events) (**events)->leave();  // the client went while the handler ran
    });
  });
  if (!is_taken) {
    forget_events();
    refuse(Error{Code::unavailable, "the service is busy; try again soon"});
  }
}

void HttpConnection::on_events(Result<EventSubscription> events) {
  if (events && !*events) events = fail(Code::internal, "the handler gave no stream of events");
  if (!events) {
    forget_events();
    return refuse(events.error());
  }
  events_ = *std::move(events);
  events_->set_wake([door = rim_.door, weak = weak_from_this()] {
    door->post([weak] {
      if (const auto self = weak.lock()) self->send_events();
    });
  });
  events_until_ = rim_.services.clock.monotonic() + rim_.limits.stream_time;
  // Without chunks only the end of the connection can end the body.
  const bool is_chunked = !parser_.head().is_http_1_0;
  closes_after_ = closes_after_ || !is_chunked;
  begin_output(Reply{}, std::string(kEventsType) + (is_chunked ? "Transfer-Encoding: chunked\r\n" : ""));
  after_write_ = AfterWrite::events;
  set_state(State::writing, rim_.limits.write_time);
  watch_peer();
  write_now();
}

/// Sends what the source has pushed, or goes to sleep until it pushes again.
void HttpConnection::send_events() {
  if (state_ != State::events) return;  // closed, or still writing: then write_now() comes back here
  const Duration now = rim_.services.clock.monotonic();
  if (rim_.is_stopping || now >= events_until_) events_->close();  // what was pushed before is still sent
  std::string text;
  if (!events_->take(text, kEventsTurn)) return end_events();
  if (!text.empty()) return send_event_text(text);
  deadline_ = std::min(now + rim_.limits.heartbeat_time, events_until_);
}

void HttpConnection::send_event_text(std::string_view text) {
  if (parser_.head().is_http_1_0) {
    output_ = text;
  } else {
    char size[20];
    output_.assign(size, static_cast<std::size_t>(std::snprintf(size, sizeof size, "%zx\r\n", text.size())));
    output_.append(text).append("\r\n");
  }
  after_write_ = AfterWrite::events;
  set_state(State::writing, rim_.limits.write_time);
  write_now();
}

void HttpConnection::check_events(Duration now) {
  if (now >= events_until_) return send_events();
  send_event_text(kHeartbeat);  // also how a client that vanished without a word is found
}

void HttpConnection::end_events() {
  forget_events();
  if (!parser_.head().is_http_1_0) output_ = kLastChunk;
  set_state(State::writing, rim_.limits.write_time);
  write_now();
}

/// The subscription and its place, whichever there are.
void HttpConnection::forget_events() {
  if (events_) events_->leave();
  events_.reset();
  if (std::exchange(has_event_slot_, false)) --rim_.event_streams;
}

/// Nothing is read while others work on the answer, except to notice that the client has gone. At most one wait for
/// that is under way; one that is left over from an earlier request serves the next.
void HttpConnection::watch_peer() {
  if (is_watching_) return;
  is_watching_ = true;
  connection_.wait_readable([self = shared_from_this()](bool is_ready) {
    self->is_watching_ = false;
    if (is_ready && self->state_ != State::closed && self->is_waiting_for_others()) self->look_at_peer();
  });
}

void HttpConnection::look_at_peer() {
  // Requests that were sent ahead stay where they are. Past the bound a client that goes is found when it is answered.
  if (input_.size() >= kMostAhead) return;
  const net::IoResult got = connection_.read_some(rim_.buffer.data(), rim_.buffer.size());
  if (got.status == net::IoStatus::closed || got.status == net::IoStatus::failed) return close();
  if (got.status == net::IoStatus::ok) input_.append(rim_.buffer.data(), got.bytes);
  if (got.status != net::IoStatus::want_write) watch_peer();
}

}  // namespace godwit::api
