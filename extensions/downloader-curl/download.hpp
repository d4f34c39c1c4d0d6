// One try to fetch one file with libcurl: continued where an earlier try ended, never longer than expected, in constant
// memory. Blocking; one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "core/base/file.hpp"
#include "download_options.hpp"

namespace godwit::downloader_curl {

struct DownloadRequest {
  std::string url{};
  Path target{};
  std::optional<std::uint64_t> expected_size{};  // nothing: unknown, options.size_limit bounds it
  std::uint64_t resume_offset = 0;               // how much of what lies at `target` may be kept
  DownloadOptions options{};
};

struct DownloadAnswer {
  std::int32_t result_code = 0;  // 500, 0 or -1
  std::uint32_t extended_code = 0;
  std::string details{};
  bool is_retryable = false;
  long http_status = 0;  // 0: no answer came
  std::uint64_t bytes_received = 0;
  std::uint64_t file_size = 0;  // what lies at `target` now
  bool was_resumed = false;
  std::optional<std::int64_t> retry_after_seconds{};
};

struct DownloadWatch {
  std::function<void(std::uint64_t done, std::uint64_t total)> on_progress{};
  std::function<bool()> is_cancelled{};
};

/// Beside the target lies `<target>.meta` with the validator (ETag or Last-Modified) of the bytes in it: a part is
/// continued only if the server says that it is still the same file (If-Range). It is removed when the file is whole.
[[nodiscard]] DownloadAnswer download(const DownloadRequest& request, const DownloadWatch& watch);

}  // namespace godwit::downloader_curl
