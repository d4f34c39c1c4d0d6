// Expressions and conditions: precedence from OR down to a single path, constant or call. Recursion is bounded by
// Limits::depth. Pure; safe from any thread.
#pragma once

#include "server/hub/query/limits.hpp"
#include "server/hub/query/syntax.hpp"
#include "server/hub/query/token_stream.hpp"

namespace godwit::hub::query {

/// Reads one expression and stops at the first token that cannot belong to it. Paths are not bound yet (binding.hpp).
/// Errors: invalid_argument, too_large, each with the position.
[[nodiscard]] Result<Expression> parse_expression(TokenStream& tokens, const Limits& limits);

}  // namespace godwit::hub::query
