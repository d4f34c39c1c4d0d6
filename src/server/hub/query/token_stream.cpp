#include "server/hub/query/token_stream.hpp"

#include <algorithm>
#include <array>

namespace godwit::hub::query {
namespace {

struct Help {
  std::string_view found;
  std::string_view say;
};
constexpr std::array<Help, 11> kHelp{{{"==", "equality is written ="},
                                      {"NOT", "NOT stands before a condition; NOT IN is written NIN"},
                                      {"IS", "write IS_NULL(x), IS_DEFINED(x) or another IS_ function"},
                                      {"LIKE", "there are STARTSWITH(x, y), ENDSWITH(x, y) and CONTAINS(x, y)"},
                                      {"BETWEEN", "write x >= a AND x <= b"},
                                      {"ORDER", "answers come in the order of device ids; there is no ORDER BY"},
                                      {"JOIN", "there is no JOIN"},
                                      {"DISTINCT", "GROUP BY gives each value once"},
                                      {"LIMIT", "write SELECT TOP n"},
                                      {"HAVING", "there is no HAVING"},
                                      {"VALUE", "there is no SELECT VALUE"}}};

constexpr std::array<std::string_view, 16> kReserved{"SELECT", "TOP",   "FROM", "WHERE",    "GROUP", "BY",
                                                     "AS",     "AND",   "OR",   "NOT",      "IN",    "NIN",
                                                     "TRUE",   "FALSE", "NULL", "UNDEFINED"};

}  // namespace

bool is_reserved(const Token& token) {
  return std::any_of(kReserved.begin(), kReserved.end(), [&](std::string_view word) { return token.is_word(word); });
}

Result<TokenStream> TokenStream::open(std::string_view text, const Limits& limits) {
  Lexer lexer(text, limits.path_names);
  std::vector<Token> tokens;
  for (;;) {
    GODWIT_TRY(auto token, lexer.next());
    tokens.push_back(std::move(token));
    if (tokens.back().kind == TokenKind::end) return TokenStream(std::move(tokens));
  }
}

bool TokenStream::take_word(std::string_view upper_case) {
  if (!current().is_word(upper_case)) return false;
  advance();
  return true;
}

bool TokenStream::take_symbol(std::string_view symbol) {
  if (!current().is_symbol(symbol)) return false;
  advance();
  return true;
}

tl::unexpected<Error> TokenStream::refuse(const std::string& expected) const {
  const Token& here = current();
  std::string sentence = "expected " + expected + ", found " + here.description();
  for (const Help& help : kHelp)
    if (here.is_word(help.found) || here.is_symbol(help.found)) sentence += " (" + std::string(help.say) + ")";
  return refuse_at(here.position, sentence);
}

Result<void> TokenStream::expect_word(std::string_view upper_case) {
  if (take_word(upper_case)) return {};
  return refuse(std::string(upper_case));
}

Result<void> TokenStream::expect_symbol(std::string_view symbol) {
  if (take_symbol(symbol)) return {};
  return refuse("'" + std::string(symbol) + "'");
}

Result<void> TokenStream::expect_end(std::string_view expected) {
  while (take_symbol(";")) continue;
  if (current().kind == TokenKind::end) return {};
  return refuse(std::string(expected));
}

}  // namespace godwit::hub::query
