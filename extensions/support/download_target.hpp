// The file that a content downloader writes into, whatever the bytes come from. Blocking; one thread.
#pragma once

#include <cstdint>

#include "core/base/error.hpp"
#include "core/base/file.hpp"

namespace godwit::author {

struct DownloadTarget {
  UniqueFd fd;             // at its end
  std::uint64_t kept = 0;  // bytes of an earlier try that stay
};

/// Opens or makes `path` and cuts it to what may be kept: `resume_offset` bytes, never more than it has or than
/// `at_most`. Errors: io_failed (it cannot be opened or cut, or is no regular file).
[[nodiscard]] Result<DownloadTarget> open_download_target(const Path& path, std::uint64_t resume_offset,
                                                          std::uint64_t at_most);

}  // namespace godwit::author
