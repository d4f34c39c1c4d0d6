#include "core/base/config.hpp"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <stdexcept>
#include <utility>

#include "core/base/text.hpp"
#include "core/base/toml.hpp"

namespace godwit::config {
/// toml++ 3.3 asserts on some broken files (a line that begins "[=" for one); a mistake in a file must not end a
/// program.
constexpr void require_in_parser(bool holds) {
  if (!holds) throw std::logic_error("this is not TOML");
}
}  // namespace godwit::config

#undef NDEBUG  // or toml++ forgets its checks
#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 1
#define TOML_ASSERT(condition) ::godwit::config::require_in_parser(static_cast<bool>(condition))
#define TOML_ASSERT_ASSUME(condition) TOML_ASSERT(condition)
#include <fmt/format.h>
#include <toml++/toml.h>

namespace godwit::config {
namespace {

using std::chrono::milliseconds;

constexpr ByteCount kFileLimit = 1024 * 1024;
constexpr std::size_t kValueLimit = 16 * 1024;  // of one key that is set by text

struct Unit {
  std::string_view name;
  std::int64_t factor;
};
constexpr Unit kDurations[] = {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}};
constexpr Unit kSizes[] = {
    {"B", 1}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", std::int64_t{1} << 40}};

/// "15m" with kDurations gives 900000; nothing when the number, the unit or the product is not good.
template <std::size_t N>
std::optional<std::int64_t> parse_with_unit(std::string_view text, const Unit (&units)[N]) {
  std::int64_t number = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (problem != std::errc{} || number < 0) return std::nullopt;
  const std::string_view name(end, static_cast<std::size_t>(text.data() + text.size() - end));
  for (const auto& unit : units) {
    if (unit.name != name) continue;
    std::int64_t product = 0;
    if (__builtin_mul_overflow(number, unit.factor, &product)) return std::nullopt;
    return product;
  }
  return std::nullopt;
}

/// The largest unit that divides the value.
template <std::size_t N>
std::string print_with_unit(std::int64_t value, const Unit (&units)[N]) {
  const Unit* best = &units[0];
  for (const auto& unit : units) {
    if (value != 0 && value % unit.factor == 0) best = &unit;
  }
  return fmt::format("{}{}", value / best->factor, best->name);
}

std::string in_quotes(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += fmt::format("\\u{:04X}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string print_list(const std::vector<std::string>& list) {
  std::string out = "[";
  for (const auto& item : list) out += (out.size() > 1 ? ", " : "") + in_quotes(item);
  return out + "]";
}

struct PrintTarget {
  std::string operator()(const std::string* value) const { return in_quotes(*value); }
  std::string operator()(const std::int64_t* value) const { return std::to_string(*value); }
  std::string operator()(const bool* value) const { return *value ? "true" : "false"; }
  std::string operator()(const milliseconds* value) const { return in_quotes(print_duration(*value)); }
  std::string operator()(const ByteSize* value) const {
    return in_quotes(print_with_unit(static_cast<std::int64_t>(value->value), kSizes));
  }
  std::string operator()(const std::vector<std::string>* value) const { return print_list(*value); }
  std::string operator()(const Path* value) const { return in_quotes(value->string()); }
  std::string operator()(const Blocks*) const { return "[]"; }  // print_blocks() has them
};

/// Without a block one as an example, in comments.
std::string print_blocks(const Key& key, const Blocks& blocks) {
  std::string out = fmt::format("# {}\n", key.help);
  const std::string mark = blocks.rows.empty() ? "# " : "";
  const std::vector<std::vector<std::string>> example{std::vector<std::string>(blocks.columns.size())};
  for (const auto& row : blocks.rows.empty() ? example : blocks.rows) {
    out += fmt::format("{}[[{}]]\n", mark, key.name);
    for (std::size_t i = 0; i < blocks.columns.size(); ++i)
      out += fmt::format("{}# {}\n{}{} = {}\n", mark, blocks.columns[i].help, mark, blocks.columns[i].name,
                         in_quotes(row[i]));
  }
  return out;
}

/// Reads one TOML value into one target; the answer says what was wrong, without the place.
class Assign {
 public:
  Assign(const Key& key, const toml::node& node) : key_(key), node_(node) {}

  Result<void> operator()(std::string* target) const {
    GODWIT_TRY(const auto text, string("a string in quotes"));
    const auto& words = key_.choices;
    if (!words.empty() && std::find(words.begin(), words.end(), text) == words.end()) {
      const auto close = nearest(text, words);
      return wrong(fmt::format("\"{}\" is not one of {}{}", text, print_list(words),
                               close.empty() ? "" : "; did you mean \"" + close + "\"?"));
    }
    *target = text;
    return {};
  }
  Result<void> operator()(Path* target) const {
    GODWIT_TRY(const auto text, string("a path in quotes"));
    *target = text;
    return {};
  }
  Result<void> operator()(std::int64_t* target) const {
    const auto* number = node_.as_integer();
    if (number == nullptr) return wrong("expected a whole number");
    return store(target, number->get(), std::to_string(key_.minimum), std::to_string(key_.maximum));
  }
  Result<void> operator()(bool* target) const {
    const auto* flag = node_.as_boolean();
    if (flag == nullptr) return wrong("expected true or false");
    *target = flag->get();
    return {};
  }
  Result<void> operator()(milliseconds* target) const {
    GODWIT_TRY(const auto text, string("a duration in quotes such as \"30s\""));
    GODWIT_TRY(const auto value, parse_duration(text));
    std::int64_t number = 0;
    GODWIT_TRY_VOID(store(&number, value.count(), print_duration(milliseconds(key_.minimum)),
                          print_duration(milliseconds(key_.maximum))));
    *target = milliseconds(number);
    return {};
  }
  Result<void> operator()(ByteSize* target) const {
    std::int64_t number = 0;
    if (const auto* plain = node_.as_integer()) {
      number = plain->get();
      if (number < 0) return wrong("a size cannot be negative");
    } else {
      GODWIT_TRY(const auto text, string("bytes as a number or a size in quotes such as \"64KiB\""));
      GODWIT_TRY(const auto value, parse_byte_size(text));
      number = static_cast<std::int64_t>(value);
    }
    GODWIT_TRY_VOID(
        store(&number, number, print_with_unit(key_.minimum, kSizes), print_with_unit(key_.maximum, kSizes)));
    target->value = static_cast<std::uint64_t>(number);
    return {};
  }
  Result<void> operator()(std::vector<std::string>* target) const {
    const auto* list = node_.as_array();
    if (list == nullptr) return wrong("expected a list of strings");
    std::vector<std::string> items;
    for (const auto& item : *list) {
      const auto* text = item.as_string();
      if (text == nullptr) return wrong("expected a list of strings");
      items.push_back(text->get());
    }
    *target = std::move(items);
    return {};
  }
  Result<void> operator()(Blocks* target) const {
    const auto* list = node_.as_array();
    if (list == nullptr) return wrong(fmt::format("expected blocks that begin with [[{}]]", key_.name));
    if (static_cast<std::int64_t>(list->size()) > key_.maximum)
      return wrong(fmt::format("there may be {} of them at most", key_.maximum));
    std::vector<std::vector<std::string>> rows;
    for (const auto& item : *list) {
      auto row = block(*target, item);
      if (!row) return with_context(fmt::format("block {}", rows.size() + 1), std::move(row).error());
      rows.push_back(*std::move(row));
    }
    target->rows = std::move(rows);
    return {};
  }

 private:
  [[nodiscard]] Result<std::vector<std::string>> block(const Blocks& blocks, const toml::node& node) const {
    const auto* table = node.as_table();
    if (table == nullptr) return wrong(fmt::format("expected a block that begins with [[{}]]", key_.name));
    std::vector<std::string> row;
    std::vector<std::string> names;
    for (const auto& column : blocks.columns) {
      names.push_back(column.name);
      const auto* value = table->get(column.name);
      if (value == nullptr) return wrong(fmt::format("\"{}\" is missing", column.name));
      const auto* text = value->as_string();
      if (text == nullptr) return wrong(fmt::format("\"{}\": expected a string in quotes", column.name));
      row.push_back(text->get());
    }
    for (const auto& [name, value] : *table) {
      if (std::find(names.begin(), names.end(), name.str()) != names.end()) continue;
      const auto close = nearest(name.str(), names);
      return wrong(fmt::format("\"{}\" is not a known key{}", name.str(),
                               close.empty() ? "" : "; did you mean \"" + close + "\"?"));
    }
    return row;
  }
  static tl::unexpected<Error> wrong(std::string why) { return fail(Code::invalid_argument, std::move(why)); }
  [[nodiscard]] Result<std::string> string(std::string_view wanted) const {
    const auto* text = node_.as_string();
    if (text == nullptr) return wrong(fmt::format("expected {}", wanted));
    return text->get();
  }
  [[nodiscard]] Result<void> store(std::int64_t* target, std::int64_t value, const std::string& low,
                                   const std::string& high) const {
    if (value < key_.minimum) return wrong(fmt::format("must be at least {}", low));
    if (value > key_.maximum) return wrong(fmt::format("must be at most {}", high));
    *target = value;
    return {};
  }

  const Key& key_;
  const toml::node& node_;
};

/// The text as pure ASCII: characters of "strings" become \\u escapes, those of comments question marks. toml++ 3.3
/// shifts past the width of its tables for some characters, so it must see none. Elsewhere TOML has no use for them,
/// and one line is enough for a string of ours. Error: the line, for the sentence.
tl::expected<std::string, int> as_ascii(std::string_view text) {
  std::string out;
  int line = 1;
  char quote = 0;  // or '#' in a comment
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x80 && quote == '"') {
      const int more = byte >= 0xf0 ? 3 : byte >= 0xe0 ? 2 : 1;
      std::uint32_t point = byte & (0x3fU >> more);
      for (int k = 0; k < more; ++k) point = (point << 6) | (static_cast<unsigned char>(text[++i]) & 0x3fU);
      out += fmt::format("\\U{:08X}", point);
      continue;
    }
    if (byte >= 0x80 && quote != '#') return tl::unexpected(line);
    out += byte >= 0x80 ? '?' : c;
    if (c == '\n') {
      ++line;
      quote = 0;
    } else if (quote == '"' && c == '\\') {
      if (i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0x80 && text[i + 1] != '\n')
        out += text[++i];
    } else if (quote == 0 && (c == '"' || c == '\'' || c == '#')) {
      if (c != '#' && text.substr(i, 3) == std::string(3, c)) return tl::unexpected(line);
      quote = c;
    } else if (c == quote && c != '#') {
      quote = 0;
    }
  }
  return out;
}

/// Walks the tables of one file and assigns what it finds.
class Loader {
 public:
  Loader(const std::vector<Key>& keys, std::string_view source) : keys_(keys), source_(source) {}

