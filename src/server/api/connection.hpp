// One HTTP connection from accept to close: reads a head, asks who calls, reads the body, has the handler run on a
// worker, writes the answer, and again. At any moment exactly one thing is under way: a wait for the socket, a job on a
// worker, or a posted continuation. Private to the rim; loop thread only.
#pragma once

#include <memory>
#include <string>

#include "server/api/errors.hpp"
#include "server/api/http_parser.hpp"
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
  [[nodiscard]] const std::string& peer() const { return connection_.peer(); }

 private:
  enum class State : std::uint8_t { handshake, head, working, body, upload, writing, draining, closed };
  enum class AfterWrite : std::uint8_t { next_request, body };

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
  void send(Reply reply, ByteCount body_length);
  void send(Reply reply);
  void refuse(const Error& error, int status = 0);
  void refuse(const HttpProblem& problem);
  void refuse_miss(const Router::Miss& miss);
  void serve_root_keys();
  void log_answer();

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

  std::unique_ptr<blobs::Upload> upload_;
  std::string chunk_;
  bool upload_was_here_ = false;
  ByteCount drained_ = 0;
};

}  // namespace godwit::api
