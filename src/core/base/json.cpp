#include "core/base/json.hpp"

#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/value_stack.hpp>
#include <charconv>
#include <cmath>
#include <set>
#include <utility>
#include <vector>

namespace godwit::json {
namespace {

using boost::json::error_code;
using Text = boost::json::string_view;

constexpr std::string_view kHexDigits = "0123456789abcdef";

/// Builds the value while it refuses what a lenient parser would let through. One pass, one text.
class StrictHandler {
 public:
  static constexpr std::size_t max_object_size = std::size_t(-1);
  static constexpr std::size_t max_array_size = std::size_t(-1);
  static constexpr std::size_t max_key_size = std::size_t(-1);
  static constexpr std::size_t max_string_size = std::size_t(-1);

  // Boost hands these in at construction of its parser.
  explicit StrictHandler(std::size_t depth) : max_depth_(depth) {}

  bool on_document_begin(error_code&) {
    stack_.reset();
    return true;
  }
  bool on_document_end(error_code&) { return true; }
  bool on_object_begin(error_code& ec) {
    if (!enter(ec)) return false;
    keys_.emplace_back();
    return true;
  }
  bool on_object_end(std::size_t count, error_code&) {
    stack_.push_object(count);
    keys_.pop_back();
    --depth_;
    return true;
  }
  bool on_array_begin(error_code& ec) { return enter(ec); }
  bool on_array_end(std::size_t count, error_code&) {
    stack_.push_array(count);
    --depth_;
    return true;
  }
  bool on_key_part(Text part, std::size_t, error_code& ec) {
    pending_key_.append(part.data(), part.size());
    return without_nul(part, ec) && (stack_.push_chars(part), true);
  }
  bool on_key(Text last, std::size_t, error_code& ec) {
    if (!without_nul(last, ec)) return false;
    pending_key_.append(last.data(), last.size());
    if (!keys_.back().insert(pending_key_).second)
      return refuse("the key \"" + pending_key_.substr(0, 80) + "\" stands twice in one object", ec);
    pending_key_.clear();
    stack_.push_key(last);
    return true;
  }
  bool on_string_part(Text part, std::size_t, error_code& ec) {
    return without_nul(part, ec) && (stack_.push_chars(part), true);
  }
  bool on_string(Text last, std::size_t, error_code& ec) {
    return without_nul(last, ec) && (stack_.push_string(last), true);
  }
  bool on_number_part(Text, error_code&) { return true; }
  bool on_int64(std::int64_t value, Text, error_code&) {
    stack_.push_int64(value);
    return true;
  }
  bool on_uint64(std::uint64_t value, Text, error_code&) {
    stack_.push_uint64(value);
    return true;
  }
  bool on_double(double rough, Text text, error_code& ec) {
    const bool is_integer = text.find_first_of(".eE") == Text::npos;
    if (is_integer) return refuse("an integer does not fit into 64 bits", ec);
    // Boost 1.81 may be one unit in the last place off; from_chars rounds correctly.
    double exact = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), exact);
    const bool underflow = problem == std::errc::result_out_of_range && std::abs(rough) < 1;
    if (underflow) exact = 0;
    const bool whole = problem == std::errc{} && end == text.data() + text.size();
    if ((!whole && !underflow) || !std::isfinite(exact)) return refuse("a number is too large for a double", ec);
    stack_.push_double(exact);
    return true;
  }
  bool on_bool(bool value, error_code&) {
    stack_.push_bool(value);
    return true;
  }
  bool on_null(error_code&) {
    stack_.push_null();
    return true;
  }
  bool on_comment_part(Text, error_code&) { return true; }
  bool on_comment(Text, error_code&) { return true; }

  [[nodiscard]] Value release() { return stack_.release(); }
  [[nodiscard]] const std::string& refusal() const { return refusal_; }

 private:
  bool enter(error_code& ec) {
    if (++depth_ > max_depth_) return refuse("nested deeper than " + std::to_string(max_depth_) + " levels", ec);
    return true;
  }
  bool without_nul(Text part, error_code& ec) {
    if (part.find('\0') != Text::npos) return refuse("a text holds a NUL character", ec);
    return true;
  }
  bool refuse(std::string why, error_code& ec) {
    refusal_ = std::move(why);
    ec = boost::json::error::syntax;
    return false;
  }

  std::size_t max_depth_;
  std::size_t depth_ = 0;
  boost::json::value_stack stack_;
  std::vector<std::set<std::string>> keys_;  // ordered: nobody can build a flood of equal hashes
  std::string pending_key_;
  std::string refusal_;
};

boost::json::parse_options strict_options(std::size_t depth) {
  boost::json::parse_options options;
  options.max_depth = depth + 1;  // StrictHandler stops first, with a sentence
  return options;
}

void print_text(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      case '\b': out += "\\b"; break;
      case '\f': out += "\\f"; break;
      default:
        if (static_cast<unsigned char>(c) >= 0x20) {
          out += c;
        } else {
          out += "\\u00";
          out += kHexDigits[static_cast<unsigned char>(c) >> 4];
          out += kHexDigits[c & 0xf];
        }
    }
  }
  out += '"';
}

/// Boost prints 1.5 as 1.5E0; peers that show or compare the text want what they sent.
void print_number(std::string& out, double number) {
  GODWIT_CHECK(std::isfinite(number));
  char buffer[32];
  const auto [end, problem] = std::to_chars(buffer, buffer + sizeof buffer, number);
  GODWIT_CHECK(problem == std::errc{});
  const std::string_view text(buffer, static_cast<std::size_t>(end - buffer));
  out += text;
  if (text.find_first_of(".e") == std::string_view::npos) out += ".0";
}

