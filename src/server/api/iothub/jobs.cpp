// Scheduled jobs as the job client of the original asks for them: /jobs/v2.
#include <charconv>

#include "server/api/iothub/shapes.hpp"
#include "server/api/services.hpp"
#include "server/hub/jobs/scheduled_jobs.hpp"

namespace godwit::api::iothub {
namespace {

constexpr std::size_t kDefaultPage = 100;
constexpr std::size_t kLargestPage = 1000;

[[nodiscard]] std::string_view state_name(store::JobState state) {
  switch (state) {
    case store::JobState::scheduled: return "scheduled";
    case store::JobState::enqueued: return "enqueued";
    case store::JobState::running: return "running";
    case store::JobState::completed: return "completed";
    case store::JobState::failed: return "failed";
    case store::JobState::cancelled: return "cancelled";
  }
  return "unknown";
}

[[nodiscard]] std::string_view device_state_name(store::JobDeviceState state) {
  switch (state) {
    case store::JobDeviceState::pending: return "pending";
    case store::JobDeviceState::running: return "running";
    case store::JobDeviceState::succeeded: return "completed";
    case store::JobDeviceState::failed: return "failed";
    case store::JobDeviceState::cancelled: return "canceled";  // as the original spells it here
  }
  return "unknown";
}

[[nodiscard]] std::string_view kind_name(store::JobKind kind) {
  return kind == store::JobKind::update_twin ? "scheduleUpdateTwin" : "scheduleDeviceMethod";
}

[[nodiscard]] json::Object job_json(const hub::jobs::ScheduledJobs::View& view) {
  const store::ScheduledJob& job = view.job;
  json::Object body{{"jobId", job.id},
                    {"queryCondition", job.condition},
                    {"createdTime", format_time_7(job.created)},
                    {"startTime", format_time_7(job.starts)},
                    {"maxExecutionTimeInSeconds", job.time_limit.count() / 1000},
                    {"type", kind_name(job.kind)},
                    {"status", state_name(job.state)}};
  if (job.ended) body["endTime"] = format_time_7(*job.ended);
  if (!job.reason.empty()) {
    body["failureReason"] = job.reason;
    body["statusMessage"] = job.reason;
  }
  if (auto work = json::parse_object(job.work))
    body[job.kind == store::JobKind::update_twin ? "updateTwin" : "cloudToDeviceMethod"] = *std::move(work);
  body["deviceJobStatistics"] = json::Object{{"deviceCount", view.counts.all()},
                                             {"failedCount", view.counts.failed + view.counts.cancelled},
                                             {"succeededCount", view.counts.succeeded},
                                             {"runningCount", view.counts.running},
                                             {"pendingCount", view.counts.pending}};
  return body;
}

template <class Value, class Name>
[[nodiscard]] Result<std::optional<Value>> read_choice(const Request& request, const char* parameter,
                                                       std::initializer_list<Value> values, const Name& name_of) {
  const auto text = request.query_value(parameter);
  if (!text || text->empty()) return std::optional<Value>{};
  std::string names;
  for (const Value value : values) {
    if (*text == name_of(value)) return std::optional<Value>(value);
    names += (names.empty() ? "" : ", ") + std::string(name_of(value));
  }
  return fail(Code::invalid_argument, std::string(parameter) + " '" + text->substr(0, 40) + "' is none of " + names);
}

[[nodiscard]] Result<store::JobFilter> read_filter(const Request& request) {
  store::JobFilter filter;
  GODWIT_TRY(filter.kind,
             read_choice(request, "jobtype", {store::JobKind::update_twin, store::JobKind::device_method}, kind_name));
  using enum store::JobState;
  GODWIT_TRY(filter.state, read_choice(request, "jobstatus",
                                       {scheduled, enqueued, running, completed, failed, cancelled}, state_name));
  return filter;
}

[[nodiscard]] Result<std::size_t> read_page_size(const Request& request) {
  const auto text = request.header("x-ms-max-item-count");
  if (!text) return kDefaultPage;
  std::size_t size = 0;
  const auto [end, problem] = std::from_chars(text->data(), text->data() + text->size(), size);
  if (problem != std::errc{} || end != text->data() + text->size() || size == 0 || size > kLargestPage)
    return fail(Code::invalid_argument, "x-ms-max-item-count is a number from 1 to 1000");
  return size;
}

[[nodiscard]] Result<Reply> reply_of(const Result<hub::jobs::ScheduledJobs::View>& view) {
  if (!view) return tl::unexpected<Error>{view.error()};
  return Reply::json(job_json(*view));
}

[[nodiscard]] Result<hub::jobs::ScheduledJobs*> jobs_of(Services& services) {
  if (services.jobs == nullptr) return fail(Code::unavailable, "scheduled jobs are not served here");
  return services.jobs;
}

}  // namespace

Result<Reply> put_job(const Request& request, Services& services) {
  GODWIT_TRY(auto* const jobs, jobs_of(services));
  GODWIT_TRY(const json::Object body, json::parse_object(request.body));
  return reply_of(jobs->create(request.parameter("jobId"), body, request.caller));
}

Result<Reply> get_job(const Request& request, Services& services) {
  GODWIT_TRY(const auto* const jobs, jobs_of(services));
  return reply_of(jobs->find(request.parameter("jobId")));
}

Result<Reply> cancel_job(const Request& request, Services& services) {
  GODWIT_TRY(auto* const jobs, jobs_of(services));
  return reply_of(jobs->cancel(request.parameter("jobId"), request.caller));
}

Result<Reply> query_jobs(const Request& request, Services& services) {
  GODWIT_TRY(const auto* const jobs, jobs_of(services));
  GODWIT_TRY(const store::JobFilter filter, read_filter(request));
  GODWIT_TRY(const std::size_t size, read_page_size(request));
  GODWIT_TRY(const std::string after, continuation(request));
  GODWIT_TRY(auto views, jobs->list(filter, after, size + 1));
  const bool has_more = views.size() > size;
  if (has_more) views.pop_back();
  json::Array list;
  for (const auto& view : views) list.emplace_back(job_json(view));
  Reply reply = Reply::json(std::move(list));
  reply.headers.emplace_back("x-ms-item-type", "JobResponse");
  if (has_more) add_continuation(reply, views.back().job.id);
  return reply;
}

Result<std::vector<json::Object>> device_jobs(store::Records& records) {
  constexpr std::size_t kMostLines = 20'000;  // of the newest jobs
  GODWIT_TRY(const auto lines, records.jobs().list_device_lines(kMostLines));
  std::vector<json::Object> documents;
  documents.reserve(lines.size());
  for (const auto& [job, device] : lines) {
    json::Object document{
        {"deviceId", device.device},
        {"jobId", job.id},
        {"jobType", kind_name(job.kind)},
        {"status", device_state_name(device.state)},
        {"createdDateTimeUtc", format_time_7(job.created)},
        {"lastUpdatedDateTimeUtc", format_time_7(device.ended.value_or(device.began.value_or(job.created)))}};
    if (device.began) document["startTimeUtc"] = format_time_7(*device.began);
    if (device.ended) document["endTimeUtc"] = format_time_7(*device.ended);
    if (!device.outcome.empty())
      if (auto outcome = json::parse_object(device.outcome))
        document["outcome"] = json::Object{{"deviceMethodResponse", *std::move(outcome)}};
    if (!device.error.empty()) document["error"] = json::Object{{"code", "JobFailed"}, {"description", device.error}};
    documents.push_back(std::move(document));
  }
  return documents;
}

}  // namespace godwit::api::iothub
