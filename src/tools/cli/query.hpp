// Rows of the hub's query language, all pages of them. One thread.
#pragma once

#include <string>

#include "tools/cli/client.hpp"

namespace godwit::cli {

/// Follows the continuation to the end, or to `top` rows when that is not 0. Errors: as Client::send().
[[nodiscard]] Result<json::Array> query_rows(Client& client, const std::string& query, std::size_t top = 0);

}  // namespace godwit::cli
