#include "core/twin/diagnostics.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/bytes.hpp"
#include "core/base/text.hpp"
#include "core/twin/component.hpp"

namespace godwit::twin {
namespace {

constexpr std::string_view kComponent = "diagnosticInformation";
constexpr std::size_t kOperationIdLimit = 256;
constexpr std::size_t kUrlLimit = 4096;
constexpr std::size_t kDetailsLimit = 1024;

Result<std::string> text_or_empty(const json::Object& object, std::string_view key) {
  const json::Value* value = json::find(object, key);
  if (value == nullptr || value->is_null()) return std::string{};
  return json::text(object, key, "diagnosticInformation.service");
}

}  // namespace

std::string log_code_words(std::int64_t code) {
  switch (code) {
    case log_code::ok: return "the logs were uploaded";
    case log_code::failure: return "the agent could not collect its logs";
    case log_code::no_logs: return "the agent found no logs";
    case log_code::upload_failed: return "the agent could not upload its logs";
    case log_code::no_container: return "the agent could not reach the place for its logs";
    case log_code::bad_credential: return "the agent's credential for the upload was refused";
    case log_code::no_components: return "the agent has no logs configured";
    case log_code::no_operation: return "the agent got no operation id";
    case log_code::no_url: return "the agent got no URL to upload to";
    default: return fmt::format("the agent reports code {}", code);
  }
}

std::string check_log_operation_id(std::string_view id) {
  if (id.empty()) return "is empty";
  if (id.size() > kOperationIdLimit) return fmt::format("has more than {} characters", kOperationIdLimit);
  const bool is_plain = std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_' || c == '~';
  });
  return is_plain && id != "." && id != ".." ? std::string{} : "has other characters than letters, digits and - . _ ~";
}

json::Object log_request_patch(const LogRequest& request) {
  json::Object service;
  service["operationId"] = request.operation_id;
  service["storageSasUrl"] = request.upload_url;
  return in_component(kComponent, "service", std::move(service));
}

Result<std::optional<LogRequest>> read_log_request(const json::Object& desired) {
  const json::Object* service = property_of(desired, kComponent, "service");
  if (service == nullptr) return std::optional<LogRequest>{};
  LogRequest request;
  GODWIT_TRY(request.operation_id, text_or_empty(*service, "operationId"));
  GODWIT_TRY(request.upload_url, text_or_empty(*service, "storageSasUrl"));
  if (request.operation_id.empty() && request.upload_url.empty()) return std::optional<LogRequest>{};
  if (!request.operation_id.empty())
    if (const std::string reason = check_log_operation_id(request.operation_id); !reason.empty())
      return fail(Code::bad_json, "diagnosticInformation.service.operationId " + reason);
  if (request.upload_url.size() > kUrlLimit)
    return fail(Code::bad_json, "diagnosticInformation.service.storageSasUrl is too long");
  return std::optional(std::move(request));
}

json::Object log_outcome_patch(const LogOutcome& outcome) {
  json::Object agent;
  agent["resultCode"] = outcome.result_code;
  agent["operationId"] = outcome.operation_id;
  agent["resultDetails"] = outcome.details.empty() ? json::Value(nullptr) : json::Value(outcome.details);
  return in_component(kComponent, "agent", std::move(agent));
}

std::optional<LogOutcome> read_log_outcome(const json::Object& reported) {
  const json::Object* agent = property_of(reported, kComponent, "agent");
  if (agent == nullptr) return std::nullopt;
  const auto id = json::text_or_nothing(*agent, "operationId");
  if (!id || id->size() > kOperationIdLimit) return std::nullopt;
  auto code = json::integer_or_nothing(*agent, "resultCode");
  if (!code)
    if (const auto text = json::text_or_nothing(*agent, "resultCode")) code = to_number<std::int64_t>(*text);
  if (!code) return std::nullopt;
  std::string details = json::text_or_nothing(*agent, "resultDetails").value_or("").substr(0, kDetailsLimit);
  while (!details.empty() && !is_valid_utf8(details)) details.pop_back();  // the cut may have gone through a character
  return LogOutcome{.operation_id = *id, .result_code = *code, .details = std::move(details)};
}

json::Object log_ack_patch(const LogRequest& request, int status, std::string_view description,
                           std::uint64_t desired_version) {
  json::Object value;
  value["operationId"] = request.operation_id;
  value["storageSasUrl"] = nullptr;
  return in_component(kComponent, "service", acknowledged(std::move(value), status, description, desired_version));
}

}  // namespace godwit::twin
