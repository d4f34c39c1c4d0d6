// The diagnosticInformation contract on the twin: the service asks for logs, the agent uploads them and says how it
// went. Pure functions; safe from any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/base/error.hpp"
#include "core/base/json.hpp"

namespace godwit::twin {

/// What agents report about a collection.
namespace log_code {
inline constexpr std::int64_t ok = 200, failure = 0, no_logs = -1, upload_failed = -2, no_container = -3,
                              bad_credential = -4, no_components = -5, no_operation = -6, no_url = -7;
}
/// "the agent found no logs"; for a number that nobody gave a meaning "the agent reports code N".
[[nodiscard]] std::string log_code_words(std::int64_t code);

/// The goal: upload logs for this operation into the container behind the URL.
struct LogRequest {
  std::string operation_id;  // 1..256, without '/'
  std::string upload_url;    // of a container, with its credential in the query
  friend bool operator==(const LogRequest&, const LogRequest&) = default;
};
[[nodiscard]] json::Object log_request_patch(const LogRequest& request);
/// Agent side, from a full desired section. nullopt: nothing is asked for. A missing id or URL is "" here: the agent
/// reports it by its own code. Errors: bad_json naming the member; the id is not one.
[[nodiscard]] Result<std::optional<LogRequest>> read_log_request(const json::Object& desired);
/// "" if it may be an operation id (and part of a blob's name), else why not.
[[nodiscard]] std::string check_log_operation_id(std::string_view id);

struct LogOutcome {
  std::string operation_id;
  std::int64_t result_code = log_code::failure;
  std::string details{};  // Godwit's own addition: a sentence
  friend bool operator==(const LogOutcome&, const LogOutcome&) = default;
};
[[nodiscard]] json::Object log_outcome_patch(const LogOutcome& outcome);
/// Of a reported patch. Numbers may be text. nullopt: it says nothing about a collection.
[[nodiscard]] std::optional<LogOutcome> read_log_outcome(const json::Object& reported);
/// Acknowledges the writable property `service`; the URL is a credential and is not echoed.
[[nodiscard]] json::Object log_ack_patch(const LogRequest& request, int status, std::string_view description,
                                         std::uint64_t desired_version);

}  // namespace godwit::twin
