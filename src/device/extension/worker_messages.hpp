// What host and worker say to each other, as values. The host takes nothing on trust: the other process has run foreign
// code. Pure functions; safe from any thread.
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "core/base/error.hpp"
#include "core/base/json.hpp"
#include "core/base/log.hpp"
#include "device/extension/process.hpp"

namespace godwit::extension {

// Host to worker: one call, later perhaps one cancel.
[[nodiscard]] json::Object call_message(const Registration& registration, const json::Object& call);
struct CallMessage {
  Registration registration;
  json::Object call;
};
[[nodiscard]] Result<CallMessage> parse_call_message(const json::Object& message);
[[nodiscard]] json::Object cancel_message();
[[nodiscard]] bool is_cancel_message(const json::Object& message);

// Worker to host: any number of log and progress, then an outcome, or an error when the library could not be asked.
struct WorkerLog {
  LogLevel level = LogLevel::info;
  std::string line;
};
struct WorkerProgress {
  std::uint64_t done = 0;
  std::uint64_t total = 0;
};
using WorkerMessage = std::variant<WorkerLog, WorkerProgress, Outcome, Error>;
[[nodiscard]] json::Object to_json(const WorkerMessage& message);
[[nodiscard]] Result<WorkerMessage> parse_worker_message(const json::Object& message);

/// Is the outcome one that this call may have? Errors: extension_contract.
[[nodiscard]] Result<void> check_outcome(const Registration& registration, const json::Object& call,
                                         const Outcome& outcome);

/// Valid UTF-8 whatever came in: a text with invalid bytes has all its bytes beyond ASCII replaced by '?'; NUL becomes
/// a space.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace godwit::extension