  Result<void> table(const toml::table& table, const std::string& prefix) const {
    for (const auto& [name, node] : table) {
      const auto path = prefix.empty() ? std::string(name.str()) : prefix + "." + std::string(name.str());
      const auto key = std::find_if(keys_.begin(), keys_.end(), [&](const Key& k) { return k.name == path; });
      const auto line = node.source().begin.line;
      if (key != keys_.end()) {
        auto done = std::visit(Assign(*key, node), key->target);
        if (!done) return with_context(fmt::format("{}:{}: {}", source_, line, path), std::move(done).error());
      } else if (node.is_table() && is_table_name(path)) {
        GODWIT_TRY_VOID(this->table(*node.as_table(), path));
      } else {
        return unknown(path, line);
      }
    }
    return {};
  }

 private:
  [[nodiscard]] bool is_table_name(const std::string& path) const {
    return std::any_of(keys_.begin(), keys_.end(), [&](const Key& k) { return k.name.starts_with(path + "."); });
  }
  [[nodiscard]] tl::unexpected<Error> unknown(const std::string& path, toml::source_index line) const {
    std::vector<std::string> names;
    for (const auto& key : keys_) {
      names.push_back(key.name);
      for (auto dot = key.name.find('.'); dot != std::string::npos; dot = key.name.find('.', dot + 1))
        names.push_back(key.name.substr(0, dot));
    }
    const auto close = nearest(path, names);
    return fail(Code::invalid_argument,
                fmt::format("{}:{}: \"{}\" is not a known key{}", source_, line, path,
                            close.empty() ? "; --print-config lists all" : "; did you mean \"" + close + "\"?"));
  }

