// HTTP/1.x requests out of bytes, without a socket: Boost.Beast's parser behind limits and the checks that keep one
// request from being read as two. http_parser.cpp is the only file that includes Beast. One connection's; not
// thread-safe.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/bytes.hpp"
#include "server/api/http.hpp"

namespace godwit::api {

struct Head {
  Method method = Method::get;
  std::string target;
  std::map<std::string, std::string> headers;  // names lower-cased; a repeated name is joined by ", "
  bool is_keep_alive = true;
  bool is_http_1_0 = false;  // such a client knows no chunks
  bool expects_continue = false;
  bool is_chunked = false;
  std::optional<ByteCount> content_length;

  [[nodiscard]] std::string_view header(std::string_view lower_case_name) const;  // "" if absent
  [[nodiscard]] bool has_body() const { return is_chunked || content_length.value_or(0) > 0; }
};

/// Why a message is refused; the connection ends after the answer, because what follows cannot be trusted.
struct HttpProblem {
  int status = 400;  // 400, 413, 431, 501, 505
  std::string message;
};

class HttpParser {
 public:
  static constexpr std::size_t kHeaderBytes = 16 * 1024;
  static constexpr std::size_t kHeaderFields = 64;
  using Sink = std::function<void(std::string_view piece)>;

  HttpParser();
  ~HttpParser();

  /// Forgets the last message.
  void reset();
  /// Parses from the front of `bytes`; the answer is how many were used. The caller keeps the rest and brings it again
  /// with more behind it. Stops at the end of the head, and at the end of the message.
  [[nodiscard]] tl::expected<std::size_t, HttpProblem> feed(std::string_view bytes);
  [[nodiscard]] bool has_head() const;
  [[nodiscard]] bool is_done() const;
  [[nodiscard]] const Head& head() const;

  /// After the head: where the body goes and how long it may be at most. Without it no body is taken.
  void take_body(ByteCount limit, Sink sink);

 private:
  struct Beast;
  std::unique_ptr<Beast> beast_;
};

}  // namespace godwit::api
