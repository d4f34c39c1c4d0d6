#include "server/hub/query/plan.hpp"

#include <algorithm>
#include <iterator>
#include <span>

namespace godwit::hub::query {
namespace {

// Ids are printable ASCII: every id that begins with p lies between p and p + this.
constexpr char kAboveEveryId = '\x7F';
// A module is stored under "device/module".
constexpr char kModuleBorder = '/';

void read_path(const Path& path, Parts& parts) {
  const auto& names = path.names;
  switch (path.root) {
    case Root::tags: parts.tags = true; break;
    case Root::head: parts.head = true; break;
    case Root::properties: {
      const bool is_whole = names.size() <= 2;
      const bool is_metadata = names.size() > 2 && names[2] == "$metadata";
      const bool is_version = names.size() > 2 && names[2] == "$version";
      const bool is_value = !is_metadata && !is_version;
      for (const bool is_desired : {true, false}) {
        if (names.size() > 1 && (names[1] == "desired") != is_desired) continue;
        if (is_value) (is_desired ? parts.desired : parts.reported) = true;
        if (is_whole || is_metadata) (is_desired ? parts.desired_metadata : parts.reported_metadata) = true;
      }
      if (is_whole || is_version) parts.section_versions = true;
      break;
    }
    default: break;
  }
}

void read_expression(const Expression& expression, Parts& parts) {
  if (expression.kind == Kind::path) read_path(expression.path, parts);
  for (const Expression& operand : expression.operands) read_expression(operand, parts);
}

bool is_text(const Expression& expression) {
  return expression.kind == Kind::constant && expression.constant.type == Type::text;
}
bool is_path_to(const Expression& expression, Root root) {
  return expression.kind == Kind::path && expression.path.root == root && expression.path.names.size() == 1;
}
/// `path <operation> 'text'`, also when it is written the other way round.
struct Bound {
  const Path* path;
  Operation operation;
  std::string_view text;
};
std::optional<Bound> bound_of(const Expression& expression) {
  if (expression.kind != Kind::comparison) return std::nullopt;
  const Expression& left = expression.operands[0];
  const Expression& right = expression.operands[1];
  if (left.kind == Kind::path && is_text(right))
    return Bound{.path = &left.path, .operation = expression.operation, .text = right.constant.text};
  if (right.kind != Kind::path || !is_text(left)) return std::nullopt;
  Operation turned = expression.operation;
  switch (expression.operation) {
    case Operation::less: turned = Operation::greater; break;
    case Operation::less_equal: turned = Operation::greater_equal; break;
    case Operation::greater: turned = Operation::less; break;
    case Operation::greater_equal: turned = Operation::less_equal; break;
    default: break;
  }
  return Bound{.path = &right.path, .operation = turned, .text = left.constant.text};
}

/// The device ids that an expression allows, when it allows only those: deviceId = 'a', deviceId IN ['a', 'b'], and OR
/// of such.
std::optional<std::vector<std::string>> ids_of(const Expression& expression) {
  if (const auto bound = bound_of(expression);
      bound && bound->path->root == Root::device_id && bound->operation == Operation::equal)
    return std::vector<std::string>{std::string(bound->text)};
  if (expression.kind == Kind::membership && !expression.is_negated &&
      is_path_to(expression.operands[0], Root::device_id))
    return expression.set.texts;
  if (expression.kind != Kind::any) return std::nullopt;
  std::vector<std::string> all;
  for (const Expression& operand : expression.operands) {
    const auto some = ids_of(operand);
    if (!some) return std::nullopt;
    all.insert(all.end(), some->begin(), some->end());
  }
  return all;
}

std::optional<TagEquals> indexed_tag(const Path& path, std::string_view text) {
  const auto levels = std::span(path.names).subspan(1);
  if (levels.empty() || levels.size() > kIndexedTagLevels || text.size() > kIndexedTagBytes) return std::nullopt;
  TagEquals tag{.name = {}, .value = std::string(text)};
  for (const std::string& level : levels) {
    // The index reads names as JSON writes them, where these two stand behind an escape.
    if (level.find_first_of("\"\\") != std::string::npos) return std::nullopt;
    tag.name += (tag.name.empty() ? "" : ".") + level;
  }
  return tag;
}

class Planner {
 public:
  explicit Planner(Collection collection) : collection_(collection) {}

