// What agents upload: credential, room, bytes, record.
#include <fmt/format.h>

#include <algorithm>

#include "server/service/diagnostics/log_collections.hpp"

namespace godwit::service {

/// Bytes into an unfinished file; finish() makes it a log file with a record.
class LogCollections::LogUpload final : public blobs::Upload {
 public:
  LogUpload(LogCollections& logs, UploadRequest request, LogFiles::Incoming incoming)
      : logs_(logs), request_(std::move(request)), incoming_(std::move(incoming)) {}

  Result<void> write(std::string_view bytes) override {
    if (incoming_.size() + bytes.size() > request_.size)
      return fail(Code::too_large, fmt::format("more than the announced {} bytes came", request_.size));
    return incoming_.write(bytes);
  }
  Result<WallTime> finish() override {
    if (incoming_.size() != request_.size)
      return fail(Code::size_mismatch, fmt::format("{} of {} bytes came", incoming_.size(), request_.size));
    GODWIT_TRY_VOID(logs_.take(request_, incoming_));
    return logs_.clock_.now();
  }

 private:
  LogCollections& logs_;
  UploadRequest request_;
  LogFiles::Incoming incoming_;
};

namespace {

[[nodiscard]] Result<void> check_name(std::string_view name) {
  const bool is_fine =
      !name.empty() && name.size() <= kLongestLogName && is_valid_utf8(name) &&
      std::none_of(name.begin(), name.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
  if (is_fine) return {};
  return fail(Code::invalid_argument,
              fmt::format("a blob's name has 1 to {} bytes of UTF-8 and no control characters", kLongestLogName));
}

}  // namespace

Result<void> LogCollections::check_room(store::Records& records, const UploadRequest& request) const {
  GODWIT_TRY(const auto agent, records.logs().find_agent(request.container));
  if (!agent || agent->status != LogStatus::running)
    return fail(Code::forbidden, "nobody waits for these logs any more");
  GODWIT_TRY(const auto of_agent, records.logs().totals_of_container(request.container));
  if (of_agent.bytes + request.size > options_.agent_bytes)
    return fail(Code::too_large,
                fmt::format("the logs of one agent have at most {} bytes; {} are here and {} more come",
                            options_.agent_bytes, of_agent.bytes, request.size));
  if (of_agent.files >= options_.agent_files)
    return fail(Code::too_large, fmt::format("the logs of one agent are at most {} files", options_.agent_files));
  GODWIT_TRY(const auto all, records.logs().totals());
  if (all.bytes + request.size > options_.total_bytes)
    return fail(Code::disk_full, fmt::format("all logs together have at most {} bytes; remove a collection first",
                                             options_.total_bytes));
  return {};
}

Result<std::unique_ptr<blobs::Upload>> LogCollections::begin_upload(const UploadRequest& request) {
  GODWIT_TRY_VOID(urls_.check(request.container, request.expires, request.signature, clock_.now()));
  GODWIT_TRY_VOID(check_name(request.name));
  const auto job = [&](store::Records& records) { return check_room(records, request); };
  GODWIT_TRY_VOID(store_.read(job));
  GODWIT_TRY(auto incoming, files_.begin());
  return std::unique_ptr<blobs::Upload>(std::make_unique<LogUpload>(*this, request, std::move(incoming)));
}

/// The file first, then its record: what is acknowledged is there. Uploads that ran beside this one count now.
Result<void> LogCollections::take(const UploadRequest& request, LogFiles::Incoming& incoming) {
  GODWIT_TRY(const LogFiles::Kept kept, files_.keep(incoming, request.container));
  std::string replaced;
  const auto job = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY_VOID(check_room(records, request));
    GODWIT_TRY(replaced, records.logs().put_file({.container = request.container,
                                                  .name = request.name,
                                                  .stored = kept.stored,
                                                  .size = request.size,
                                                  .sha256 = kept.sha256,
                                                  .received = clock_.now()}));
    return {};
  };
  const auto written = store_.write(job);
  const std::string superfluous = written ? replaced : kept.stored;
  if (!superfluous.empty())
    if (const auto removed = files_.remove(request.container, superfluous); !removed)
      log_.warning("logs.file_not_removed", {{"container", request.container}, {"problem", removed.error().message}});
  return written;
}

}  // namespace godwit::service
