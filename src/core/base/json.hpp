// Strict JSON for foreign text: Boost.JSON behind limits. Duplicate keys, NUL in strings, invalid UTF-8, too
// much depth or size are refused before a value exists, so that what was checked is what is read.
// Pure functions; safe from any thread.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/error.hpp"

namespace godwit::json {

using Value = boost::json::value;
using Object = boost::json::object;
using Array = boost::json::array;

struct Limits {
  std::size_t bytes = 1024 * 1024;
  std::size_t depth = 32;
};

/// Errors: bad_json (with the byte offset), too_large.
[[nodiscard]] Result<Value> parse(std::string_view text, Limits limits = {});
/// As parse(), and the root must be an object.
[[nodiscard]] Result<Object> parse_object(std::string_view text, Limits limits = {});

/// Compact, members in insertion order.
[[nodiscard]] std::string print(const Value& value);
[[nodiscard]] std::string print(const Object& object);

// Readers of one member. `where` names the place for the sentence, e.g. "updateId".
[[nodiscard]] const Value* find(const Object& object, std::string_view key);
[[nodiscard]] Result<std::string> text(const Object& object, std::string_view key, std::string_view where);
[[nodiscard]] Result<std::int64_t> integer(const Object& object, std::string_view key, std::string_view where);
[[nodiscard]] Result<const Object*> object(const Object& parent, std::string_view key, std::string_view where);
[[nodiscard]] Result<const Array*> array(const Object& parent, std::string_view key, std::string_view where);
[[nodiscard]] std::optional<std::string> text_or_nothing(const Object& object, std::string_view key);
[[nodiscard]] std::optional<std::int64_t> integer_or_nothing(const Object& object, std::string_view key);
[[nodiscard]] const Object* object_or_null(const Object& parent, std::string_view key);

}  // namespace godwit::json
