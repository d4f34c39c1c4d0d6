// How a failure looks on the wire. Four shapes, because four kinds of client read them: the Device Update one
// (error.code and error.message, with the members of a problem document beside them), the hub's (Message,
// ExceptionMessage), the provisioning service's (errorCode, message) and a storage container's (XML).
// Pure.
#pragma once

#include <string>
#include <string_view>

#include "server/api/http.hpp"
#include "server/api/router.hpp"

namespace godwit::api {

/// "Not Found" for 404; "" for a number that has none.
[[nodiscard]] std::string_view reason_phrase(int status);
/// "00-<32 hex>-<16 hex>-00": the trace id of a valid `traceparent` value, else a fresh one.
[[nodiscard]] std::string make_trace_id(std::string_view traceparent);

/// `status` overrides what the code maps to; 0 = http_status(error.code). Adds Retry-After to 429 and 503 and
/// WWW-Authenticate to 401.
[[nodiscard]] Reply error_reply(Family family, const Error& error, std::string_view trace_id, int status = 0);

}  // namespace godwit::api
