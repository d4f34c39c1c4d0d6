// COUNT, AVG, SUM, MIN and MAX over many documents in bounded memory. AVG and SUM take numbers, MIN and MAX numbers and
// texts (a number stands before every text); other values are passed over, and an aggregate that found none is left out
// of the answer. Documents without a GROUP BY member form a group of their own. One thread.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "server/hub/query/evaluate.hpp"
#include "server/hub/query/limits.hpp"

namespace godwit::hub::query {

class Aggregation {
 public:
  /// `query` must outlive it.
  explicit Aggregation(const Query& query, const Limits& limits = {});

  /// Errors: too_large when there are too many groups, or a member of GROUP BY is too long or no primitive value.
  [[nodiscard]] Result<void> add(Document& document);

  /// A row of the answer and the key that names its group from one page to the next.
  struct Row {
    std::string key;
    json::Object members;
  };
  /// In the order of the keys: the groups after `after` ("" = from the start), at most `limit`. Without GROUP BY there
  /// is exactly one row, also when no document was added.
  [[nodiscard]] std::vector<Row> rows(const std::string& after, std::size_t limit) const;
  [[nodiscard]] std::size_t groups() const { return groups_.size(); }

 private:
  /// The smallest or largest so far: a number or a text.
  struct Extreme {
    Type type = Type::undefined;
    double number = 0;
    std::string text{};
  };
  struct Cell {
    std::uint64_t count = 0;  // values that took part
    double sum = 0;
    Extreme extreme{};
  };
  struct Group {
    std::vector<json::Value> keys;  // undefined ones are empty arrays, which no key can be
    std::vector<Cell> cells;        // one for each projection
  };

  [[nodiscard]] Result<Group*> group_of(Document& document);
  [[nodiscard]] Result<void> remember(std::size_t bytes);
  [[nodiscard]] Result<void> take(Cell& cell, const Projection& projection, Document& document);
  [[nodiscard]] json::Object members_of(const Group& group) const;

  const Query& query_;
  Limits limits_;
  std::map<std::string, Group> groups_;  // by printed key
  std::size_t bytes_ = 0;
};

}  // namespace godwit::hub::query
