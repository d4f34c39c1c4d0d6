#include "server/api/errors.hpp"

#include <algorithm>

#include "core/base/bytes.hpp"

namespace godwit::api {
namespace {

/// "not_found" -> "NotFound".
[[nodiscard]] std::string pascal_case(std::string_view snake) {
  std::string word;
  bool is_start = true;
  for (const char c : snake) {
    if (c == '_') {
      is_start = true;
      continue;
    }
    word.push_back(is_start && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c);
    is_start = false;
  }
  return word;
}

/// The words by which the hub's own client libraries choose an error class.
[[nodiscard]] std::string_view hub_word(Code code) {
  switch (code) {
    case Code::unauthorized: return "IotHubUnauthorizedAccess";
    case Code::forbidden: return "IotHubForbidden";
    case Code::not_found: return "DeviceNotFound";
    case Code::conflict: return "DeviceAlreadyExists";
    case Code::precondition_failed: return "PreconditionFailed";
    case Code::too_many: return "ThrottlingException";
    case Code::unavailable:
    case Code::cancelled: return "ServiceUnavailable";
    case Code::invalid_argument:
    case Code::bad_json:
    case Code::unsupported:
    case Code::too_large: return "ArgumentInvalid";
    default: return "ServerError";
  }
}

[[nodiscard]] bool is_lower_hex(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

[[nodiscard]] json::Object device_update_body(const Error& error, int status, std::string_view trace_id) {
  json::Object inner;
  inner["code"] = std::to_string(static_cast<std::uint32_t>(error.code));
  json::Object problem;
  problem["code"] = pascal_case(code_name(error.code));
  problem["message"] = error.message;
  problem["innererror"] = std::move(inner);
  json::Object body;
  body["error"] = std::move(problem);
  body["title"] = reason_phrase(status);
  body["status"] = status;
  body["traceId"] = trace_id;
  return body;
}

[[nodiscard]] json::Object hub_body(const Error& error, std::string_view trace_id) {
  json::Object body;
  body["Message"] = "ErrorCode:" + std::string(hub_word(error.code)) + ";" + error.message;
  body["ExceptionMessage"] = "Tracking ID:" + std::string(trace_id);
  return body;
}

/// The number is the status with three digits behind it, as clients of a provisioning service know it.
[[nodiscard]] json::Object provisioning_body(const Error& error, int status, std::string_view trace_id) {
  return json::Object{{"errorCode", status * 1000 + 1}, {"trackingId", trace_id}, {"message", error.message}};
}

/// As clients of a storage container read it; the code stands in a header too.
[[nodiscard]] Reply storage_reply(const Error& error, int status, std::string_view trace_id) {
  const std::string_view code = status == 401 || status == 403 ? "AuthenticationFailed"
                                : status == 404                ? "ResourceNotFound"
                                : status == 411                ? "MissingContentLengthHeader"
                                : status == 413                ? "RequestBodyTooLarge"
                                : status == 400                ? "InvalidInput"
                                : status >= 500                ? "InternalError"
                                                               : "OperationNotAllowed";
  std::string message;
  for (const char c : error.message + " RequestId:" + std::string(trace_id)) switch (c) {
      case '<': message += "&lt;"; break;
      case '>': message += "&gt;"; break;
      case '&': message += "&amp;"; break;
      default: message.push_back(c);
    }
  return Reply{.status = status,
               .body = "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>" + std::string(code) +
                       "</Code><Message>" + message + "</Message></Error>",
               .content_type = "application/xml",
               .headers = {{"x-ms-error-code", std::string(code)}}};
}

[[nodiscard]] json::Object body_of(Family family, const Error& error, int status, std::string_view trace_id) {
  if (family == Family::iothub) return hub_body(error, trace_id);
  if (family == Family::provisioning) return provisioning_body(error, status, trace_id);
  return device_update_body(error, status, trace_id);
}

}  // namespace

std::string_view reason_phrase(int status) {
  switch (status) {
    case 100: return "Continue";
    case 101: return "Switching Protocols";
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 206: return "Partial Content";
    case 304: return "Not Modified";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 411: return "Length Required";
    case 412: return "Precondition Failed";
    case 413: return "Content Too Large";
    case 415: return "Unsupported Media Type";
    case 416: return "Range Not Satisfiable";
    case 417: return "Expectation Failed";
    case 426: return "Upgrade Required";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    case 507: return "Insufficient Storage";
    default: return "";
  }
}

std::string make_trace_id(std::string_view traceparent) {
  // W3C trace context: version "-" trace-id "-" parent-id "-" flags.
  std::string trace;
  if (traceparent.size() == 55 && traceparent.starts_with("00-") && traceparent[35] == '-' &&
      is_lower_hex(traceparent.substr(3, 32)))
    trace = traceparent.substr(3, 32);
  else
    trace = hex_encode(random_bytes(16));
  return "00-" + trace + "-" + hex_encode(random_bytes(8)) + "-00";
}

Reply error_reply(Family family, const Error& error, std::string_view trace_id, int status) {
  if (status == 0) status = http_status(error.code);
  // A twin that would outgrow its limit is a bad argument to the hub's clients, not a bad request size.
  if (family == Family::iothub && error.code == Code::too_large && status == 413) status = 400;
  Reply reply = family == Family::storage ? storage_reply(error, status, trace_id)
                                          : Reply::json(body_of(family, error, status, trace_id), status);
  if (status == 401) reply.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"godwit\"");
  if (status == 429 || status == 503) reply.headers.emplace_back("Retry-After", "1");
  return reply;
}

}  // namespace godwit::api
