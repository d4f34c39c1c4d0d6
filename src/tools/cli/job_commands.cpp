// hub job create|show|list|cancel
#include <fmt/format.h>

#include "tools/cli/app.hpp"

namespace godwit::cli {
namespace {

struct JobFlags {
  std::string id{}, type{}, where{}, patch{}, method{}, payload = "null", start{}, status{};
  std::int64_t seconds = 3600;
  std::int64_t response_seconds = 30;
};

std::string job_path(const JobFlags& flags) { return "/jobs/v2/" + percent_encode(flags.id); }

void add_row(Table& table, const json::Value& job) {
  const auto count = [&](const char* name) { return text_at(job, std::string("deviceJobStatistics.") + name); };
  table.add({text_at(job, "jobId"), text_at(job, "type"), text_at(job, "status"), count("deviceCount"),
             count("succeededCount"), count("failedCount"), count("runningCount"), count("pendingCount"),
             text_at(job, "startTime").substr(0, 19), text_at(job, "failureReason")});
}

Result<int> show_jobs(Context& context, const json::Array& jobs, const json::Value& whole) {
  Table table({"JOB", "TYPE", "STATUS", "DEVICES", "DONE", "FAILED", "RUNNING", "PENDING", "START", "REASON"});
  for (const auto& job : jobs) add_row(table, job);
  context.show(whole, table);
  return exit_code::ok;
}

Result<int> show_answer(Context& context, const Response& response) {
  GODWIT_TRY(const auto job, json::parse(response.body));
  return show_jobs(context, json::Array{job}, job);
}

Result<int> create(Context& context, const JobFlags& flags) {
  json::Object body{{"jobId", flags.id},
                    {"type", flags.type},
                    {"queryCondition", flags.where},
                    {"maxExecutionTimeInSeconds", flags.seconds}};
  if (!flags.start.empty()) body["startTime"] = flags.start;
  if (flags.type == "scheduleUpdateTwin") {
    auto patch = json::parse_object(flags.patch.empty() ? "{}" : std::string_view(flags.patch));
    if (!patch) return with_context("--twin-patch", Error{Code::invalid_argument, patch.error().message});
    (*patch)["etag"] = "*";
    body["updateTwin"] = *patch;
  } else {
    auto payload = json::parse(flags.payload);
    if (!payload) return with_context("--method-payload", Error{Code::invalid_argument, payload.error().message});
    body["cloudToDeviceMethod"] = json::Object{
        {"methodName", flags.method}, {"payload", *payload}, {"responseTimeoutInSeconds", flags.response_seconds}};
  }
  GODWIT_TRY(auto* client, context.client());
  GODWIT_TRY(const auto response, client->send("PUT", job_path(flags), {}, json::print(body)));
  return show_answer(context, response);
}

Result<int> show(Context& context, const JobFlags& flags) {
  GODWIT_TRY(auto* client, context.client());
  GODWIT_TRY(const auto response, client->send("GET", job_path(flags)));
  return show_answer(context, response);
}

Result<int> cancel(Context& context, const JobFlags& flags) {
  GODWIT_TRY(auto* client, context.client());
  GODWIT_TRY(const auto response, client->send("POST", job_path(flags) + "/cancel"));
  return show_answer(context, response);
}

Result<int> list(Context& context, const JobFlags& flags) {
  GODWIT_TRY(auto* client, context.client());
  Query query;
  if (!flags.type.empty()) query.emplace_back("jobType", flags.type);
  if (!flags.status.empty()) query.emplace_back("jobStatus", flags.status);
  json::Array all;
  for (std::string continuation;;) {
    std::vector<std::string> headers;
    if (!continuation.empty()) headers.push_back("x-ms-continuation: " + continuation);
    GODWIT_TRY(const auto response, client->send("GET", "/jobs/v2/query", query, {}, headers));
    GODWIT_TRY(const auto page, json::parse(response.body, {.bytes = 64 * 1024 * 1024, .depth = 64}));
    if (!page.is_array()) return fail(Code::bad_json, "GET /jobs/v2/query: the answer is not a list");
    all.insert(all.end(), page.as_array().begin(), page.as_array().end());
    continuation = response.header("x-ms-continuation");
    if (continuation.empty()) break;
  }
  return show_jobs(context, all, all);
}

}  // namespace

void add_job_commands(CLI::App& hub, Context& context) {
  auto* job = hub.add_subcommand("job", "Twin changes and methods for many devices, at a time");
  job->require_subcommand(1);
  const auto command = [&](const char* name, const char* help, bool wants_id,
                           Result<int> (*run_it)(Context&, const JobFlags&)) {
    auto* sub = job->add_subcommand(name, help);
    auto flags = std::make_shared<JobFlags>();
    if (wants_id) sub->add_option("--job-id,--jid", flags->id, "Job id")->required();
    sub->callback(
        [&context, flags, run_it] { context.action = [flags, run_it](Context& c) { return run_it(c, *flags); }; });
    return std::pair{sub, flags};
  };
  const std::vector<std::string> types{"scheduleUpdateTwin", "scheduleDeviceMethod"};
  const auto [made, flags] = command("create", "Schedule a job", true, create);
  made->add_option("--job-type,--jt", flags->type, "What it does")->required()->check(CLI::IsMember(types));
  made->add_option("--query-condition,-q", flags->where, "Which devices: a condition, or '*'")->required();
  made->add_option("--twin-patch,--patch", flags->patch, "JSON with tags and properties.desired");
  made->add_option("--method-name,--mn", flags->method, "Name of the method");
  made->add_option("--method-payload,--mp", flags->payload, "JSON that the method gets");
  made->add_option("--method-response-timeout,--mrt", flags->response_seconds, "Seconds in which a device must answer")
      ->check(CLI::Range(5, 300));
  made->add_option("--start-time,--start", flags->start, "ISO 8601; now unless given");
  made->add_option("--ttl", flags->seconds, "Seconds in which the job must be done")->check(CLI::Range(10, 172'800));
  command("show", "Show a job and how far it is", true, show);
  command("cancel", "Stop a job", true, cancel);
  const auto [listed, list_flags] = command("list", "List jobs", false, list);
  listed->add_option("--job-type,--jt", list_flags->type, "Only this type")->check(CLI::IsMember(types));
  listed->add_option("--job-status,--js", list_flags->status, "Only this status")
      ->check(CLI::IsMember({"scheduled", "enqueued", "running", "completed", "failed", "cancelled"}));
}

}  // namespace godwit::cli
