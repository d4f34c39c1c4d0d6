// Filters, ordering and pages: the small grammar that lists share. filter = cmp { ("and"|"or") cmp }, cmp = path "eq"
// literal. Pure functions; safe from any thread.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/json.hpp"
#include "server/api/http.hpp"

namespace godwit::api {

struct FilterTerm {
  std::string path;  // lower-cased, e.g. "groupid", "compatproperties/model"
  std::variant<std::nullptr_t, bool, std::string> literal;
};
struct Filter {
  std::vector<FilterTerm> terms;
  bool is_or = false;  // mixed and/or is refused
};
/// At most 2048 bytes and 16 terms. Errors: invalid_argument naming the column.
[[nodiscard]] Result<Filter> parse_filter(std::string_view text);

inline constexpr std::size_t kPageSize = 100;

/// Builds {"value":[...],"nextLink"?} from one page. `next_token`: "" = last page; it comes back as query "skiptoken".
[[nodiscard]] Reply page(const Request& request, json::Array values, const std::string& next_token);
/// The opaque token of this request, decoded; "" = first page. Errors: invalid_argument.
[[nodiscard]] Result<std::string> page_token(const Request& request);

}  // namespace godwit::api
