// One HTTP connection from accept to close: reads a head, asks who calls, reads the body, has the handler run on a
// worker, writes the answer, and again. At any moment exactly one thing is under way: a wait for the socket, a job on a
// worker, or a posted continuation; only a request whose answer comes from elsewhere also watches for the client's end.
// Private to the rim; loop thread only.
#pragma once

#include <memory>
#include <string>

#include "server/api/errors.hpp"
#include "server/api/event_stream.hpp"
#include "server/api/http_parser.hpp"
#include "server/api/responder.hpp"
#include "server/api/rim.hpp"
#include "server/api/transfer.hpp"
#include "server/net/connection.hpp"

namespace godwit::api {

class HttpConnection : public std::enable_shared_from_this<HttpConnection> {
 public:
  HttpConnection(net::Tcp::socket socket, Rim& rim);

  void start();
  /// Ends the connection when it has waited too long for its peer.
  void check_deadline(Duration now);
  /// No request after the one that is running.
  void stop_soon();
  void close();
  /// Says that the service stops where an answer is still owed, then closes.
  void end_now();
  [[nodiscard]] const std::string& peer() const { return connection_.peer(); }

 private:
  enum class State : std::uint8_t {
    handshake,
    head,
    working,
    deferred,  // somebody holds a responder
    events,    // a stream is open and all that was taken from it is sent
    body,
    upload,
    writing,
    draining,
    closed
  };
  enum class AfterWrite : std::uint8_t { next_request, body, events };

  // connection.cpp: bytes in and out
  void begin_request();
  void consume();
  void read_more();
  void read_now();
  void write_now();
  void wait_then(net::IoStatus status, void (HttpConnection::*next)());
  void stream_file();
  void end_answer();
  void later(void (HttpConnection::*next)());
  void set_state(State state, Duration time_limit);
  void work_without_deadline();

  // connection_requests.cpp: what a request means
  void on_head();
  void authorise();
  void on_caller(const Result<Caller>& caller);
  void accept_body();
  void ask_for_body(State next);
  void on_body_wanted();
  void on_body();
  void run_handler();
  void on_reply(Result<Reply> reply);
  void on_file(Result<FileReply> reply);
  void begin_output(const Reply& reply, std::string_view framing);
  void send(Reply reply, ByteCount body_length);
  void send(Reply reply);
  void refuse(const Error& error, int status = 0);
  void refuse(const HttpProblem& problem);
  void refuse_miss(const Router::Miss& miss);
  void refuse_for(Duration wait, ThrottleFamily family);
  void serve_root_keys();
  void log_answer();

  // connection_later.cpp: answers that come from elsewhere
  void run_deferred(AsyncHandler handler);
  void on_deferred(std::uint64_t number, Result<Reply> reply);
  void give_up_deferred(const Error& error);
  void run_events(EventHandler handler);
  void on_events(Result<EventSubscription> events);
  void send_events();
  void send_event_text(std::string_view text);
  void check_events(Duration now);
  void end_events();
  void forget_events();
  void watch_peer();
  void look_at_peer();
  [[nodiscard]] bool is_waiting_for_others() const { return state_ == State::deferred || events_ != nullptr; }

  // connection_upgrade.cpp: from a request to a device of the hub
  void become_websocket();

  // connection_upload.cpp: bytes to a blob
  void begin_upload();
  void on_upload_started(Result<UploadStart> start);
  void write_chunk();
  void on_chunk_written(const Result<void>& written);

  Rim& rim_;
  net::Connection connection_;
  State state_ = State::handshake;
  Duration deadline_{};

  std::string input_;  // read, not yet parsed
  HttpParser parser_;
  Request request_;
  Match match_;
  Tenant tenant_{};         // of the request
  Result<void> manners_{};  // of the found route; told only to a caller who is known
  Family family_ = Family::plain;
  std::string trace_id_;
  Duration started_{};
  bool is_consuming_ = false;
  bool closes_after_ = false;     // after the answer
  bool has_unread_body_ = false;  // the answer came before the body was read

  std::string output_;  // head and body, or the head of a file
  std::size_t written_ = 0;
  AfterWrite after_write_ = AfterWrite::next_request;
  State body_state_ = State::body;
  int status_ = 0;
  FileReply file_;

  std::weak_ptr<PendingReply> pending_;  // of the deferred request, while there is one
  std::uint64_t deferral_ = 0;           // number of it: tells a late answer from the present one's
  EventSubscription events_;             // while a stream is open
  Duration events_until_{};
  bool has_event_slot_ = false;
  bool is_watching_ = false;  // a wait_readable() for the client's end is under way

  std::unique_ptr<blobs::Upload> upload_;
  Reply upload_done_{};
  std::string chunk_;
  bool upload_was_here_ = false;
  bool upload_is_whole_ = true;  // with this request
  ByteCount drained_ = 0;
};

}  // namespace godwit::api
