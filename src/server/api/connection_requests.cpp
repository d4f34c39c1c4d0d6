#include <exception>

#include "server/api/connection.hpp"
#include "server/api/metrics.hpp"
#include "server/api/text.hpp"
#include "server/service/download_urls.hpp"

namespace godwit::api {
namespace {

/// A value from a handler must not be able to begin a header of its own.
void append_header(std::string& head, std::string_view name, std::string_view value) {
  head.append(name).append(": ");
  for (const char c : value) head.push_back(static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? ' ' : c);
  head.append("\r\n");
}

[[nodiscard]] bool is_true(std::string_view text) {
  return text == "true" || text == "True" || text == "TRUE" || text == "1";
}

/// "application/merge-patch+json; charset=utf-8" is. A body without a type is taken for what the route wants.
[[nodiscard]] bool is_json_type(std::string_view type) {
  const std::string plain = lower_case(trimmed(type.substr(0, type.find(';'))));
  return plain.empty() || plain == "application/json" ||
         (plain.starts_with("application/") && plain.ends_with("+json"));
}

/// What a client asked that no service like this does is no failure of the service.
[[nodiscard]] bool is_own_failure(int status) { return status >= 500 && status != 501 && status != 505; }

[[nodiscard]] Result<Reply> call(const RouteHandler& handler, const Request& request, Services& services) {
  try {
    return handler(request, services);
  } catch (const std::exception& problem) {
    return fail(Code::internal, std::string("the handler ended with an exception: ") + problem.what());
  }
}

}  // namespace

void HttpConnection::on_head() {
  const Head& head = parser_.head();
  started_ = rim_.services.clock.monotonic();
  trace_id_ = make_trace_id(head.header("traceparent"));
  closes_after_ = !head.is_keep_alive || rim_.is_stopping;
  has_unread_body_ = head.has_body();
  family_ = Family::plain;
  request_.method = head.method;
  request_.headers = head.headers;
  auto target = parse_target(head.target);
  if (!target) return refuse(target.error());
  family_ = family_of(*target);
  request_.path = target->path;
  auto match = rim_.router.find(head.method, *target);
  if (!match) return refuse_miss(match.error());
  match_ = *std::move(match);
  request_.parameters = match_.parameters;
  tenant_ = rim_.tenant_of(match_, family_, head);
  manners_ = check_manners(*target, match_, tenant_.services->instance_id);
  request_.query = std::move(target->query);
  if (match_.permission != Permission::none) return authorise();
  if (!manners_) return refuse(manners_.error());
  accept_body();
}

void HttpConnection::authorise() {
  std::string token(parser_.head().header("authorization"));
  if (family_ == Family::iothub && Access::is_shared_access(token))
    return on_caller(tenant_.access->check_shared_access(token, peer(), request_.path));
  const auto known = tenant_.access->recall(token, peer());
  if (!known) return refuse(known.error());
  if (*known) return on_caller(**known);
  work_without_deadline();
  const bool is_taken = rim_.workers.try_post([self = shared_from_this(), token = std::move(token)] {
    Result<Caller> caller = self->tenant_.access->look_up(token, self->peer());
    self->rim_.loop.post([self, caller = std::move(caller)] {
      if (self->state_ != State::closed) self->on_caller(caller);
    });
  });
  if (!is_taken) refuse(Error{Code::unavailable, "the service is busy; try again soon"});
}

void HttpConnection::on_caller(const Result<Caller>& caller) {
  if (!caller) return refuse(caller.error());
  request_.caller = caller->name;
  request_.caller_instance = caller->instance;
  if (const auto allowed = check_permission(*caller, match_.permission); !allowed) return refuse(allowed.error());
  if (const auto inside = check_instance(*caller, tenant_.services->instance_id); !inside)
    return refuse(inside.error());
  const ThrottleFamily throttled = throttle_family(request_.method, match_.pattern);
  if (const auto wait = rim_.throttle.take(caller->name, throttled)) return refuse_for(*wait, throttled);
  if (!manners_) return refuse(manners_.error());
  accept_body();
}

/// Says when to come again, so that a client that waits so long is served.
void HttpConnection::refuse_for(Duration wait, ThrottleFamily family) {
  const std::int64_t seconds = (wait.count() + 999) / 1000;
  Reply reply = error_reply(
      family_,
      Error{Code::too_many, "'" + request_.caller + "' may do " + std::to_string(rim_.throttle.limits().of(family)) +
                                " " + std::string(throttle_family_name(family)) + " a minute; try again in " +
                                std::to_string(seconds) + " s"},
      trace_id_);
  std::erase_if(reply.headers, [](const auto& header) { return header.first == "Retry-After"; });
  reply.headers.emplace_back("Retry-After", std::to_string(seconds));
  closes_after_ = closes_after_ || has_unread_body_;
  send(std::move(reply));
}

/// The request may be read: here its body is refused for its announced size, or asked for, or there is none.
void HttpConnection::accept_body() {
  const Head& head = parser_.head();
  request_.headers.erase("authorization");  // handlers have no use for it, and it cannot leak from where it is not
  if (match_.stream == Stream::upload || match_.stream == Stream::log_upload) return begin_upload();
  if (match_.stream == Stream::websocket) return become_websocket();
  if (head.content_length.value_or(0) > rim_.limits.body_bytes)
    return refuse(
        Error{Code::too_large, "the request body has more than " + std::to_string(rim_.limits.body_bytes) + " bytes"});
  if (!head.has_body()) return on_body();
  if (const auto type = head.header("content-type"); family_ == Family::device_update && !is_json_type(type))
    return refuse(Error{Code::unsupported, "the body is '" + std::string(type.substr(0, 64)) +
                                               "' by its Content-Type, but only application/json is read here"},
                  415);
  parser_.take_body(rim_.limits.body_bytes, [this](std::string_view piece) { request_.body.append(piece); });
  ask_for_body(State::body);
}

void HttpConnection::ask_for_body(State next) {
  body_state_ = next;
  if (!parser_.head().expects_continue || !input_.empty()) return on_body_wanted();
  output_ = "HTTP/1.1 100 Continue\r\n\r\n";
  after_write_ = AfterWrite::body;
  set_state(State::writing, rim_.limits.write_time);
  write_now();
}

void HttpConnection::on_body_wanted() {
  set_state(body_state_, rim_.limits.body_time);
  consume();
}

void HttpConnection::on_body() {
  has_unread_body_ = false;
  if (match_.stream == Stream::root_key_package) return serve_root_keys();
  run_handler();
}

void HttpConnection::run_handler() {
  if (const auto* later = std::get_if<AsyncHandler>(&match_.handler)) return run_deferred(*later);
  if (const auto* events = std::get_if<EventHandler>(&match_.handler)) return run_events(*events);
  work_without_deadline();
  const bool is_taken = rim_.workers.try_post([self = shared_from_this()] {
    // The connection touches request_ and match_ only after the post below.
    if (self->match_.stream == Stream::download || self->match_.stream == Stream::log_file) {
      const auto open = self->match_.stream == Stream::download ? open_download : open_log_file;
      auto reply = std::make_shared<Result<FileReply>>(open(self->request_, *self->tenant_.services));
      return self->rim_.loop.post([self, reply] {
        if (self->state_ != State::closed) self->on_file(std::move(*reply));
      });
    }
    auto reply = std::make_shared<Result<Reply>>(call(self->match_.handler, self->request_, *self->tenant_.services));
    self->rim_.loop.post([self, reply] {
      if (self->state_ != State::closed) self->on_reply(std::move(*reply));
    });
  });
  if (!is_taken) refuse(Error{Code::unavailable, "the service is busy; try again soon"});
}

void HttpConnection::on_reply(Result<Reply> reply) {
  if (!reply) return refuse(reply.error());
  send(*std::move(reply));
}

void HttpConnection::on_file(Result<FileReply> reply) {
  if (!reply) return refuse(reply.error());
  file_ = *std::move(reply);
  const ByteCount length = file_.count;
  if (rim_.services.metrics != nullptr && request_.method != Method::head)
    rim_.services.metrics->note_downloaded(length);
  if (request_.method == Method::head) file_.file.reset();
  send(std::move(file_.head), length);
}

void HttpConnection::serve_root_keys() {
  const std::string& file = request_.parameter("file");
  const PublishedRootKeys* published = rim_.services.root_keys;
  const auto version = service::DownloadUrls::root_key_package_version(file);
  if (published == nullptr || !version || *version > published->version)
    return refuse(Error{Code::not_found, "there is no root key package '" + file.substr(0, 80) + "' here"});
  send(Reply{.body = published->document, .headers = {{"Cache-Control", "max-age=300"}}});
}

void HttpConnection::send(Reply reply) {
  const ByteCount length = reply.body.size();
  send(std::move(reply), length);
}

/// The head of an answer. `framing` are whole header lines: how the client finds the end of the body.
void HttpConnection::begin_output(const Reply& reply, std::string_view framing) {
  status_ = reply.status;
  output_ = "HTTP/1.1 " + std::to_string(reply.status) + " " + std::string(reason_phrase(reply.status)) + "\r\n";
  append_header(output_, "Date", http_date(rim_.services.clock.now()));
  output_ += framing;
  bool is_cacheable = false;
  for (const auto& [name, value] : reply.headers) {
    append_header(output_, name, value);
    is_cacheable = is_cacheable || name == "Cache-Control";
  }
  if (!is_cacheable) append_header(output_, "Cache-Control", "no-store");
  append_header(output_, "X-Content-Type-Options", "nosniff");
  if (const auto id = request_.header("x-ms-client-request-id");
      id && is_true(request_.header("x-ms-return-client-request-id").value_or("")))
    append_header(output_, "x-ms-client-request-id", *id);
  append_header(output_, "traceparent", trace_id_);
  append_header(output_, "Connection", closes_after_ ? "close" : "keep-alive");
  output_ += "\r\n";
}

void HttpConnection::send(Reply reply, ByteCount body_length) {
  const bool may_have_body = reply.status != 204 && reply.status != 304;
  std::string framing;
  if (may_have_body) {
    if (body_length > 0) append_header(framing, "Content-Type", reply.content_type);
    append_header(framing, "Content-Length", std::to_string(body_length));
  }
  begin_output(reply, framing);
  if (may_have_body && request_.method != Method::head) output_ += reply.body;
  set_state(State::writing, rim_.limits.write_time);
  write_now();
}

void HttpConnection::refuse(const Error& error, int status) {
  Reply reply = error_reply(family_, error, trace_id_, status);
  if (is_own_failure(reply.status))
    rim_.services.log.error(
        "api.request_failed",
        {{"path", request_.path}, {"trace", trace_id_}, {"code", code_name(error.code)}, {"problem", error.message}});
  closes_after_ = closes_after_ || has_unread_body_;
  send(std::move(reply));
}

void HttpConnection::refuse(const HttpProblem& problem) {
  if (trace_id_.empty() || state_ == State::head) trace_id_ = make_trace_id("");
  closes_after_ = true;
  has_unread_body_ = true;  // whatever follows is not a request
  upload_.reset();
  refuse(
      Error{problem.status == 413 || problem.status == 431 ? Code::too_large : Code::invalid_argument, problem.message},
      problem.status);
}

void HttpConnection::refuse_miss(const Router::Miss& miss) {
  closes_after_ = closes_after_ || has_unread_body_;
  if (miss.allowed.empty()) {
    Reply reply = error_reply(Family::godwit,
                              Error{Code::not_found, "there is nothing at " + request_.path.substr(0, 200)}, trace_id_);
    return send(std::move(reply));
  }
  std::string allowed;
  for (const Method method : miss.allowed) allowed += (allowed.empty() ? "" : ", ") + std::string(method_name(method));
  Reply reply = error_reply(
      family_, Error{Code::unsupported, "the method is not served at this path; allowed: " + allowed}, trace_id_, 405);
  reply.headers.emplace_back("Allow", allowed);
  send(std::move(reply));
}

void HttpConnection::log_answer() {
  const Duration took = rim_.services.clock.monotonic() - started_;
  if (rim_.services.metrics != nullptr)
    rim_.services.metrics->note_request(request_.method, match_.pattern, status_, took);
  const LogLevel level = is_own_failure(status_)                                             ? LogLevel::warning
                         : request_.method == Method::get || request_.method == Method::head ? LogLevel::debug
                                                                                             : LogLevel::info;
  rim_.services.log.write(level, "api.answered",
                          {{"method", method_name(request_.method)},
                           {"path", request_.path},
                           {"status", status_},
                           {"took_ms", took.count()},
                           {"caller", request_.caller},
                           {"peer", peer()},
                           {"trace", trace_id_}});
}

}  // namespace godwit::api
