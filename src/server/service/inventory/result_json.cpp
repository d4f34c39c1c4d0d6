#include "server/service/inventory/result_json.hpp"

#include <algorithm>
#include <bit>

namespace godwit::service {
namespace {

std::int64_t as_signed(ExtendedCode code) { return std::bit_cast<std::int32_t>(code); }

json::Object explained_code(ExtendedCode code) {
  json::Object object;
  object["code"] = extended_code_hex(code);
  object["text"] = std::string(extended_code_text(code));
  return object;
}

Result<StepResult> read_step(const json::Value& value) {
  if (!value.is_object()) return fail(Code::bad_json, "stored step result is not an object");
  const json::Object& object = value.as_object();
  GODWIT_TRY(const std::int64_t result_code, json::integer(object, "resultCode", "step result"));
  GODWIT_TRY(const std::int64_t extended_code, json::integer(object, "extendedCode", "step result"));
  GODWIT_TRY(std::string details, json::text(object, "details", "step result"));
  return StepResult{.result_code = static_cast<std::int32_t>(result_code),
                    .extended_code = static_cast<ExtendedCode>(extended_code),
                    .details = std::move(details)};
}

}  // namespace

std::string store_result(const InstallResult& result) {
  json::Object object;
  object["resultCode"] = result.result_code;
  json::Array codes;
  for (const ExtendedCode code : result.extended_codes) codes.emplace_back(code);
  object["extendedCodes"] = std::move(codes);
  object["details"] = result.details;
  json::Array steps;
  for (const StepResult& step : result.steps) {
    json::Object one;
    one["resultCode"] = step.result_code;
    one["extendedCode"] = step.extended_code;
    one["details"] = step.details;
    steps.emplace_back(std::move(one));
  }
  object["steps"] = std::move(steps);
  return json::print(object);
}

Result<std::optional<InstallResult>> read_result(const std::string& stored) {
  if (stored.empty()) return std::optional<InstallResult>{};
  GODWIT_TRY(const json::Object object, json::parse_object(stored));
  InstallResult result;
  GODWIT_TRY(const std::int64_t code, json::integer(object, "resultCode", "stored result"));
  result.result_code = static_cast<std::int32_t>(code);
  GODWIT_TRY(const json::Array* codes, json::array(object, "extendedCodes", "stored result"));
  for (const json::Value& value : *codes) {
    if (!value.is_int64()) return fail(Code::bad_json, "stored extended code is not a number");
    result.extended_codes.push_back(static_cast<ExtendedCode>(value.as_int64()));
  }
  GODWIT_TRY(result.details, json::text(object, "details", "stored result"));
  GODWIT_TRY(const json::Array* steps, json::array(object, "steps", "stored result"));
  for (const json::Value& value : *steps) {
    GODWIT_TRY(auto step, read_step(value));
    result.steps.push_back(std::move(step));
  }
  return std::optional<InstallResult>{std::move(result)};
}

ExtendedCode root_code(const InstallResult& result) {
  return result.extended_codes.empty() ? 0U : result.extended_codes.front();
}

std::optional<std::size_t> failed_step(const InstallResult& result) {
  const auto failed = std::find_if(result.steps.begin(), result.steps.end(),
                                   [](const StepResult& step) { return step.result_code <= 0; });
  if (result.result_code > 0 || failed == result.steps.end()) return std::nullopt;
  return static_cast<std::size_t>(failed - result.steps.begin());
}

json::Object api_result(const InstallResult& result) {
  json::Object object;
  object["resultCode"] = result.result_code;
  object["extendedResultCode"] = as_signed(root_code(result));
  if (!result.details.empty()) object["resultDetails"] = result.details;
  if (result.steps.empty()) return object;
  json::Array steps;
  for (const StepResult& step : result.steps) {
    json::Object one;
    one["resultCode"] = step.result_code;
    one["extendedResultCode"] = as_signed(step.extended_code);
    if (!step.details.empty()) one["resultDetails"] = step.details;
    steps.emplace_back(std::move(one));
  }
  object["stepResults"] = std::move(steps);
  return object;
}

json::Object explained_result(const InstallResult& result) {
  json::Object object;
  object["resultCode"] = result.result_code;
  object["resultText"] = std::string(result_code_text(result.result_code));
  json::Array codes;
  for (const ExtendedCode code : result.extended_codes) codes.emplace_back(explained_code(code));
  object["extendedResultCodes"] = std::move(codes);
  if (!result.details.empty()) object["resultDetails"] = result.details;
  if (const auto step = failed_step(result)) object["failedStep"] = *step;
  json::Array steps;
  for (const StepResult& step : result.steps) {
    json::Object one;
    one["resultCode"] = step.result_code;
    one["resultText"] = std::string(result_code_text(step.result_code));
    one["extendedResultCode"] = explained_code(step.extended_code);
    if (!step.details.empty()) one["resultDetails"] = step.details;
    steps.emplace_back(std::move(one));
  }
  object["stepResults"] = std::move(steps);
  return object;
}

std::string management_time(WallTime time) {
  std::string text = format_time_7(time);
  text.replace(text.size() - 1, 1, "+00:00");
  return text;
}

}  // namespace godwit::service