  const std::vector<Key>& keys_;
  std::string_view source_;
};

/// Calls `use` with the file's table. Errors: what is wrong with the text, and those of `use`.
template <class Use>
auto with_table(std::string_view text, std::string_view source_name, const Use& use)
    -> decltype(use(std::declval<const toml::table&>())) {
  if (!is_valid_utf8(text)) return fail(Code::invalid_argument, fmt::format("{}: this is not UTF-8", source_name));
  const auto ascii = as_ascii(text);
  if (!ascii) {
    return fail(
        Code::invalid_argument,
        fmt::format("{}:{}: only ASCII may stand outside of \"strings\" and comments, and a string ends on its line",
                    source_name, ascii.error()));
  }
  try {
    const toml::table table = toml::parse(*ascii, source_name);
    return use(table);
  } catch (const toml::parse_error& problem) {
    return fail(Code::invalid_argument,
                fmt::format("{}:{}: {}", source_name, problem.source().begin.line, problem.description()));
  } catch (const std::logic_error& problem) {
    return fail(Code::invalid_argument, fmt::format("{}: {}", source_name, problem.what()));
  }
}

/// What `text` means for a key of its kind, assigned.
Result<void> assign_text(const Key& key, std::string_view text) {
  const auto wrong = [](std::string why) { return fail(Code::invalid_argument, std::move(why)); };
  if (text.size() > kValueLimit) return wrong(fmt::format("a value has at most {} bytes", kValueLimit));
  if (!is_valid_utf8(text)) return wrong("this is not UTF-8");
  const auto assign = [&key](const toml::node& node) { return std::visit(Assign(key, node), key.target); };
  const auto number = to_number<std::int64_t>(text);
  if (std::holds_alternative<std::int64_t*>(key.target)) {
    if (!number) return wrong("expected a whole number");
    return assign(toml::value<std::int64_t>(*number));
  }
  if (std::holds_alternative<bool*>(key.target)) {
    if (text != "true" && text != "false") return wrong("expected true or false");
    return assign(toml::value<bool>(text == "true"));
  }
  if (std::holds_alternative<std::vector<std::string>*>(key.target)) {
    const auto list = [&](const toml::table& table) -> Result<void> {
      const auto* node = table.get("list");
      if (table.size() != 1 || node == nullptr) return wrong("expected a list of strings");
      return assign(*node);
    };
    if (auto done = with_table("list = " + std::string(text), "text", list); done) return {};
    return wrong("expected a list of strings such as [\"/usr/bin/scan\", \"-\"]");
  }
  if (std::holds_alternative<Blocks*>(key.target)) return wrong("blocks stand in the file only");
  if (std::holds_alternative<ByteSize*>(key.target) && number) return assign(toml::value<std::int64_t>(*number));
  return assign(toml::value<std::string>(std::string(text)));
}

}  // namespace

