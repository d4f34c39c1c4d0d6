#include "server/hub/query/lexer.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "core/base/text.hpp"

namespace godwit::hub::query {
namespace {

constexpr std::size_t kShown = 40;  // bytes of foreign text in a sentence
// Longer ones first, so that "<=" is not read as "<".
constexpr std::array<std::string_view, 19> kSymbols{"<=", ">=", "<>", "!=", "==", "=", "<", ">", "(", ")",
                                                    "[",  "]",  ",",  "+",  "-",  "*", "/", "%", ";"};

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' ||
         static_cast<unsigned char>(c) >= 0x80;
}
constexpr bool is_name_part(char c) { return is_name_start(c) || is_digit(c); }
constexpr bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
constexpr bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

/// At most kShown bytes, cut at a character.
std::string shown(std::string_view text) {
  if (text.size() <= kShown) return std::string(text);
  std::size_t end = kShown;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  return std::string(text.substr(0, end)) + "...";
}

std::size_t characters_in(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

void append_utf8(std::string& out, std::uint32_t point) {
  const auto byte = [](std::uint32_t value) { return static_cast<char>(value); };
  if (point < 0x80) {
    out += byte(point);
  } else if (point < 0x800) {
    out += byte(0xC0U | (point >> 6U));
    out += byte(0x80U | (point & 0x3FU));
  } else if (point < 0x10000) {
    out += byte(0xE0U | (point >> 12U));
    out += byte(0x80U | ((point >> 6U) & 0x3FU));
    out += byte(0x80U | (point & 0x3FU));
  } else {
    out += byte(0xF0U | (point >> 18U));
    out += byte(0x80U | ((point >> 12U) & 0x3FU));
    out += byte(0x80U | ((point >> 6U) & 0x3FU));
    out += byte(0x80U | (point & 0x3FU));
  }
}

}  // namespace

tl::unexpected<Error> refuse_at(std::size_t position, const std::string& what) {
  return fail(Code::invalid_argument, "at position " + std::to_string(position) + ": " + what);
}

bool Token::is_word(std::string_view upper_case) const { return equal_in_any_case(word(), upper_case); }

std::string Token::description() const {
  switch (kind) {
    case TokenKind::end: return "the end of the query";
    case TokenKind::text: return "the text " + shown(source);
    case TokenKind::number: return "the number " + shown(source);
    default: return "'" + shown(source) + "'";
  }
}

std::size_t Lexer::position_of(std::size_t byte) const { return 1 + characters_in(text_.substr(0, byte)); }

std::size_t Lexer::position_here() {
  counted_characters_ += characters_in(text_.substr(counted_bytes_, at_ - counted_bytes_));
  counted_bytes_ = at_;
  return 1 + counted_characters_;
}

tl::unexpected<Error> Lexer::refuse(std::size_t at, const std::string& what) const {
  return refuse_at(position_of(at), what);
}

Result<Token> Lexer::next() {
  while (at_ < text_.size() && is_blank(text_[at_])) ++at_;
  const std::size_t begin = at_;
  Token token;
  token.position = position_here();
  if (at_ == text_.size()) return token;
  const char first = peek();
  if (is_name_start(first) || (first == '[' && peek(1) == '[')) {
    GODWIT_TRY_VOID(read_path(token));
  } else if (is_digit(first) || (first == '.' && is_digit(peek(1)))) {
    GODWIT_TRY_VOID(read_number(token));
  } else if (first == '\'' || first == '"') {
    GODWIT_TRY_VOID(read_text(token));
  } else {
    const auto* const symbol = std::find_if(kSymbols.begin(), kSymbols.end(), [&](std::string_view candidate) {
      return text_.substr(at_).starts_with(candidate);
    });
    if (symbol == kSymbols.end())
      return refuse(begin, is_control(first) ? std::string("a control character outside of a text")
                                             : "'" + std::string(1, first) + "' means nothing here");
    token.kind = TokenKind::symbol;
    at_ += symbol->size();
  }
  token.source = text_.substr(begin, at_ - begin);
  return token;
}

Result<std::string> Lexer::read_bracketed_name() {
  const std::size_t begin = at_;
  at_ += 2;
  const std::size_t end = text_.find("]]", at_);
  if (end == std::string_view::npos) return refuse(begin, "[[ is not closed by ]]");
  const std::string_view name = text_.substr(at_, end - at_);
  if (name.empty()) return refuse(begin, "[[ ]] holds no name");
  if (std::any_of(name.begin(), name.end(), is_control)) return refuse(begin, "a control character inside of [[ ]]");
  at_ = end + 2;
  return std::string(name);
}

Result<void> Lexer::read_path(Token& token) {
  token.kind = TokenKind::path;
  token.is_bracketed = peek() == '[';
  const std::size_t begin = at_;
  for (;;) {
    if (token.names.size() == path_names_)
      return refuse(begin, "a path has more than " + std::to_string(path_names_) + " names");
    if (peek() == '[' && peek(1) == '[') {
      GODWIT_TRY(auto name, read_bracketed_name());
      token.names.push_back(std::move(name));
    } else {
      const std::size_t name_begin = at_;
      while (at_ < text_.size() && is_name_part(text_[at_])) ++at_;
      if (at_ == name_begin)
        return refuse(at_, "expected a name after '.'; one with other characters is written [[name]]");
      token.names.emplace_back(text_.substr(name_begin, at_ - name_begin));
    }
    if (peek() != '.') return {};
    ++at_;
  }
}

Result<void> Lexer::read_number(Token& token) {
  token.kind = TokenKind::number;
  const std::size_t begin = at_;
  if (peek() == '0' && to_lower(peek(1)) == 'x') {
    at_ += 2;
    std::uint64_t bits = 0;
    const auto [end, problem] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), bits, 16);
    if (problem == std::errc::result_out_of_range) return refuse(begin, "a hexadecimal number has more than 64 bits");
    if (problem != std::errc{}) return refuse(begin, "expected hexadecimal digits after 0x");
    at_ = static_cast<std::size_t>(end - text_.data());
    token.number = static_cast<double>(bits);
  } else {
    const auto [end, problem] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), token.number);
    if (problem == std::errc::result_out_of_range || !std::isfinite(token.number))
      return refuse(begin, "a number is outside of what a double holds");
    if (problem != std::errc{}) return refuse(begin, "expected a number");
    at_ = static_cast<std::size_t>(end - text_.data());
  }
  if (at_ < text_.size() && (is_name_part(text_[at_]) || text_[at_] == '.'))
    return refuse(begin, "'" + shown(text_.substr(begin, at_ + 1 - begin)) + "' is no number");
  return {};
}

