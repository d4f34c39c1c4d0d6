#include "server/api/http.hpp"

#include <ctime>

namespace godwit::api {

std::string Request::parameter(std::string_view name) const {
  const auto found = parameters.find(std::string(name));
  return found == parameters.end() ? std::string{} : found->second;
}

std::optional<std::string> Request::query_value(std::string_view name) const {
  const auto found = query.find(std::string(name));
  if (found == query.end()) return std::nullopt;
  return found->second;
}

std::optional<std::string> Request::header(std::string_view lower_case_name) const {
  const auto found = headers.find(std::string(lower_case_name));
  if (found == headers.end()) return std::nullopt;
  return found->second;
}

Reply Reply::json(const json::Value& value, int status) { return Reply{.status = status, .body = json::print(value)}; }

std::string http_date(WallTime time) {
  const std::time_t seconds =
      std::chrono::system_clock::to_time_t(std::chrono::time_point_cast<std::chrono::system_clock::duration>(time));
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[40];
  return {text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts)};
}

int http_status(Code code) {
  switch (code) {
    case Code::ok: return 200;
    case Code::unauthorized: return 401;
    case Code::forbidden: return 403;
    case Code::not_found: return 404;
    case Code::conflict:
    case Code::refused: return 409;
    case Code::precondition_failed: return 412;
    case Code::too_large: return 413;
    case Code::too_many: return 429;
    case Code::invalid_argument:
    case Code::unsupported:
    case Code::bad_json:
    case Code::bad_manifest:
    case Code::bad_signature:
    case Code::digest_mismatch:
    case Code::size_mismatch:
    case Code::incompatible:
    case Code::bad_packet: return 400;
    case Code::network_failed:
    case Code::tls_failed: return 502;
    case Code::cancelled:
    case Code::unavailable: return 503;
    case Code::timed_out: return 504;
    case Code::disk_full: return 507;
    case Code::io_failed:
    case Code::database_failed:
    case Code::crypto_failed:
    case Code::process_failed:
    case Code::extension_missing:
    case Code::extension_refused:
    case Code::extension_crashed:
    case Code::extension_contract:
    case Code::internal: return 500;
  }
  return 500;
}

}  // namespace godwit::api