  void narrow(const Expression& expression) {
    if (expression.kind == Kind::all) {
      for (const Expression& operand : expression.operands) narrow(operand);
      return;
    }
    if (const auto ids = ids_of(expression)) return narrow_ids(*ids);
    if (const auto bound = bound_of(expression)) return narrow_bound(*bound);
    if (expression.kind == Kind::call && expression.function == Function::starts_with &&
        is_path_to(expression.operands[0], Root::device_id) && is_text(expression.operands[1])) {
      const std::string& prefix = expression.operands[1].constant.text;
      raise(prefix);
      lower(prefix + kAboveEveryId);
    }
  }

  Plan plan{};

 private:
  void raise(const std::string& least) { plan.least = std::max(plan.least, least); }
  void lower(const std::string& greatest) {
    plan.greatest = plan.greatest.empty() ? greatest : std::min(plan.greatest, greatest);
  }

  void narrow_ids(std::vector<std::string> ids) {
    if (collection_ == Collection::modules) {
      // Modules are many to a device: a range each, of which a plan holds one.
      if (ids.size() != 1) return;
      raise(ids[0] + kModuleBorder);
      return lower(ids[0] + kModuleBorder + kAboveEveryId);
    }
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    if (plan.ids) {
      std::vector<std::string> both;
      std::set_intersection(ids.begin(), ids.end(), plan.ids->begin(), plan.ids->end(), std::back_inserter(both));
      ids = std::move(both);
    }
    plan.ids = std::move(ids);
  }

  void narrow_bound(const Bound& bound) {
    const std::string text(bound.text);
    if (bound.path->root == Root::device_id && collection_ == Collection::devices) {
      if (bound.operation == Operation::greater || bound.operation == Operation::greater_equal) raise(text);
      // An empty bound would read as none; no id is below "" anyhow, so nothing is lost by looking.
      if (bound.operation == Operation::less || bound.operation == Operation::less_equal)
        if (!text.empty()) lower(text);
      return;
    }
    if (bound.operation != Operation::equal) return;
    if (bound.path->root == Root::tags && !plan.tag) plan.tag = indexed_tag(*bound.path, bound.text);
    if (bound.path->names.size() != 1 || bound.path->root != Root::head) return;
    if (bound.path->names[0] == "connectionState" && (text == "Connected" || text == "Disconnected"))
      plan.is_connected = text == "Connected";
    if (bound.path->names[0] == "status" && (text == "enabled" || text == "disabled"))
      plan.is_enabled = text == "enabled";
  }

  Collection collection_;
};

}  // namespace

Parts& Parts::operator|=(const Parts& other) {
  head |= other.head;
  tags |= other.tags;
  desired |= other.desired;
  desired_metadata |= other.desired_metadata;
  reported |= other.reported;
  reported_metadata |= other.reported_metadata;
  section_versions |= other.section_versions;
  return *this;
}

Plan plan_of(const Condition& condition) {
  Planner planner(condition.collection);
  planner.narrow(condition.where);
  read_expression(condition.where, planner.plan.condition_parts);
  return planner.plan;
}

Plan plan_of(const Query& query) {
  Planner planner(query.collection);
  if (query.where) {
    planner.narrow(*query.where);
    read_expression(*query.where, planner.plan.condition_parts);
  }
  for (const Projection& projection : query.projections)
    if (projection.path) read_path(*projection.path, planner.plan.answer_parts);
  for (const Path& path : query.group_by) read_path(path, planner.plan.answer_parts);
  return planner.plan;
}

}  // namespace godwit::hub::query
