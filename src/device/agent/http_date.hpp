// The time in an HTTP Date field. Pure; safe from any thread.
#pragma once

#include <optional>
#include <string_view>

#include "core/base/clock.hpp"

namespace godwit::agent {

/// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 section 5.6.7, the form that senders must use); nullopt for anything else.
[[nodiscard]] std::optional<WallTime> parse_http_date(std::string_view text);

}  // namespace godwit::agent
