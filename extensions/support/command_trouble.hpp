// A program of the device's owner, run for a step: a restart, a health check. Header only.
#pragma once

#include <fmt/format.h>

#include <chrono>
#include <string>
#include <vector>

#include "core/base/command.hpp"
#include "core/base/text.hpp"

namespace godwit::author {

/// "" when the command was left out or ended well within `time`; else what it was, how it ended and what it said.
inline std::string command_trouble(const std::vector<std::string>& words, std::chrono::milliseconds time) {
  constexpr std::size_t kSaidLimit = 400;
  if (words.empty()) return {};
  const auto end = run_command(words, "", {.time = time});
  if (!end) return end.error().message;
  if (end->ok()) return {};
  const auto said = trimmed(std::string_view(end->output).substr(0, kSaidLimit));
  return fmt::format("{} {}{}{}", words.front(), end->in_words(), said.empty() ? "" : ": ", said);
}

}  // namespace godwit::author
