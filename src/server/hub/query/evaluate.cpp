#include "server/hub/query/evaluate.hpp"

#include <algorithm>
#include <cmath>
#include <compare>

namespace godwit::hub::query {
namespace {

Value truth(bool boolean) { return {.type = Type::boolean, .boolean = boolean}; }
Value number(double value) { return std::isfinite(value) ? Value{.type = Type::number, .number = value} : Value{}; }
bool is_primitive(const Value& value) {
  return value.type == Type::null || value.type == Type::boolean || value.type == Type::number ||
         value.type == Type::text;
}

Value constant_value(const Constant& constant) {
  return {.type = constant.type, .boolean = constant.boolean, .number = constant.number, .text = constant.text};
}

/// Order of two primitives of one kind; unordered for anything else. false stands before true.
std::partial_ordering order(const Value& a, const Value& b) {
  if (a.type != b.type) return std::partial_ordering::unordered;
  switch (a.type) {
    case Type::null: return std::partial_ordering::equivalent;
    case Type::boolean: return static_cast<int>(a.boolean) <=> static_cast<int>(b.boolean);
    case Type::number: return a.number <=> b.number;
    case Type::text: return a.text <=> b.text;
    default: return std::partial_ordering::unordered;
  }
}

Value compare(Operation operation, const Value& a, const Value& b) {
  const std::partial_ordering found = order(a, b);
  if (found == std::partial_ordering::unordered) return {};
  switch (operation) {
    case Operation::equal: return truth(found == 0);
    case Operation::not_equal: return truth(found != 0);
    case Operation::less: return truth(found < 0);
    case Operation::less_equal: return truth(found <= 0);
    case Operation::greater: return truth(found > 0);
    default: return truth(found >= 0);
  }
}

Value compute(Operation operation, const Value& a, const Value& b) {
  if (a.type != Type::number || b.type != Type::number) return {};
  switch (operation) {
    case Operation::add: return number(a.number + b.number);
    case Operation::subtract: return number(a.number - b.number);
    case Operation::multiply: return number(a.number * b.number);
    // By zero: undefined, not infinite.
    case Operation::divide: return b.number == 0 ? Value{} : number(a.number / b.number);
    default: return b.number == 0 ? Value{} : number(std::fmod(a.number, b.number));
  }
}

Value is_member(const Value& value, const ConstantSet& set) {
  switch (value.type) {
    case Type::text: return truth(std::binary_search(set.texts.begin(), set.texts.end(), value.text));
    case Type::number: return truth(std::binary_search(set.numbers.begin(), set.numbers.end(), value.number));
    case Type::boolean: return truth(value.boolean ? set.has_true : set.has_false);
    case Type::null: return truth(set.has_null);
    default: return {};
  }
}

Value opposite(const Value& value) { return value.type == Type::boolean ? truth(!value.boolean) : Value{}; }

Value call(const Expression& expression, Document& document) {
  const Value first = evaluate(expression.operands[0], document);
  switch (expression.function) {
    case Function::is_defined: return truth(first.type != Type::undefined);
    case Function::is_null: return truth(first.type == Type::null);
    case Function::is_bool: return truth(first.type == Type::boolean);
    case Function::is_number: return truth(first.type == Type::number);
    case Function::is_string: return truth(first.type == Type::text);
    case Function::is_array: return truth(first.type == Type::array);
    case Function::is_object: return truth(first.type == Type::object);
    case Function::is_primitive: return truth(is_primitive(first));
    default: break;
  }
  const Value second = evaluate(expression.operands[1], document);
  if (first.type != Type::text || second.type != Type::text) return {};
  switch (expression.function) {
    case Function::starts_with: return truth(first.text.starts_with(second.text));
    case Function::ends_with: return truth(first.text.ends_with(second.text));
    default: return truth(first.text.find(second.text) != std::string_view::npos);
  }
}

/// AND ends at the first false, OR at the first true; short of that one undefined operand makes the row undefined.
Value row(const Expression& expression, Document& document) {
  const bool end = expression.kind == Kind::any;
  bool is_undefined = false;
  for (const Expression& operand : expression.operands) {
    const Value value = evaluate(operand, document);
    if (value.type == Type::boolean && value.boolean == end) return truth(end);
    if (value.type != Type::boolean) is_undefined = true;
  }
  return is_undefined ? Value{} : truth(!end);
}

}  // namespace

Value value_of(const json::Value* value) {
  if (value == nullptr) return {};
  switch (value->kind()) {
    case boost::json::kind::null: return {.type = Type::null};
    case boost::json::kind::bool_: return truth(value->get_bool());
    case boost::json::kind::int64: return {.type = Type::number, .number = static_cast<double>(value->get_int64())};
    case boost::json::kind::uint64: return {.type = Type::number, .number = static_cast<double>(value->get_uint64())};
    case boost::json::kind::double_: return {.type = Type::number, .number = value->get_double()};
    case boost::json::kind::string: return {.type = Type::text, .text = value->get_string()};
    case boost::json::kind::array: return {.type = Type::array};
    case boost::json::kind::object: return {.type = Type::object};
  }
  return {};
}

Value evaluate(const Expression& expression, Document& document) {
  const auto& operands = expression.operands;
  switch (expression.kind) {
    case Kind::constant: return constant_value(expression.constant);
    case Kind::path: return value_of(document.find(expression.path));
    case Kind::all:
    case Kind::any: return row(expression, document);
    case Kind::negation: return opposite(evaluate(operands[0], document));
    case Kind::comparison:
      return compare(expression.operation, evaluate(operands[0], document), evaluate(operands[1], document));
    case Kind::arithmetic:
      return compute(expression.operation, evaluate(operands[0], document), evaluate(operands[1], document));
    case Kind::minus: {
      const Value value = evaluate(operands[0], document);
      return value.type == Type::number ? number(-value.number) : Value{};
    }
    case Kind::membership: {
      const Value found = is_member(evaluate(operands[0], document), expression.set);
      return expression.is_negated ? opposite(found) : found;
    }
    case Kind::call: return call(expression, document);
  }
  return {};
}

bool is_true(const Expression& expression, Document& document) {
  const auto one = [&](const Expression& operand) { return is_true(operand, document); };
  // For "is it true" an undefined operand of AND decides as much as a false one: nothing behind it is looked at.
  if (expression.kind == Kind::all) return std::all_of(expression.operands.begin(), expression.operands.end(), one);
  if (expression.kind == Kind::any) return std::any_of(expression.operands.begin(), expression.operands.end(), one);
  const Value value = evaluate(expression, document);
  return value.type == Type::boolean && value.boolean;
}

json::Object project(const Query& query, Document& document) {
  json::Object row;
  for (const Projection& projection : query.projections)
    if (const json::Value* value = document.find(*projection.path)) row.emplace(projection.name, *value);
  return row;
}

json::Value number_json(double number) {
  constexpr double kExact = 9'007'199'254'740'992;  // 2^53: above it neighbours are more than 1 apart
  if (number == std::floor(number) && std::abs(number) < kExact) return static_cast<std::int64_t>(number);
  return number;
}

}  // namespace godwit::hub::query
