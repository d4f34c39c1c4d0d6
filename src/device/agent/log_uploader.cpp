#include "device/agent/log_uploader.hpp"

#include <fmt/format.h>

#include "core/base/bytes.hpp"

namespace godwit::agent {
namespace {

using namespace twin::log_code;

/// What the operator is to know of an upload that was not taken.
[[nodiscard]] std::int64_t code_of(const ContentUploader::Answer& answer) {
  if (answer.http_status == 401 || answer.http_status == 403) return bad_credential;
  return answer.http_status == 404 ? no_container : upload_failed;
}

[[nodiscard]] ContentUploader::Answer put_patiently(const std::string& url, const Path& file, ContentUploader& uploader,
                                                    Pauses& pauses, const std::stop_token& stop) {
  const std::map<std::string, std::string> headers{
      {"x-ms-blob-type", "BlockBlob"}, {"x-ms-version", "2020-08-04"}, {"Content-Type", "application/octet-stream"}};
  Duration pause = std::chrono::seconds(1);
  for (int left = kLogUploadTries;; pause *= 3) {
    auto answer = uploader.put(url, file, headers, stop);
    if (answer.is_taken || !answer.is_retryable || --left == 0) return answer;
    if (!pauses.wait(pause, stop)) return answer;
  }
}

}  // namespace

ContentUploader::Answer ExtensionUploader::put(const std::string& url, const Path& file,
                                               const std::map<std::string, std::string>& headers,
                                               const std::stop_token& stop) {
  const auto registry = extension::Registry::load(extensions_file_);
  if (!registry) return {.details = registry.error().message};
  const auto registration = registry->find_downloader("https");
  if (!registration) return {.details = registration.error().message};
  json::Object header_object;
  for (const auto& [name, value] : headers) header_object[name] = value;
  json::Object call;
  call["verb"] = "upload";
  call["url"] = url;
  call["source"] = file.string();
  call["headers"] = std::move(header_object);
  call["options"] = options_;
  extension::Callbacks callbacks;
  callbacks.on_log = [this](LogLevel level, std::string_view line) {
    log_.write(level, "downloader.says", {{"line", line}});
  };
  const auto outcome = extension::run_extension(*registration, call, limits_, stop, callbacks);
  if (!outcome) return {.is_retryable = outcome.error().code == Code::timed_out, .details = outcome.error().message};
  Answer answer{.is_taken = outcome->ok(), .details = outcome->details};
  const auto* retryable = json::find(outcome->answer, "retryable");
  answer.is_retryable = retryable != nullptr && retryable->is_bool() && retryable->as_bool();
  answer.http_status = static_cast<long>(json::integer_or_nothing(outcome->answer, "httpStatus").value_or(0));
  return answer;
}

std::string blob_url(std::string_view container_url, std::string_view blob) {
  const std::size_t query = std::min(container_url.find('?'), container_url.size());
  std::string url(container_url.substr(0, query));
  while (url.ends_with('/')) url.pop_back();
  for (std::size_t start = 0; start <= blob.size();) {
    const std::size_t end = std::min(blob.find('/', start), blob.size());
    url += "/" + percent_encode(blob.substr(start, end - start));
    start = end + 1;
  }
  return url.append(container_url.substr(query));
}

std::optional<twin::LogOutcome> collect_logs(const LogUploadSettings& settings, const twin::LogRequest& request,
                                             ContentUploader& uploader, Pauses& pauses, const std::stop_token& stop,
                                             Log& log) {
  const auto end = [&](std::int64_t code, std::string details) {
    return twin::LogOutcome{.operation_id = request.operation_id, .result_code = code, .details = std::move(details)};
  };
  if (request.operation_id.empty()) return end(no_operation, "");
  if (request.upload_url.empty()) return end(no_url, "");
  if (settings.sources.empty()) return end(no_components, "");
  std::vector<std::string> problems;
  const auto logs = gather_logs(settings.sources, settings.limits, settings.folder, stop, problems);
  for (const std::string& problem : problems) log.info("logs.source_without_logs", {{"reason", problem}});
  if (stop.stop_requested()) return std::nullopt;
  if (!logs) return end(failure, logs.error().message);
  if (logs->empty()) return end(no_logs, problems.empty() ? "" : problems.front());
  for (const GatheredLog& one : *logs) {
    const std::string blob = fmt::format("{}/{}/{}/{}", settings.device_id, request.operation_id, one.source, one.file);
    const auto answer = put_patiently(blob_url(request.upload_url, blob), one.copy, uploader, pauses, stop);
    if (stop.stop_requested()) return std::nullopt;
    if (!answer.is_taken) return end(code_of(answer), fmt::format("send {}: {}", one.file, answer.details));
  }
  log.info("logs.sent", {{"operation", request.operation_id}, {"files", logs->size()}});
  return end(ok, "");
}

void LogUploader::ask(twin::LogRequest request) {
  {
    const std::lock_guard lock(mutex_);
    next_ = std::move(request);
    current_.request_stop();
    if (!thread_.joinable()) thread_ = std::jthread([this](const std::stop_token& ending) { run(ending); });
  }
  changed_.notify_all();
}

void LogUploader::stop() {
  {
    const std::lock_guard lock(mutex_);
    current_.request_stop();
    thread_.request_stop();
  }
  if (thread_.joinable()) thread_.join();
}

void LogUploader::run(const std::stop_token& ending) {
  RealPauses pauses;
  for (;;) {
    twin::LogRequest request;
    std::stop_token stop;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, ending, [this] { return next_.has_value(); });
      if (ending.stop_requested()) return;
      request = *std::exchange(next_, std::nullopt);
      current_ = std::stop_source();
      stop = current_.get_token();
    }
    auto outcome = collect_logs(settings_, request, uploader_, pauses, stop, log_);
    if (auto removed = remove_tree(settings_.folder); !removed)
      log_.warning("logs.copies_not_removed", {{"reason", removed.error().message}});
    if (outcome) done_(*std::move(outcome));
  }
}

}  // namespace godwit::agent
