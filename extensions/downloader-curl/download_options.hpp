// What one try of a download is told, checked: URL, file, limits. Pure; safe from any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/error.hpp"

namespace godwit::downloader_curl {

struct DownloadOptions {
  std::string ca_file{};  // "": the system's
  std::string proxy{};    // "": as the environment says
  bool allow_http = false;
  std::int64_t max_redirects = 5;
  std::int64_t connect_timeout_ms = 30'000;
  std::int64_t timeout_ms = 0;            // 0: none
  std::int64_t min_rate = 64;             // bytes per second ...
  std::int64_t min_rate_seconds = 60;     // ... over so long
  std::int64_t max_rate = 0;              // 0: none
  std::int64_t size_limit = 1024 * 1024;  // for a file of unknown size
};
/// Members that are not known are ignored. Errors: bad_json, invalid_argument naming the member and its range.
[[nodiscard]] Result<DownloadOptions> parse_options(std::string_view json);

/// "" if `url` is one to fetch, else why not: no scheme, another scheme, credentials inside, control characters, too
/// long.
[[nodiscard]] std::string check_url(std::string_view url, bool allow_http);

/// "bytes 100-199/1000" or "bytes */1000".
struct ContentRange {
  std::optional<std::uint64_t> first{};
  std::optional<std::uint64_t> total{};
};
[[nodiscard]] std::optional<ContentRange> parse_content_range(std::string_view value);

/// Seconds from a Retry-After header: a number, or an HTTP date seen from `now` (unix seconds). At most one day.
[[nodiscard]] std::optional<std::int64_t> parse_retry_after(std::string_view value, std::int64_t now);

}  // namespace godwit::downloader_curl
