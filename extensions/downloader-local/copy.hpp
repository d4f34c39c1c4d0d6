// One try to copy one file from a folder of this device or a medium that may be pulled out any moment: continued where
// an earlier try ended, never longer than expected, in constant memory. Blocking; one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "core/base/file.hpp"
#include "local_options.hpp"

namespace godwit::downloader_local {

struct CopyRequest {
  std::string url{};
  Path target{};
  std::optional<std::uint64_t> expected_size{};
  std::uint64_t size_limit = 1024 * 1024;  // for a file of unknown size
  std::uint64_t resume_offset = 0;         // bytes of the target that may be kept
  LocalOptions options{};
};

struct CopyAnswer {
  std::int32_t result_code = 0;  // 500, 0 or -1
  std::uint32_t extended_code = 0;
  std::string details{};
  bool is_retryable = false;
  std::uint64_t bytes_read = 0;  // in this try
  std::uint64_t file_size = 0;   // what lies at `target` now
  bool was_resumed = false;
};

struct CopyWatch {
  std::function<void(std::uint64_t done, std::uint64_t total)> on_progress{};
  std::function<bool()> is_cancelled{};
  /// Reads from the medium as pread(2) does; a test puts a failing medium here.
  std::function<ssize_t(int fd, void* into, std::size_t size, off_t offset)> read{};
};

/// Every folder from the configured one down, and the file, is opened without following a link, and must belong to an
/// allowed owner and not be writable by everybody; the file must be a regular one.
[[nodiscard]] CopyAnswer copy(const CopyRequest& request, const CopyWatch& watch);

}  // namespace godwit::downloader_local
