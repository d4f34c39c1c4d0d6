#include "download_options.hpp"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>

#include "core/base/json.hpp"
#include "core/base/text.hpp"

namespace godwit::downloader_curl {
namespace {

constexpr std::size_t kUrlLimit = 8 * 1024;
constexpr std::int64_t kDaySeconds = 24 * 60 * 60;
constexpr std::int64_t kWeekMs = 7 * kDaySeconds * 1000;
constexpr std::int64_t kRateLimit = 1'000'000'000'000;

Result<void> read_number(const json::Object& object, std::string_view key, std::int64_t least, std::int64_t most,
                         std::int64_t& into) {
  const json::Value* value = json::find(object, key);
  if (value == nullptr || value->is_null()) return {};
  GODWIT_TRY(const std::int64_t number, json::integer(object, key, "options"));
  if (number < least || number > most)
    return fail(Code::invalid_argument,
                fmt::format("options.{} is {}, allowed are {} to {}", key, number, least, most));
  into = number;
  return {};
}

Result<void> read_text(const json::Object& object, std::string_view key, std::string& into) {
  const json::Value* value = json::find(object, key);
  if (value == nullptr || value->is_null()) return {};
  GODWIT_TRY(into, json::text(object, key, "options"));
  return {};
}

bool starts_with_any_case(std::string_view text, std::string_view prefix) {
  return equal_in_any_case(text.substr(0, prefix.size()), prefix);
}

}  // namespace

Result<DownloadOptions> parse_options(std::string_view json) {
  GODWIT_TRY(const json::Object object, json::parse_object(json, {.bytes = 64 * 1024, .depth = 8}));
  DownloadOptions options;
  GODWIT_TRY_VOID(read_text(object, "caFile", options.ca_file));
  GODWIT_TRY_VOID(read_text(object, "proxy", options.proxy));
  if (const json::Value* allow = json::find(object, "allowHttp"); allow != nullptr && !allow->is_null()) {
    if (!allow->is_bool()) return fail(Code::invalid_argument, "options.allowHttp is not true or false");
    options.allow_http = allow->get_bool();
  }
  GODWIT_TRY_VOID(read_number(object, "maxRedirects", 0, 20, options.max_redirects));
  GODWIT_TRY_VOID(read_number(object, "connectTimeoutMs", 1, kWeekMs, options.connect_timeout_ms));
  GODWIT_TRY_VOID(read_number(object, "timeoutMs", 0, kWeekMs, options.timeout_ms));
  GODWIT_TRY_VOID(read_number(object, "minRateBytesPerSecond", 0, kRateLimit, options.min_rate));
  GODWIT_TRY_VOID(read_number(object, "minRateSeconds", 1, kDaySeconds, options.min_rate_seconds));
  GODWIT_TRY_VOID(read_number(object, "maxRateBytesPerSecond", 0, kRateLimit, options.max_rate));
  GODWIT_TRY_VOID(read_number(object, "sizeLimit", 1, kRateLimit, options.size_limit));
  return options;
}

std::string check_url(std::string_view url, bool allow_http) {
  if (url.empty()) return "it is empty";
  if (url.size() > kUrlLimit) return fmt::format("it has more than {} bytes", kUrlLimit);
  if (std::any_of(url.begin(), url.end(), [](char c) {
        return static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) == 0x7F;
      }))
    return "it holds a space or a control character";
  const bool is_https = starts_with_any_case(url, "https://");
  const bool is_http = starts_with_any_case(url, "http://");
  if (is_http && !allow_http) return "it is http, and the agent's configuration admits https only";
  if (!is_https && !is_http) return "it is neither https nor http";
  const std::string_view rest = url.substr(url.find("://") + 3);
  const std::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
  if (authority.empty()) return "it names no host";
  if (authority.find('@') != std::string_view::npos) return "it holds a user name or password";
  return "";
}

std::optional<ContentRange> parse_content_range(std::string_view value) {
  constexpr std::string_view kUnit = "bytes ";
  if (!starts_with_any_case(value, kUnit)) return std::nullopt;
  value.remove_prefix(kUnit.size());
  const auto slash = value.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  ContentRange range;
  if (const std::string_view total = value.substr(slash + 1); total != "*") {
    range.total = to_number<std::uint64_t>(total);
    if (!range.total) return std::nullopt;
  }
  const std::string_view span = value.substr(0, slash);
  if (span == "*") return range;
  const auto dash = span.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  range.first = to_number<std::uint64_t>(span.substr(0, dash));
  const auto last = to_number<std::uint64_t>(span.substr(dash + 1));
  if (!range.first || !last || *last < *range.first) return std::nullopt;
  return range;
}

std::optional<std::int64_t> parse_retry_after(std::string_view value, std::int64_t now) {
  if (const auto seconds = to_number<std::uint64_t>(value))
    return static_cast<std::int64_t>(std::min<std::uint64_t>(*seconds, kDaySeconds));
  if (value.empty() || value.size() > 64) return std::nullopt;
  const auto date = static_cast<std::int64_t>(::curl_getdate(std::string(value).c_str(), nullptr));
  if (date < 0) return std::nullopt;
  return std::clamp<std::int64_t>(date - now, 0, kDaySeconds);
}

}  // namespace godwit::downloader_curl
