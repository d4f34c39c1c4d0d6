// The request target: path segments as sent (split before decoding) and the decoded query. Strict, because what one
// parser reads and another checks must be the same thing. Pure; safe from any thread.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.hpp"

namespace godwit::api {

struct Target {
  std::string path;                          // as sent, without the query
  std::vector<std::string> segments;         // raw; a single trailing '/' adds none
  std::map<std::string, std::string> query;  // decoded; names lower-cased
};

/// Origin form ("/a/b?c=d") or absolute form. Errors: invalid_argument for bad %-sequences, control characters, '#',
/// "." and ".." segments (also encoded), a query name given twice, more than 8192 bytes, 32 segments or 32 query
/// values.
[[nodiscard]] Result<Target> parse_target(std::string_view text);

}  // namespace godwit::api
