// How far a long-running operation is; shared by imports and by device syncs. The numbers are stored.
#pragma once

#include <cstdint>
#include <string_view>

namespace godwit::store {

enum class OperationStatus : std::uint8_t { not_started = 0, running = 1, succeeded = 2, failed = 3 };

/// As the API writes it.
[[nodiscard]] constexpr std::string_view operation_status_name(OperationStatus status) {
  switch (status) {
    case OperationStatus::not_started: return "NotStarted";
    case OperationStatus::running: return "Running";
    case OperationStatus::succeeded: return "Succeeded";
    case OperationStatus::failed: return "Failed";
  }
  return "Failed";
}

}  // namespace godwit::store
