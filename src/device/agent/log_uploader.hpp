// Answers the service's request for logs: gathers them, sends each file, says how it went. One collection at a time, on
// a thread of its own, so that an update never waits for it. What was finished is on disk before it is reported; a
// request that comes again is answered from there.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "core/base/log.hpp"
#include "core/twin/diagnostics.hpp"
#include "device/agent/log_files.hpp"
#include "device/agent/pauses.hpp"
#include "device/agent/payloads.hpp"

namespace godwit::agent {

/// One try to send one file; a port so that tests need no extension.
class ContentUploader {
 public:
  virtual ~ContentUploader() = default;
  /// `http_status` 0: no answer came.
  struct Answer {
    bool is_taken = false;
    bool is_retryable = false;
    long http_status = 0;
    std::string details{};
  };
  [[nodiscard]] virtual Answer put(const std::string& url, const Path& file,
                                   const std::map<std::string, std::string>& headers, const std::stop_token& stop) = 0;
};

/// The upload() of the registered content downloader, in a process of its own for every try.
class ExtensionUploader final : public ContentUploader {
 public:
  ExtensionUploader(Path extensions_file, extension::Limits limits, json::Object options, Log& log)
      : extensions_file_(std::move(extensions_file)), limits_(limits), options_(std::move(options)), log_(log) {}
  [[nodiscard]] Answer put(const std::string& url, const Path& file, const std::map<std::string, std::string>& headers,
                           const std::stop_token& stop) override;

 private:
  Path extensions_file_;
  extension::Limits limits_;
  json::Object options_;
  Log& log_;
};

struct LogUploadSettings {
  std::string device_id;
  std::vector<LogSource> sources;
  LogLimits limits{};
  Path folder;  // for copies; made and removed here
};
inline constexpr int kLogUploadTries = 3;

/// Gathers and sends. Blocks. nullopt: it was stopped, and may begin again.
[[nodiscard]] std::optional<twin::LogOutcome> collect_logs(const LogUploadSettings& settings,
                                                           const twin::LogRequest& request, ContentUploader& uploader,
                                                           Pauses& pauses, const std::stop_token& stop, Log& log);

/// "https://h/c?sig=x" and "d/op/a/b c.log" -> "https://h/c/d/op/a/b%20c.log?sig=x"
[[nodiscard]] std::string blob_url(std::string_view container_url, std::string_view blob);

class LogUploader {
 public:
  using Done = std::function<void(twin::LogOutcome)>;  // on the uploader's thread
  LogUploader(LogUploadSettings settings, ContentUploader& uploader, Done done, Log& log)
      : settings_(std::move(settings)), uploader_(uploader), done_(std::move(done)), log_(log) {}
  ~LogUploader() { stop(); }
  LogUploader(const LogUploader&) = delete;
  LogUploader& operator=(const LogUploader&) = delete;

  void stop();
  /// A newer request replaces one that waits and ends one that runs. Starts the thread at the first call: most devices
  /// are never asked.
  void ask(twin::LogRequest request);

 private:
  void run(const std::stop_token& ending);

  LogUploadSettings settings_;
  ContentUploader& uploader_;
  Done done_;
  Log& log_;
  std::mutex mutex_;  // guards the two below
  std::optional<twin::LogRequest> next_;
  std::stop_source current_;
  std::condition_variable_any changed_;
  std::jthread thread_;
};

}  // namespace godwit::agent
