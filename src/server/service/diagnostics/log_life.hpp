// The life of one agent in a log collection as one table, and what the agents make of the collection.
// Pure; safe from any thread.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "server/store/operation_status.hpp"

namespace godwit::service {

using LogStatus = store::OperationStatus;

enum class LogEvent : std::uint8_t {
  offered,      // its desired document asks for the logs
  delivered,    // it reports success and files are here
  gave_up,      // it reports a failure, or success without a file
  refused,      // its desired document cannot hold the request
  out_of_time,  // the deadline came first
  removed       // there is no such identity any more
};

struct LogRow {
  LogStatus from;
  LogEvent on;
  LogStatus to;
};

// clang-format off
inline constexpr auto kLogRows = std::to_array<LogRow>({
    {LogStatus::not_started, LogEvent::offered,     LogStatus::running},
    {LogStatus::not_started, LogEvent::refused,     LogStatus::failed},
    {LogStatus::not_started, LogEvent::out_of_time, LogStatus::failed},   // an earlier collection kept the agent busy
    {LogStatus::not_started, LogEvent::removed,     LogStatus::failed},
    {LogStatus::running,     LogEvent::offered,     LogStatus::running},  // written once more
    {LogStatus::running,     LogEvent::delivered,   LogStatus::succeeded},
    {LogStatus::running,     LogEvent::gave_up,     LogStatus::failed},
    {LogStatus::running,     LogEvent::out_of_time, LogStatus::failed},
    {LogStatus::running,     LogEvent::removed,     LogStatus::failed},
});
// clang-format on

[[nodiscard]] constexpr bool has_ended(LogStatus status) {
  return status == LogStatus::succeeded || status == LogStatus::failed;
}

/// nullopt: the event changes nothing. An end is final, whatever comes late.
[[nodiscard]] constexpr std::optional<LogStatus> next(LogStatus status, LogEvent event) {
  for (const LogRow& row : kLogRows)
    if (row.from == status && row.on == event) return row.to;
  return std::nullopt;
}

/// Of the whole: it ends when every agent has; one failure makes it a failure.
[[nodiscard]] inline LogStatus combine(const std::vector<LogStatus>& agents) {
  const auto any = [&](LogStatus status) { return std::find(agents.begin(), agents.end(), status) != agents.end(); };
  const bool all_ended = std::all_of(agents.begin(), agents.end(), has_ended);
  if (all_ended) return any(LogStatus::failed) ? LogStatus::failed : LogStatus::succeeded;
  const bool none_began =
      std::all_of(agents.begin(), agents.end(), [](LogStatus status) { return status == LogStatus::not_started; });
  return none_began ? LogStatus::not_started : LogStatus::running;
}

static_assert(
    [] {
      for (const LogRow& row : kLogRows)
        if (has_ended(row.from)) return false;
      return true;
    }(),
    "an end is final");
static_assert(
    [] {
      for (const LogStatus status : {LogStatus::not_started, LogStatus::running})
        for (const LogEvent event : {LogEvent::out_of_time, LogEvent::removed})
          if (next(status, event) != LogStatus::failed) return false;
      return true;
    }(),
    "nothing waits for ever");

}  // namespace godwit::service
