// The logs of this device, gathered into a folder of copies: the newest files of the configured paths and the journal
// of the configured units, each bounded. A log that grows or is rotated meanwhile does no harm, for what is sent is the
// copy. Blocks; the log uploader's thread.
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "core/base/clock.hpp"
#include "core/base/error.hpp"
#include "core/base/file.hpp"

namespace godwit::agent {

/// Where logs come from. `name` becomes part of a blob's name.
struct LogSource {
  std::string name;
  Path path{};         // a file, or a folder whose files count
  std::string unit{};  // of systemd, instead of a path
};
struct LogLimits {
  ByteCount bytes_per_source = 1024 * 1024;
  std::size_t files_per_source = 16;
  Duration journal_time = std::chrono::seconds(30);
  Path journalctl = "/usr/bin/journalctl";
};
struct GatheredLog {
  std::string source;  // name of it
  std::string file;    // plain file name
  Path copy;
  ByteCount size = 0;
};

/// Copies into `folder`, which is made anew. Of a file that is too long the end is taken. A source that has nothing, or
/// cannot be read, gives nothing; why is in `problems`. Errors: io_failed and disk_full of `folder`.
[[nodiscard]] Result<std::vector<GatheredLog>> gather_logs(const std::vector<LogSource>& sources,
                                                           const LogLimits& limits, const Path& folder,
                                                           const std::stop_token& stop,
                                                           std::vector<std::string>& problems);

/// "name=/path" -> a source. Errors: invalid_argument.
[[nodiscard]] Result<LogSource> parse_log_path(std::string_view text);
/// "" if it may be the name of a source, else why not.
[[nodiscard]] std::string check_log_source_name(std::string_view name);

}  // namespace godwit::agent
