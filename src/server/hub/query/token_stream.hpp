// The tokens of one text with a place to read on, and the sentences for what was expected there. Borrowed by the
// parsers of one call; the text must outlive it.
#pragma once

#include <utility>
#include <vector>

#include "server/hub/query/lexer.hpp"
#include "server/hub/query/limits.hpp"

namespace godwit::hub::query {

class TokenStream {
 public:
  /// Errors: as Lexer::next().
  [[nodiscard]] static Result<TokenStream> open(std::string_view text, const Limits& limits);

  [[nodiscard]] const Token& current() const { return tokens_[at_]; }
  [[nodiscard]] const Token& following() const { return tokens_[at_ + 1 < tokens_.size() ? at_ + 1 : at_]; }
  /// Stays at the end once it is there.
  void advance() {
    if (at_ + 1 < tokens_.size()) ++at_;
  }
  /// Reads on over a keyword or symbol if it stands here.
  [[nodiscard]] bool take_word(std::string_view upper_case);
  [[nodiscard]] bool take_symbol(std::string_view symbol);

  [[nodiscard]] Result<void> expect_word(std::string_view upper_case);
  [[nodiscard]] Result<void> expect_symbol(std::string_view symbol);
  [[nodiscard]] Result<void> expect_end(std::string_view expected);
  /// "at position 9: expected <expected>, found <what stands here>", with a word of help for what people bring along
  /// from other languages.
  [[nodiscard]] tl::unexpected<Error> refuse(const std::string& expected) const;

 private:
  explicit TokenStream(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  std::vector<Token> tokens_;  // the last one is the end
  std::size_t at_ = 0;
};

/// True for words that cannot be the first name of a path: write [[from]] for a member with such a name.
[[nodiscard]] bool is_reserved(const Token& token);

}  // namespace godwit::hub::query
