// One row or all rows of a query as values. Pure helpers of this engine.
#pragma once

#include <optional>
#include <vector>

#include "server/store/sqlite/statement.hpp"

namespace godwit::store::sqlite {

/// The row a statement stands before, or nothing. `read` turns a Statement on a row into a Result of a value.
template <class Read>
auto one(Statement& rows, Read read) -> Result<std::optional<typename decltype(read(rows))::value_type>> {
  using Value = typename decltype(read(rows))::value_type;
  GODWIT_TRY(const bool is_there, rows.next());
  if (!is_there) return std::optional<Value>{};
  GODWIT_TRY(auto value, read(rows));
  return std::optional<Value>{std::move(value)};
}

template <class Read>
auto all(Statement& rows, Read read) -> Result<std::vector<typename decltype(read(rows))::value_type>> {
  std::vector<typename decltype(read(rows))::value_type> values;
  for (;;) {
    GODWIT_TRY(const bool has_row, rows.next());
    if (!has_row) return values;
    GODWIT_TRY(auto value, read(rows));
    values.push_back(std::move(value));
  }
}

/// The one number that a query gives.
inline Result<std::uint64_t> count(Connection& connection, std::string_view sql) {
  GODWIT_TRY(auto rows, connection.prepare(sql));
  GODWIT_TRY(const bool is_there, rows.next());
  return is_there ? static_cast<std::uint64_t>(rows.integer(0)) : std::uint64_t{0};
}

}  // namespace godwit::store::sqlite
