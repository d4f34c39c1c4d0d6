// Runs a short program of somebody else (a hook, a restart command, journalctl) and reads what it prints: bounded in
// time and bytes, ended with everything it started. No shell. Blocking; safe from any thread.
#pragma once

#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.hpp"
#include "core/base/error.hpp"

namespace godwit {

struct CommandLimits {
  Duration time = std::chrono::seconds(60);
  std::size_t output = 64 * 1024;  // bytes; once they are reached the program is ended
};

struct CommandEnd {
  enum class How : std::uint8_t { exited, killed, time_over, output_full, stopped };
  How how = How::exited;
  int code = 0;          // of exited: the exit code; of killed: the signal
  std::string output{};  // standard output and standard error
  [[nodiscard]] bool ok() const { return how == How::exited && code == 0; }
  /// "ended with exit code 3", "was ended by signal 9", "did not end in its time", ...
  [[nodiscard]] std::string in_words() const;
};

/// `words`: the program's absolute path and its arguments. `input` (at most 64 KiB) is its standard input. Its
/// environment is PATH, LC_ALL and HOME; its folder is "/"; it has a process group of its own.
/// Errors: invalid_argument (no absolute path, input too long), not_found, io_failed (it cannot be started).
[[nodiscard]] Result<CommandEnd> run_command(const std::vector<std::string>& words, std::string_view input,
                                             const CommandLimits& limits, const std::stop_token& stop = {});

}  // namespace godwit