Result<void> Schema::set(std::string_view name, std::string_view text, std::string_view source) {
  const auto key = std::find_if(keys_.begin(), keys_.end(), [&](const Key& k) { return k.name == name; });
  if (key == keys_.end()) {
    std::vector<std::string> names;
    for (const auto& known : keys_) names.push_back(known.name);
    const auto close = nearest(name, names);
    return fail(Code::invalid_argument,
                fmt::format("{}: \"{}\" is not a known key{}", source, name.substr(0, 80),
                            close.empty() ? "; --print-config lists all" : "; did you mean \"" + close + "\"?"));
  }
  if (auto done = assign_text(*key, text); !done) return with_context(source, std::move(done).error());
  return {};
}

Result<void> Schema::load_file(const Path& file) {
  auto text = read_file(file, kFileLimit);
  if (!text) return with_context("configuration", std::move(text).error());
  return load_text(*text, file.string());
}

Result<void> Schema::load_text(std::string_view toml_text, std::string_view source_name) {
  return with_table(toml_text, source_name, [&](const toml::table& table) -> Result<void> {
    return Loader(keys_, source_name).table(table, "");
  });
}

std::string Schema::print() const {
  const auto is_blocks = [](const Key& key) { return std::holds_alternative<Blocks*>(key.target); };
  const auto table_of = [](const Key& key) {
    const auto dot = key.name.rfind('.');
    return dot == std::string::npos ? std::string() : key.name.substr(0, dot);
  };
  std::vector<std::string> tables{""};  // keys without a table must stand before the first header
  for (const auto& key : keys_) {
    if (is_blocks(key)) continue;
    if (std::find(tables.begin(), tables.end(), table_of(key)) == tables.end()) tables.push_back(table_of(key));
  }
  std::string out;
  for (const auto& table : tables) {
    if (!table.empty()) out += fmt::format("{}[{}]\n", out.empty() ? "" : "\n", table);
    for (const auto& key : keys_) {
      if (is_blocks(key) || table_of(key) != table) continue;
      out += fmt::format("# {}\n", key.help);
      if (!key.choices.empty()) out += fmt::format("# One of {}.\n", print_list(key.choices));
      out += fmt::format("{} = {}\n", table.empty() ? key.name : key.name.substr(table.size() + 1),
                         std::visit(PrintTarget{}, key.target));
    }
  }
  for (const auto& key : keys_)
    if (is_blocks(key)) out += (out.empty() ? "" : "\n") + print_blocks(key, *std::get<Blocks*>(key.target));
  return out;
}

