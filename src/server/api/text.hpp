// The ASCII helpers of core/base as HTTP's parsers need them. Pure; safe from any thread.
#pragma once

#include "core/base/text.hpp"

namespace godwit::api {

/// Without leading and trailing spaces and tabs. Not CR or LF: within a message they are never blanks.
[[nodiscard]] constexpr std::string_view trimmed(std::string_view text) { return godwit::trimmed(text, " \t"); }

}  // namespace godwit::api
