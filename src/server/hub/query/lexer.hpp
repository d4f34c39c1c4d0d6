// The words of a query. A path with its dots and brackets is one token; whether a name is a keyword is the parser's
// business, because after a dot every name is allowed. Pure; safe from any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.hpp"

namespace godwit::hub::query {

enum class TokenKind : std::uint8_t { end, path, number, text, symbol };

struct Token {
  TokenKind kind = TokenKind::end;
  std::size_t position = 1;          // in characters from 1, for people
  std::string_view source{};         // as written
  std::vector<std::string> names{};  // path
  bool is_bracketed = false;         // path: its first name stood in [[ ]], so it is no keyword
  double number = 0;
  std::string text{};  // text: without quotes and escapes

  /// The name of a path of one plain name, "" for anything else: a keyword or the name of a function.
  [[nodiscard]] std::string_view word() const {
    return kind == TokenKind::path && names.size() == 1 && !is_bracketed ? std::string_view(names[0])
                                                                         : std::string_view{};
  }
  [[nodiscard]] bool is_word(std::string_view upper_case) const;
  [[nodiscard]] bool is_symbol(std::string_view symbol) const { return kind == TokenKind::symbol && source == symbol; }
  /// For "expected x, found y".
  [[nodiscard]] std::string description() const;
};

class Lexer {
 public:
  /// `text` must be valid UTF-8 and outlive the lexer and its tokens.
  Lexer(std::string_view text, std::size_t path_names) : text_(text), path_names_(path_names) {}
  /// At the end of the text: a token of kind end, again and again. Errors: invalid_argument with the position.
  [[nodiscard]] Result<Token> next();

 private:
  [[nodiscard]] Result<void> read_path(Token& token);
  [[nodiscard]] Result<std::string> read_bracketed_name();
  [[nodiscard]] Result<void> read_number(Token& token);
  [[nodiscard]] Result<void> read_text(Token& token);
  [[nodiscard]] Result<void> read_escape(std::string& text);
  [[nodiscard]] Result<std::uint32_t> read_four_digits();
  [[nodiscard]] tl::unexpected<Error> refuse(std::size_t at, const std::string& what) const;
  [[nodiscard]] std::size_t position_of(std::size_t byte) const;
  [[nodiscard]] std::size_t position_here();
  [[nodiscard]] char peek(std::size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t path_names_;
  // Counting characters from the start for each token would make a long query quadratic.
  std::size_t counted_bytes_ = 0;
  std::size_t counted_characters_ = 0;
};

/// An error at a place of the text: "at position 12: <what>".
[[nodiscard]] tl::unexpected<Error> refuse_at(std::size_t position, const std::string& what);

}  // namespace godwit::hub::query
