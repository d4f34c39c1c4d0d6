// Completion scripts made from the tree of verbs itself, so that they cannot go stale. Pure.
#pragma once

#include <CLI/App.hpp>
#include <string>

namespace godwit::cli {

/// `shell`: "bash" or "zsh" (the latter loads bashcompinit).
[[nodiscard]] std::string completion_script(const CLI::App& root, const std::string& shell);

}  // namespace godwit::cli
