// HMAC-SHA256 (RFC 2104): what our links, shared access signatures and derived keys are made with. Safe from any
// thread.
#pragma once

#include <string_view>

#include "core/base/bytes.hpp"

namespace godwit::trust {

/// 32 bytes.
[[nodiscard]] Bytes hmac_sha256(std::string_view key, std::string_view data);

}  // namespace godwit::trust
