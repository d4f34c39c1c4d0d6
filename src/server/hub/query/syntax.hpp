// A query as a value: what the parser makes, what the evaluator, the aggregation and the plan read. An expression is a
// tree of bounded size and height. Values without behaviour; safe from any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace godwit::hub::query {

enum class Collection : std::uint8_t { devices, modules, jobs };

/// Which part of a twin a path leads into; `free` when the collection has no fixed shape (jobs).
enum class Root : std::uint8_t { device_id, module_id, tags, properties, head, free };

/// A place in a document. For twins the first name is spelled as the document spells it.
struct Path {
  Root root = Root::free;
  std::vector<std::string> names{};
  std::size_t position = 0;  // of its first character in the text, from 1

  /// By names only: two places in the text may name the same member.
  friend bool operator==(const Path& a, const Path& b) { return a.names == b.names; }
};

enum class Type : std::uint8_t { undefined, null, boolean, number, text, array, object };

/// A literal.
struct Constant {
  Type type = Type::undefined;  // undefined, null, boolean, number or text
  bool boolean = false;
  double number = 0;
  std::string text{};
};

/// The list of IN, sorted by kind so that a long one costs a binary search for each document.
struct ConstantSet {
  std::vector<std::string> texts{};
  std::vector<double> numbers{};
  bool has_null = false;
  bool has_true = false;
  bool has_false = false;
};

enum class Kind : std::uint8_t {
  constant,
  path,
  all,         // AND of two or more
  any,         // OR of two or more
  negation,    // NOT of one
  comparison,  // `operation` of two
  arithmetic,  // `operation` of two
  minus,       // of one
  membership,  // one IN or NIN `set`
  call         // `function` of its operands
};
enum class Operation : std::uint8_t {
  equal,
  not_equal,
  less,
  less_equal,
  greater,
  greater_equal,
  add,
  subtract,
  multiply,
  divide,
  modulo
};
enum class Function : std::uint8_t {
  is_defined,
  is_null,
  is_bool,
  is_number,
  is_string,
  is_array,
  is_object,
  is_primitive,
  starts_with,
  ends_with,
  contains
};

struct Expression {
  Kind kind = Kind::constant;
  Operation operation = Operation::equal;
  Function function = Function::is_defined;
  bool is_negated = false;   // membership: NIN
  std::uint32_t height = 1;  // of the tree below and with it
  std::vector<Expression> operands{};
  Constant constant{};
  Path path{};
  ConstantSet set{};
};

enum class Aggregate : std::uint8_t { none, count, average, sum, minimum, maximum };

/// One element of SELECT.
struct Projection {
  Aggregate aggregate = Aggregate::none;
  std::optional<Path> path{};  // none: COUNT() of the documents themselves
  std::string name{};          // of the member in the answer
};

struct Query {
  Collection collection = Collection::devices;
  bool is_everything = false;  // SELECT *
  std::optional<std::uint64_t> top{};
  std::vector<Projection> projections{};  // empty with SELECT *
  std::optional<Expression> where{};
  std::vector<Path> group_by{};

  /// True when rows of the answer are groups and not documents.
  [[nodiscard]] bool is_aggregation() const {
    for (const Projection& projection : projections)
      if (projection.aggregate != Aggregate::none) return true;
    return !group_by.empty();
  }
};

/// What stands after WHERE, alone: the queryCondition of a scheduled job.
struct Condition {
  Collection collection = Collection::devices;
  Expression where{};
};

}  // namespace godwit::hub::query
