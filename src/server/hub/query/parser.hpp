// Text to query. Every refusal is invalid_argument or too_large and names the position (in characters, from 1), what
// was expected and what stood there. Keywords and function names count in any case, names in paths only as written; the
// first name of a twin's path counts in any case too and must be a member that twins have. Pure; safe from any thread.
#pragma once

#include <string_view>

#include "core/base/error.hpp"
#include "server/hub/query/limits.hpp"
#include "server/hub/query/syntax.hpp"

namespace godwit::hub::query {

/// SELECT ... FROM ... [WHERE ...] [GROUP BY ...] [;]
[[nodiscard]] Result<Query> parse_query(std::string_view text, const Limits& limits = {});

/// A condition alone, as scheduled jobs carry it: "tags.site = 'x'". "*" and "" stand for every document.
[[nodiscard]] Result<Condition> parse_condition(std::string_view text, Collection collection = Collection::devices,
                                                const Limits& limits = {});

}  // namespace godwit::hub::query
