#include "server/hub/jobs/job_form.hpp"

#include "server/hub/method_form.hpp"

namespace godwit::hub::jobs {
namespace {

Result<std::optional<json::Object>> section(const json::Object& parent, std::string_view name, std::string_view where) {
  const json::Value* value = json::find(parent, name);
  if (value == nullptr || value->is_null()) return std::optional<json::Object>{};
  if (!value->is_object()) return fail(Code::invalid_argument, std::string(where) + " is not an object");
  return std::optional<json::Object>(value->get_object());
}

Result<void> check_id(const std::string& id, const JobLimits& limits) {
  if (std::string reason = check_device_id(id); !reason.empty() || id.size() > limits.id_bytes)
    return fail(Code::invalid_argument,
                "job id '" + id.substr(0, 64) + "' " + (reason.empty() ? "has more than 64 characters" : reason));
  return {};
}

Result<void> read_work(store::ScheduledJob& job, const json::Object& body, const MethodLimits& methods) {
  GODWIT_TRY(const std::string type, json::text(body, "type", "type"));
  if (type == "scheduleUpdateTwin") {
    job.kind = store::JobKind::update_twin;
    GODWIT_TRY(const json::Object* update, json::object(body, "updateTwin", "updateTwin"));
    const std::string etag = json::text_or_nothing(*update, "etag").value_or("*");
    if (etag != "*" && !etag.empty())
      return fail(Code::invalid_argument, "updateTwin.etag is '*' or left out: many twins have many etags");
    GODWIT_TRY(const TwinChange change, read_twin_work(*update));
    json::Object kept;
    if (change.tags) kept["tags"] = *change.tags;
    if (change.desired) kept["properties"] = json::Object{{"desired", *change.desired}};
    job.work = json::print(kept);
    return {};
  }
  if (type != "scheduleDeviceMethod")
    return fail(Code::invalid_argument,
                "type '" + type.substr(0, 40) + "' is neither 'scheduleUpdateTwin' nor 'scheduleDeviceMethod'");
  job.kind = store::JobKind::device_method;
  GODWIT_TRY(const json::Object* method, json::object(body, "cloudToDeviceMethod", "cloudToDeviceMethod"));
  GODWIT_TRY(const IdentityId anybody, IdentityId::parse("any"));
  GODWIT_TRY(const MethodCall call, read_method_call(*method, anybody));
  GODWIT_TRY_VOID(check_call(call, methods));
  job.work = json::print(*method);
  return {};
}

Result<void> read_times(store::ScheduledJob& job, const json::Object& body, WallTime now, const JobLimits& limits) {
  job.created = now;
  job.starts = now;
  if (const auto text = json::text_or_nothing(body, "startTime")) {
    auto time = parse_time(*text);
    if (!time) return with_context("startTime", time.error());
    job.starts = std::max(*time, now);
    if (*time > now + limits.farthest_start) return fail(Code::invalid_argument, "startTime is more than a year away");
  }
  job.time_limit = limits.default_time;
  if (const json::Value* value = json::find(body, "maxExecutionTimeInSeconds"); value != nullptr && !value->is_null()) {
    const auto seconds = json::integer(body, "maxExecutionTimeInSeconds", "maxExecutionTimeInSeconds");
    const std::int64_t least = limits.shortest.count() / 1000;
    const std::int64_t most = limits.longest / std::chrono::seconds(1);
    if (!seconds || *seconds < least || *seconds > most)
      return fail(Code::invalid_argument, "maxExecutionTimeInSeconds is a whole number from " + std::to_string(least) +
                                              " to " + std::to_string(most));
    job.time_limit = Duration{*seconds * 1000};
  }
  return {};
}

}  // namespace

Result<TwinChange> read_twin_work(const json::Object& work) {
  TwinChange change;
  GODWIT_TRY(change.tags, section(work, "tags", "updateTwin.tags"));
  GODWIT_TRY(const auto properties, section(work, "properties", "updateTwin.properties"));
  if (properties) {
    GODWIT_TRY(change.desired, section(*properties, "desired", "updateTwin.properties.desired"));
  }
  if (!change.tags && !change.desired)
    return fail(Code::invalid_argument, "updateTwin has neither tags nor properties.desired");
  return change;
}

Result<store::ScheduledJob> read_job(const std::string& id, const json::Object& body, WallTime now,
                                     const JobLimits& limits, const MethodLimits& methods) {
  GODWIT_TRY_VOID(check_id(id, limits));
  if (const auto named = json::text_or_nothing(body, "jobId"); named && *named != id)
    return fail(Code::invalid_argument, "jobId in the body is another one than in the path");
  store::ScheduledJob job{.id = id};
  job.condition = json::text_or_nothing(body, "queryCondition").value_or("");
  if (job.condition.empty())
    return fail(Code::invalid_argument, "queryCondition is missing; '*' stands for every device");
  GODWIT_TRY_VOID(read_work(job, body, methods));
  if (job.work.size() > limits.work_bytes)
    return fail(Code::too_large, "what the job does takes more than " + std::to_string(limits.work_bytes) + " bytes");
  GODWIT_TRY_VOID(read_times(job, body, now, limits));
  return job;
}

}  // namespace godwit::hub::jobs
