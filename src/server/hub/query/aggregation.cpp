#include "server/hub/query/aggregation.hpp"

#include <algorithm>
#include <cmath>

#include "server/hub/query/binding.hpp"

namespace godwit::hub::query {
namespace {

bool is_before(const Value& value, Type type, double number, std::string_view text) {
  if (value.type != type) return value.type == Type::number;
  return value.type == Type::number ? value.number < number : value.text < text;
}

}  // namespace

Aggregation::Aggregation(const Query& query, const Limits& limits) : query_(query), limits_(limits) {
  if (query_.group_by.empty()) groups_["[]"] = Group{.keys = {}, .cells = std::vector<Cell>(query_.projections.size())};
}

Result<void> Aggregation::remember(std::size_t bytes) {
  bytes_ += bytes;
  if (bytes_ <= limits_.aggregation_bytes) return {};
  return fail(Code::too_large, "the groups of the query need more than " + std::to_string(limits_.aggregation_bytes) +
                                   " bytes; group by fewer or shorter members");
}

Result<Aggregation::Group*> Aggregation::group_of(Document& document) {
  if (query_.group_by.empty()) return &groups_.begin()->second;
  std::string key;
  std::vector<json::Value> values;
  for (const Path& path : query_.group_by) {
    const json::Value* found = document.find(path);
    if (found != nullptr && (found->is_object() || found->is_array()))
      return fail(Code::too_large, "'" + path_text(path) +
                                       "' is an object or a list in some documents; GROUP BY takes texts, numbers, "
                                       "true, false and null");
    key += key.empty() ? '[' : ',';
    // A missing member prints as nothing, which no value does. One kind of number: 1 and 1.0 are the same group.
    if (found != nullptr) key += json::print(found->is_double() ? number_json(found->get_double()) : *found);
    values.push_back(found == nullptr ? json::Value(json::Array{}) : json::Value(*found, json::Value{}.storage()));
  }
  key += ']';
  if (const auto present = groups_.find(key); present != groups_.end()) return &present->second;
  if (key.size() > limits_.group_key_bytes)
    return fail(Code::too_large, "the members of one group have " + std::to_string(key.size()) +
                                     " bytes; GROUP BY takes at most " + std::to_string(limits_.group_key_bytes));
  if (groups_.size() == limits_.groups)
    return fail(Code::too_large, "the query makes more than " + std::to_string(limits_.groups) +
                                     " groups; narrow it with WHERE or group by a member with fewer values");
  GODWIT_TRY_VOID(remember(2 * key.size() + query_.projections.size() * sizeof(Cell)));
  Group& group = groups_[key];
  group = Group{.keys = std::move(values), .cells = std::vector<Cell>(query_.projections.size())};
  return &group;
}

Result<void> Aggregation::take(Cell& cell, const Projection& projection, Document& document) {
  if (!projection.path) {
    ++cell.count;
    return {};
  }
  const Value value = value_of(document.find(*projection.path));
  if (projection.aggregate == Aggregate::count) {
    if (value.type != Type::undefined) ++cell.count;
    return {};
  }
  const bool is_extreme = projection.aggregate == Aggregate::minimum || projection.aggregate == Aggregate::maximum;
  if (value.type != Type::number && !(is_extreme && value.type == Type::text)) return {};
  ++cell.count;
  if (!is_extreme) {
    cell.sum += value.number;
    return {};
  }
  Extreme& extreme = cell.extreme;
  const bool is_smaller = is_before(value, extreme.type, extreme.number, extreme.text);
  const bool is_same = value.type == extreme.type && value.number == extreme.number && value.text == extreme.text;
  if (cell.count > 1 && (is_same || is_smaller != (projection.aggregate == Aggregate::minimum))) return {};
  if (value.text.size() > extreme.text.size()) GODWIT_TRY_VOID(remember(value.text.size() - extreme.text.size()));
  extreme.type = value.type;
  extreme.number = value.number;
  extreme.text = value.text;
  return {};
}

Result<void> Aggregation::add(Document& document) {
  GODWIT_TRY(Group* const group, group_of(document));
  for (std::size_t i = 0; i < query_.projections.size(); ++i)
    if (query_.projections[i].aggregate != Aggregate::none)
      GODWIT_TRY_VOID(take(group->cells[i], query_.projections[i], document));
  return {};
}

json::Object Aggregation::members_of(const Group& group) const {
  json::Object row;
  for (std::size_t i = 0; i < query_.projections.size(); ++i) {
    const Projection& projection = query_.projections[i];
    const Cell& cell = group.cells[i];
    if (projection.aggregate == Aggregate::none) {
      const auto at = std::find(query_.group_by.begin(), query_.group_by.end(), *projection.path);
      const json::Value& key = group.keys[static_cast<std::size_t>(at - query_.group_by.begin())];
      if (!key.is_array()) row.emplace(projection.name, key);
    } else if (projection.aggregate == Aggregate::count) {
      row.emplace(projection.name, cell.count);
    } else if (cell.count == 0 || !std::isfinite(cell.sum)) {
      continue;  // nothing took part, or the sum left what a number holds
    } else if (projection.aggregate == Aggregate::sum) {
      row.emplace(projection.name, number_json(cell.sum));
    } else if (projection.aggregate == Aggregate::average) {
      row.emplace(projection.name, number_json(cell.sum / static_cast<double>(cell.count)));
    } else if (cell.extreme.type == Type::text) {
      row.emplace(projection.name, cell.extreme.text);
    } else {
      row.emplace(projection.name, number_json(cell.extreme.number));
    }
  }
  return row;
}

std::vector<Aggregation::Row> Aggregation::rows(const std::string& after, std::size_t limit) const {
  std::vector<Row> rows;
  for (auto at = after.empty() ? groups_.begin() : groups_.upper_bound(after); at != groups_.end(); ++at) {
    if (rows.size() == limit) break;
    rows.push_back(Row{.key = at->first, .members = members_of(at->second)});
  }
  return rows;
}

}  // namespace godwit::hub::query
