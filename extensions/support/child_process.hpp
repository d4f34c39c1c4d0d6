// Runs one program for a step: a process group of its own, its output line by line, ended when the step is cancelled.
// Blocking, one thread.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/file.hpp"

namespace godwit::author {

/// How the program's process ended.
struct ChildEnd {
  int exit_status = 0;
  int signal = 0;              // != 0: ended by this signal
  bool was_cancelled = false;  // we ended it, because we were asked to
  std::string last_output{};   // the last lines it printed, for the sentence
  [[nodiscard]] bool is_success() const { return exit_status == 0 && signal == 0 && !was_cancelled; }
};
/// "ended with status 3", "was ended by signal 9 (Killed)".
[[nodiscard]] std::string how_it_ended(const ChildEnd& end);

struct ChildWatch {
  std::function<void(std::string_view line)> on_line{};
  std::function<bool()> is_cancelled{};
  std::chrono::milliseconds term_grace = std::chrono::seconds(5);  // from SIGTERM to SIGKILL
};

/// `program` is a path; `arguments` come without it. `environment` is added to that of this process. Standard input is
/// empty; the program starts in `folder`. A script without "#!" line is given to /bin/sh.
/// Errors: process_failed (cannot be started: the sentence says why).
[[nodiscard]] Result<ChildEnd> run_child(const Path& program, const std::vector<std::string>& arguments,
                                         const std::vector<std::string>& environment, const Path& folder,
                                         const ChildWatch& watch);

}  // namespace godwit::author
