#include "server/hub/method_form.hpp"

namespace godwit::hub {
namespace {

Result<Duration> read_seconds(const json::Object& body, std::string_view name, std::int64_t fallback) {
  constexpr std::int64_t kMostSeconds = 1'000'000;  // the hub knows the true bound
  const json::Value* const value = json::find(body, name);
  if (value == nullptr || value->is_null()) return Duration{fallback * 1000};
  if (!value->is_number()) return fail(Code::invalid_argument, std::string(name) + " is not a number of seconds");
  const auto seconds = json::integer(body, name, name);
  if (!seconds || *seconds < 0 || *seconds > kMostSeconds)
    return fail(Code::invalid_argument, std::string(name) + " is not a whole number of seconds in range");
  return Duration{*seconds * 1000};
}

}  // namespace

Result<MethodCall> read_method_call(const json::Object& body, const IdentityId& id) {
  MethodCall call{.id = id};
  GODWIT_TRY(call.method, json::text(body, "methodName", "methodName"));
  GODWIT_TRY(call.response_time, read_seconds(body, "responseTimeoutInSeconds", 30));
  GODWIT_TRY(call.connect_time, read_seconds(body, "connectTimeoutInSeconds", 0));
  if (const json::Value* payload = json::find(body, "payload")) call.payload = json::print(*payload);
  return call;
}

}  // namespace godwit::hub