void print_value(std::string& out, const Value& value);

void print_object(std::string& out, const Object& object) {
  out += '{';
  bool first = true;
  for (const auto& [key, member] : object) {
    if (!std::exchange(first, false)) out += ',';
    print_text(out, key);
    out += ':';
    print_value(out, member);
  }
  out += '}';
}

void print_value(std::string& out, const Value& value) {
  switch (value.kind()) {
    case boost::json::kind::null: out += "null"; break;
    case boost::json::kind::bool_: out += value.get_bool() ? "true" : "false"; break;
    case boost::json::kind::int64: out += std::to_string(value.get_int64()); break;
    case boost::json::kind::uint64: out += std::to_string(value.get_uint64()); break;
    case boost::json::kind::double_: print_number(out, value.get_double()); break;
    case boost::json::kind::string: print_text(out, value.get_string()); break;
    case boost::json::kind::object: print_object(out, value.get_object()); break;
    case boost::json::kind::array: {
      out += '[';
      bool first = true;
      for (const auto& item : value.get_array()) {
        if (!std::exchange(first, false)) out += ',';
        print_value(out, item);
      }
      out += ']';
    }
  }
}

std::string name_of(std::string_view where, std::string_view key) {
  std::string name{where};
  if (!name.empty()) name += '.';
  name += key;
  return name;
}

/// The member, or the sentence that it is missing.
Result<const Value*> member(const Object& object, std::string_view key, std::string_view where) {
  const auto* value = find(object, key);
  if (value == nullptr) return fail(Code::bad_json, name_of(where, key) + " is missing");
  return value;
}

tl::unexpected<Error> wrong_kind(std::string_view where, std::string_view key, std::string_view wanted) {
  return fail(Code::bad_json, name_of(where, key) + " must be " + std::string(wanted));
}

}  // namespace

Result<Value> parse(std::string_view text, Limits limits) {
  if (text.size() > limits.bytes) {
    return fail(Code::too_large, "JSON text of " + std::to_string(text.size()) + " bytes is longer than the " +
                                     std::to_string(limits.bytes) + " allowed");
  }
  boost::json::basic_parser<StrictHandler> parser(strict_options(limits.depth), limits.depth);
  error_code problem;
  const auto used = parser.write_some(false, text.data(), text.size(), problem);
  if (problem) {
    const auto& refusal = parser.handler().refusal();
    return fail(Code::bad_json,
                "JSON text, byte " + std::to_string(used) + ": " + (refusal.empty() ? problem.message() : refusal));
  }
  if (used != text.size())
    return fail(Code::bad_json, "JSON text, byte " + std::to_string(used) + ": something follows the value");
  return parser.handler().release();
}

Result<Object> parse_object(std::string_view text, Limits limits) {
  GODWIT_TRY(auto value, parse(text, limits));
  if (!value.is_object()) return fail(Code::bad_json, "JSON text must be an object");
  return std::move(value.get_object());
}

std::string print(const Value& value) {
  std::string out;
  print_value(out, value);
  return out;
}

std::string print(const Object& object) {
  std::string out;
  print_object(out, object);
  return out;
}

const Value* find(const Object& object, std::string_view key) {
  return object.if_contains(Text(key.data(), key.size()));
}

Result<std::string> text(const Object& object, std::string_view key, std::string_view where) {
  GODWIT_TRY(const auto* value, member(object, key, where));
  if (!value->is_string()) return wrong_kind(where, key, "a string");
  return std::string(value->get_string());
}

Result<std::int64_t> integer(const Object& object, std::string_view key, std::string_view where) {
  GODWIT_TRY(const auto* value, member(object, key, where));
  const auto number = integer_or_nothing(object, key);
  if (!number) return wrong_kind(where, key, value->is_uint64() ? "an integer below 2^63" : "an integer");
  return *number;
}

Result<const Object*> object(const Object& parent, std::string_view key, std::string_view where) {
  GODWIT_TRY(const auto* value, member(parent, key, where));
  if (!value->is_object()) return wrong_kind(where, key, "an object");
  return &value->get_object();
}

Result<const Array*> array(const Object& parent, std::string_view key, std::string_view where) {
  GODWIT_TRY(const auto* value, member(parent, key, where));
  if (!value->is_array()) return wrong_kind(where, key, "an array");
  return &value->get_array();
}

std::optional<std::string> text_or_nothing(const Object& object, std::string_view key) {
  const auto* value = find(object, key);
  if (value == nullptr || !value->is_string()) return std::nullopt;
  return std::string(value->get_string());
}

std::optional<std::int64_t> integer_or_nothing(const Object& object, std::string_view key) {
  const auto* value = find(object, key);
  if (value == nullptr) return std::nullopt;
  if (value->is_int64()) return value->get_int64();
  // Boost keeps positive values in int64 while they fit, but a value built by hand may be either.
  if (value->is_uint64() && std::in_range<std::int64_t>(value->get_uint64()))
    return static_cast<std::int64_t>(value->get_uint64());
  return std::nullopt;
}

const Object* object_or_null(const Object& parent, std::string_view key) {
  const auto* value = find(parent, key);
  return value != nullptr ? value->if_object() : nullptr;
}

}  // namespace godwit::json