Result<void> Lexer::read_text(Token& token) {
  token.kind = TokenKind::text;
  const std::size_t begin = at_;
  const char quote = text_[at_++];
  for (;;) {
    if (at_ == text_.size()) return refuse(begin, std::string("a text is not closed by ") + quote);
    const char c = text_[at_];
    if (c == quote) {
      ++at_;
      return {};
    }
    if (c == '\\') {
      GODWIT_TRY_VOID(read_escape(token.text));
      continue;
    }
    if (is_control(c)) return refuse(at_, "a control character inside of a text; write it as \\uXXXX");
    token.text += c;
    ++at_;
  }
}

Result<std::uint32_t> Lexer::read_four_digits() {
  std::uint32_t unit = 0;
  const std::string_view digits = text_.substr(at_, 4);
  const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), unit, 16);
  if (digits.size() != 4 || problem != std::errc{} || end != digits.data() + 4)
    return refuse(at_, "expected four hexadecimal digits after \\u");
  at_ += 4;
  return unit;
}

Result<void> Lexer::read_escape(std::string& text) {
  const std::size_t begin = at_++;
  const char c = peek();
  if (c == '\'' || c == '"' || c == '\\') {
    text += c;
    ++at_;
    return {};
  }
  if (c != 'u') return refuse(begin, "the escapes of a text are \\' \\\" \\\\ and \\uXXXX");
  ++at_;
  GODWIT_TRY(std::uint32_t point, read_four_digits());
  if (point >= 0xD800 && point <= 0xDBFF && peek() == '\\' && peek(1) == 'u') {
    at_ += 2;
    GODWIT_TRY(const std::uint32_t low, read_four_digits());
    if (low < 0xDC00 || low > 0xDFFF) return refuse(begin, "half of a surrogate pair stands alone");
    point = 0x10000 + ((point - 0xD800) << 10U) + (low - 0xDC00);
  }
  if (point >= 0xD800 && point <= 0xDFFF) return refuse(begin, "half of a surrogate pair stands alone");
  if (point == 0) return refuse(begin, "\\u0000 cannot stand in a text");
  append_utf8(text, point);
  return {};
}

}  // namespace godwit::hub::query