Result<milliseconds> parse_duration(std::string_view text) {
  const auto value = parse_with_unit(text, kDurations);
  if (!value)
    return fail(Code::invalid_argument,
                fmt::format("\"{}\" is not a duration such as 250ms, 30s, 15m, 8h or 7d", text.substr(0, 40)));
  return milliseconds(*value);
}

std::string print_duration(milliseconds value) { return print_with_unit(value.count(), kDurations); }

Result<std::uint64_t> parse_byte_size(std::string_view text) {
  const auto value = parse_with_unit(text, kSizes);
  if (!value)
    return fail(Code::invalid_argument,
                fmt::format("\"{}\" is not a size such as 512B, 64KiB, 32MiB or 2GiB", text.substr(0, 40)));
  return static_cast<std::uint64_t>(*value);
}

}  // namespace godwit::config

namespace godwit::toml_tree {
namespace {

Result<Node> copy(const toml::node& from, std::string_view source_name) {
  Node node;
  node.line = from.source().begin.line;
  if (const auto* table = from.as_table()) {
    Node::Table members;
    for (const auto& [name, child] : *table) {
      GODWIT_TRY(Node copied, copy(child, source_name));
      members.push_back({.name = std::string(name.str()), .node = std::move(copied)});
    }
    node.value = std::move(members);
  } else if (const auto* array = from.as_array()) {
    Node::Array items;
    for (const auto& child : *array) {
      GODWIT_TRY(Node copied, copy(child, source_name));
      items.push_back(std::move(copied));
    }
    node.value = std::move(items);
  } else if (const auto* text = from.as_string()) {
    node.value = text->get();
  } else if (const auto* integer = from.as_integer()) {
    node.value = integer->get();
  } else if (const auto* number = from.as_floating_point()) {
    node.value = number->get();
  } else if (const auto* flag = from.as_boolean()) {
    node.value = flag->get();
  } else {
    return fail(Code::invalid_argument,
                fmt::format("{}:{}: dates and times without quotes are not used here", source_name, node.line));
  }
  return node;
}

}  // namespace

Result<Node> parse(std::string_view text, std::string_view source_name) {
  return config::with_table(text, source_name,
                            [&](const toml::table& table) -> Result<Node> { return copy(table, source_name); });
}

}  // namespace godwit::toml_tree
