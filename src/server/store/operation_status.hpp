// How far a long-running operation is; shared by imports and by device syncs. The numbers are stored.
#pragma once

#include <cstdint>

namespace godwit::store {

enum class OperationStatus : std::uint8_t { not_started = 0, running = 1, succeeded = 2, failed = 3 };

}  // namespace godwit::store
