// The head of an HTTP/1 answer, as a proxy or a WebSocket server gives it. Pure; safe from any thread.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>

#include "core/base/error.hpp"

namespace godwit::agent {

inline constexpr std::size_t kHttpHeadLimit = 16 * 1024;  // for who collects a head

struct HttpAnswer {
  int status = 0;                             // 100 to 599
  std::string reason{};                       // without control characters; may be ""
  std::map<std::string, std::string> fields;  // names in lower case; of several with one name joined by ", "

  /// "" when there is no such field. `name` in lower case.
  [[nodiscard]] std::string_view field(const std::string& name) const;
};

/// `head`: from the status line to the empty line, both included. Errors: bad_packet ("no HTTP answer": what stood
/// there instead is not repeated), too_large.
[[nodiscard]] Result<HttpAnswer> parse_http_answer(std::string_view head);

}  // namespace godwit::agent
