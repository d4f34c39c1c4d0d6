// Runs one script: a process group of its own, its output line by line, ended when the step is cancelled. Blocking, one
// thread.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "script_result.hpp"

namespace godwit::step_script {

struct ScriptWatch {
  std::function<void(std::string_view line)> on_line{};
  std::function<bool()> is_cancelled{};
  std::chrono::milliseconds term_grace = std::chrono::seconds(5);  // from SIGTERM to SIGKILL
};

/// `environment` is added to that of this process. The script's standard input is empty; its folder is `work_folder`. A
/// file without "#!" line is given to /bin/sh. Errors: process_failed (cannot be started: the sentence says why).
[[nodiscard]] Result<ScriptEnd> run_script(const Path& script, const std::vector<std::string>& arguments,
                                           const std::vector<std::string>& environment, const Path& work_folder,
                                           const ScriptWatch& watch);

}  // namespace godwit::step_script
