// The meaning of an expression over one document. Three truths: true, false, undefined; a document is selected by true
// only. Undefined comes from a missing member, from comparing values of different kinds, from objects and arrays, and
// from arithmetic with anything but numbers; NOT undefined is undefined, false AND undefined is false, true OR
// undefined is true. Pure; one thread for each document.
#pragma once

#include <string_view>

#include "server/hub/query/document.hpp"
#include "server/hub/query/syntax.hpp"

namespace godwit::hub::query {

/// A value on the way; texts are borrowed from the document or the query.
struct Value {
  Type type = Type::undefined;
  bool boolean = false;
  double number = 0;
  std::string_view text{};
};

[[nodiscard]] Value value_of(const json::Value* value);
[[nodiscard]] Value evaluate(const Expression& expression, Document& document);
/// True only for true. Asks the document for nothing that the answer does not depend on.
[[nodiscard]] bool is_true(const Expression& expression, Document& document);

/// The members that SELECT names; one that is undefined is left out.
[[nodiscard]] json::Object project(const Query& query, Document& document);

/// A number as JSON prints it best: without a fraction when it has none.
[[nodiscard]] json::Value number_json(double number);

}  // namespace godwit::hub::query
