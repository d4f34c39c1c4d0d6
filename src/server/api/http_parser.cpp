#include "server/api/http_parser.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>

#include "server/api/text.hpp"

namespace godwit::api {
namespace {

namespace http = boost::beast::http;
using ErrorCode = boost::beast::error_code;
using boost::beast::string_view;

[[nodiscard]] std::string_view to_std(string_view text) { return {text.data(), text.size()}; }

[[nodiscard]] std::optional<Method> to_method(http::verb verb) {
  switch (verb) {
    case http::verb::get: return Method::get;
    case http::verb::head: return Method::head;
    case http::verb::put: return Method::put;
    case http::verb::post: return Method::post;
    case http::verb::patch: return Method::patch;
    case http::verb::delete_: return Method::delete_;
    default: return std::nullopt;
  }
}

}  // namespace

struct HttpParser::Beast final : http::basic_parser<true> {
  Beast() {
    header_limit(kHeaderBytes);
    body_limit(boost::none);  // the limit depends on the route; see take_body
    eager(false);
  }

  Head head;
  int version = 11;
  std::size_t fields = 0;
  std::size_t hosts = 0;
  bool has_head = false;
  Sink sink;
  ByteCount body_left = 0;
  std::optional<HttpProblem> problem;

  /// Stops the parser; feed() gives `problem` to the caller.
  void refuse(ErrorCode& error, int status, std::string message) {
    if (!problem) problem = HttpProblem{.status = status, .message = std::move(message)};
    error = http::make_error_code(http::error::bad_value);
  }

  void on_request_impl(http::verb verb, string_view name, string_view target, int http_version,
                       ErrorCode& error) override {
    if (http_version != 10 && http_version != 11)
      return refuse(error, 505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
    const auto method = to_method(verb);
    if (!method)
      return refuse(error, 501, "the method '" + std::string(to_std(name).substr(0, 32)) + "' is not served here");
    version = http_version;
    head.method = *method;
    head.target = to_std(target);
  }

  void on_response_impl(int, string_view, int, ErrorCode&) override {}  // a request parser never calls it

  void on_field_impl(http::field, string_view name, string_view value, ErrorCode& error) override {
    if (has_head) return;  // trailers of a chunked body: allowed, and never believed
    if (++fields > kHeaderFields) return refuse(error, 431, "the request has more than 64 header fields");
    std::string key = lower_case(to_std(name));
    if (key == "host" && ++hosts > 1) return refuse(error, 400, "the request has two Host headers");
    if (key == "content-length" && head.headers.contains(key))
      return refuse(error, 400, "the request has two Content-Length headers");
    if (key == "transfer-encoding" &&
        (head.headers.contains(key) || !equal_in_any_case(trimmed(to_std(value)), "chunked")))
      return refuse(error, 501, "the only transfer encoding served here is chunked");
    if (auto [at, is_new] = head.headers.try_emplace(std::move(key), to_std(value)); !is_new)
      at->second.append(", ").append(to_std(value));
  }

  void on_header_impl(ErrorCode& error) override {
    if (version == 11 && hosts == 0) return refuse(error, 400, "the request has no Host header");
    if (version == 10 && chunked()) return refuse(error, 400, "HTTP/1.0 has no chunked transfer encoding");
    head.is_chunked = chunked();
    if (head.headers.contains("content-length")) {
      // Beast accepts lists of equal numbers ("5, 5"); another parser on the way might not.
      const std::string_view text = head.header("content-length");
      if (text.empty() || text.find_first_not_of("0123456789") != std::string_view::npos)
        return refuse(error, 400, "Content-Length is not a number");
      if (const auto length = content_length()) head.content_length = *length;
    }
    head.is_keep_alive = keep_alive();
    head.is_http_1_0 = version == 10;
    if (const std::string_view expect = head.header("expect"); !expect.empty() && version == 11) {
      if (!equal_in_any_case(expect, "100-continue"))
        return refuse(error, 417, "the only expectation served here is 100-continue");
      head.expects_continue = true;
    }
    has_head = true;
  }

  void on_body_init_impl(const boost::optional<std::uint64_t>&, ErrorCode&) override {}

  std::size_t on_body_impl(string_view body, ErrorCode& error) override {
    take(body, error);
    return body.size();
  }
  void on_chunk_header_impl(std::uint64_t size, string_view, ErrorCode& error) override {
    if (size > body_left) refuse(error, 413, "the request body is longer than is accepted here");
  }
  std::size_t on_chunk_body_impl(std::uint64_t, string_view body, ErrorCode& error) override {
    take(body, error);
    return body.size();
  }
  void on_finish_impl(ErrorCode&) override {}

  void take(string_view body, ErrorCode& error) {
    if (body.size() > body_left || !sink) return refuse(error, 413, "the request body is longer than is accepted here");
    body_left -= body.size();
    sink(to_std(body));
  }
};

std::string_view Head::header(std::string_view lower_case_name) const {
  const auto found = headers.find(std::string(lower_case_name));
  return found == headers.end() ? std::string_view{} : std::string_view(found->second);
}

HttpParser::HttpParser() : beast_(std::make_unique<Beast>()) {}
HttpParser::~HttpParser() = default;

void HttpParser::reset() { beast_ = std::make_unique<Beast>(); }
bool HttpParser::has_head() const { return beast_->has_head; }
bool HttpParser::is_done() const { return beast_->is_done(); }
const Head& HttpParser::head() const { return beast_->head; }

void HttpParser::take_body(ByteCount limit, Sink sink) {
  beast_->body_left = limit;
  beast_->sink = std::move(sink);
}

tl::expected<std::size_t, HttpProblem> HttpParser::feed(std::string_view bytes) {
  std::size_t used = 0;
  const bool had_head = beast_->has_head;
  while (used < bytes.size() && !beast_->is_done()) {
    ErrorCode error;
    const std::size_t step = beast_->put(boost::asio::const_buffer(bytes.data() + used, bytes.size() - used), error);
    used += step;
    if (beast_->problem) return tl::unexpected<HttpProblem>{*beast_->problem};
    if (error == http::error::need_more) break;
    if (error == http::error::header_limit)
      return tl::unexpected<HttpProblem>{
          HttpProblem{.status = 431, .message = "the request head has more than 16384 bytes"}};
    if (error == http::error::bad_version)
      return tl::unexpected<HttpProblem>{
          HttpProblem{.status = 505, .message = "only HTTP/1.1 and HTTP/1.0 are spoken here"}};
    if (error)
      return tl::unexpected<HttpProblem>{
          HttpProblem{.status = 400, .message = "the request is not HTTP/1.1: " + error.message()}};
    if (!beast_->has_head || had_head) continue;
    // Beast joins folded lines, others may not: RFC 9112 section 5.2 lets a server refuse them. The whole head is in
    // `bytes`.
    const std::string_view text = bytes.substr(0, used);
    if (text.find("\r\n ") != std::string_view::npos || text.find("\r\n\t") != std::string_view::npos)
      return tl::unexpected<HttpProblem>{
          HttpProblem{.status = 400, .message = "a header field goes over several lines"}};
    break;
  }
  return used;
}

}  // namespace godwit::api
