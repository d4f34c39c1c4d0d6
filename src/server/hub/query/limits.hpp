// What one query may ask for. A value set; the pure parts take it as an argument, so that tests can be narrower.
#pragma once

#include <cstddef>

namespace godwit::hub::query {

struct Limits {
  // The text.
  std::size_t text_bytes = 16 * 1024;
  std::size_t nodes = 4'096;        // operators, paths, constants and members of lists
  std::size_t depth = 64;           // of parentheses, and of the tree an expression becomes
  std::size_t path_names = 16;      // a.b.c has three
  std::size_t projections = 32;     // elements of SELECT
  std::size_t group_keys = 8;       // paths of GROUP BY
  std::size_t top = 1'000'000'000;  // largest n of TOP n

  // Aggregation: what it may remember.
  std::size_t groups = 10'000;
  std::size_t group_key_bytes = 1'024;               // of one group, printed; it travels in the continuation
  std::size_t aggregation_bytes = 16 * 1024 * 1024;  // keys and texts of all groups
};

}  // namespace godwit::hub::query
