// Waiting for the service's long-running operations. One thread.
#pragma once

#include <string>

#include "core/base/error.hpp"
#include "core/base/json.hpp"
#include "tools/cli/client.hpp"

namespace godwit::cli {

/// Polls the Operation-Location of `started` until it has ended; the finished operation, or its failure in words.
[[nodiscard]] Result<json::Value> wait_for_operation(Client& client, const Response& started);

}  // namespace godwit::cli
