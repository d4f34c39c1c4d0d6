#include "server/hub/query/parser.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/base/bytes.hpp"
#include "core/base/text.hpp"
#include "server/hub/query/binding.hpp"
#include "server/hub/query/expressions.hpp"
#include "server/hub/query/token_stream.hpp"

namespace godwit::hub::query {
namespace {

struct AggregateName {
  std::string_view word;
  Aggregate aggregate;
};
constexpr std::array<AggregateName, 5> kAggregates{{{"COUNT", Aggregate::count},
                                                    {"AVG", Aggregate::average},
                                                    {"SUM", Aggregate::sum},
                                                    {"MIN", Aggregate::minimum},
                                                    {"MAX", Aggregate::maximum}}};

Result<void> check_text(std::string_view text, const Limits& limits) {
  if (text.size() > limits.text_bytes)
    return fail(Code::too_large, "the query has " + std::to_string(text.size()) + " bytes; at most " +
                                     std::to_string(limits.text_bytes) + " are taken");
  if (!is_valid_utf8(text)) return fail(Code::invalid_argument, "the query is not valid UTF-8");
  return {};
}

/// SELECT to GROUP BY. What is inside of WHERE is the expression parser's.
class QueryParser {
 public:
  QueryParser(TokenStream& tokens, const Limits& limits) : tokens_(tokens), limits_(limits) {}

  Result<Query> parse() {
    GODWIT_TRY_VOID(tokens_.expect_word("SELECT"));
    GODWIT_TRY_VOID(read_top());
    GODWIT_TRY_VOID(read_projections());
    GODWIT_TRY_VOID(tokens_.expect_word("FROM"));
    GODWIT_TRY_VOID(read_collection());
    if (tokens_.take_word("WHERE")) {
      GODWIT_TRY(query_.where, parse_expression(tokens_, limits_));
    }
    if (tokens_.take_word("GROUP")) {
      GODWIT_TRY_VOID(tokens_.expect_word("BY"));
      GODWIT_TRY_VOID(read_group_keys());
    }
    GODWIT_TRY_VOID(tokens_.expect_end(query_.where || !query_.group_by.empty()
                                           ? "an operator, GROUP BY or the end of the query"
                                           : "WHERE, GROUP BY or the end of the query"));
    GODWIT_TRY_VOID(bind());
    return std::move(query_);
  }

 private:
  Result<void> read_top() {
    if (!tokens_.take_word("TOP")) return {};
    const Token& token = tokens_.current();
    if (token.kind != TokenKind::number || token.number != std::floor(token.number) || token.number < 1 ||
        token.number > static_cast<double>(limits_.top))
      return tokens_.refuse("a whole number from 1 to " + std::to_string(limits_.top) + " after TOP");
    query_.top = static_cast<std::uint64_t>(token.number);
    tokens_.advance();
    return {};
  }

  Result<void> read_projections() {
    if (tokens_.current().is_symbol("*")) {
      query_.is_everything = true;
      tokens_.advance();
      return {};
    }
    for (;;) {
      if (query_.projections.size() == limits_.projections)
        return refuse_at(tokens_.current().position,
                         "SELECT names more than " + std::to_string(limits_.projections) + " members");
      GODWIT_TRY(auto projection, read_projection());
      query_.projections.push_back(std::move(projection));
      if (!tokens_.take_symbol(",")) return {};
    }
  }

  Result<Projection> read_projection() {
    Projection projection;
    const Token first = tokens_.current();
    if (first.kind != TokenKind::path || is_reserved(first))
      return tokens_.refuse("'*', a path or an aggregate like COUNT()");
    tokens_.advance();
    if (tokens_.current().is_symbol("(")) {
      GODWIT_TRY_VOID(read_aggregate(first, projection));
    } else {
      projection.path = Path{.names = first.names, .position = first.position};
    }
    if (tokens_.take_word("AS")) {
      const Token& alias = tokens_.current();
      if (alias.kind != TokenKind::path || alias.names.size() != 1) return tokens_.refuse("a name after AS");
      projection.name = alias.names[0];
      tokens_.advance();
    }
    return projection;
  }

  Result<void> read_aggregate(const Token& word, Projection& projection) {
    const auto* const found = std::find_if(kAggregates.begin(), kAggregates.end(),
                                           [&](const AggregateName& name) { return word.is_word(name.word); });
    if (found == kAggregates.end())
      return refuse_at(word.position, "'" + word.names[0].substr(0, 80) +
                                          "' is no aggregate; there are COUNT(), AVG, SUM, MIN and MAX of a path");
    projection.aggregate = found->aggregate;
    tokens_.advance();
    const Token argument = tokens_.current();
    const bool may_be_empty = projection.aggregate == Aggregate::count;
    if (argument.kind == TokenKind::path) {
      projection.path = Path{.names = argument.names, .position = argument.position};
      tokens_.advance();
    } else if (may_be_empty && argument.is_symbol("*")) {
      tokens_.advance();
    } else if (!may_be_empty) {
      return tokens_.refuse("a path inside of " + std::string(found->word) + "()");
    }
    return tokens_.expect_symbol(")");
  }

  Result<void> read_collection() {
    const Token& token = tokens_.current();
    std::string name;
    if (token.kind == TokenKind::path && !token.is_bracketed)
      for (const std::string& part : token.names) name += (name.empty() ? "" : ".") + part;
    name = lower_case(name);
    if (name == "devices")
      query_.collection = Collection::devices;
    else if (name == "devices.modules")
      query_.collection = Collection::modules;
    else if (name == "devices.jobs")
      query_.collection = Collection::jobs;
    else
      return tokens_.refuse("devices, devices.modules or devices.jobs after FROM");
    tokens_.advance();
    return {};
  }

  Result<void> read_group_keys() {
    for (;;) {
      const Token& token = tokens_.current();
      if (token.kind != TokenKind::path) return tokens_.refuse("a path after GROUP BY");
      if (query_.group_by.size() == limits_.group_keys)
        return refuse_at(token.position, "GROUP BY names more than " + std::to_string(limits_.group_keys) + " paths");
      query_.group_by.push_back(Path{.names = token.names, .position = token.position});
      tokens_.advance();
      if (!tokens_.take_symbol(",")) return {};
    }
  }

  /// Paths get their meaning once FROM is known; then what fits together is checked.
  Result<void> bind() {
    for (Projection& projection : query_.projections)
      if (projection.path) GODWIT_TRY_VOID(bind_path(*projection.path, query_.collection));
    for (Path& path : query_.group_by) GODWIT_TRY_VOID(bind_path(path, query_.collection));
    if (query_.where) GODWIT_TRY_VOID(bind_expression(*query_.where, query_.collection));
    if (query_.collection == Collection::jobs && !query_.is_everything)
      return fail(Code::invalid_argument, "from devices.jobs only SELECT * is served");
    if (query_.is_everything && !query_.group_by.empty())
      return refuse_at(query_.group_by[0].position, "GROUP BY does not go with SELECT *");
    GODWIT_TRY_VOID(check_groups());
    return name_members();
  }

  Result<void> check_groups() const {
    if (!query_.is_aggregation()) return {};
    for (const Projection& projection : query_.projections) {
      if (projection.aggregate != Aggregate::none) continue;
      if (std::find(query_.group_by.begin(), query_.group_by.end(), *projection.path) == query_.group_by.end())
        return refuse_at(projection.path->position, "'" + path_text(*projection.path) +
                                                        "' stands beside an aggregate and must stand in GROUP BY too");
    }
    return {};
  }

  /// Without AS a path is called by its last name, an aggregate $1, $2 ... in order.
  Result<void> name_members() {
    std::size_t unnamed = 0;
    std::vector<std::string_view> names;
    for (Projection& projection : query_.projections) {
      if (projection.name.empty())
        projection.name =
            projection.aggregate == Aggregate::none ? projection.path->names.back() : "$" + std::to_string(++unnamed);
      names.push_back(projection.name);
    }
    std::sort(names.begin(), names.end());
    const auto twice = std::adjacent_find(names.begin(), names.end());
    if (twice != names.end())
      return fail(Code::invalid_argument, "two members of the answer are called '" + std::string(twice->substr(0, 80)) +
                                              "'; name one of them with AS");
    return {};
  }

  TokenStream& tokens_;
  const Limits& limits_;
  Query query_;
};

}  // namespace

Result<Query> parse_query(std::string_view text, const Limits& limits) {
  GODWIT_TRY_VOID(check_text(text, limits));
  GODWIT_TRY(TokenStream tokens, TokenStream::open(text, limits));
  return QueryParser(tokens, limits).parse();
}

Result<Condition> parse_condition(std::string_view text, Collection collection, const Limits& limits) {
  GODWIT_TRY_VOID(check_text(text, limits));
  GODWIT_TRY(TokenStream tokens, TokenStream::open(text, limits));
  Condition condition{.collection = collection};
  condition.where.constant = Constant{.type = Type::boolean, .boolean = true};
  const bool is_everything = tokens.take_symbol("*") || tokens.current().kind == TokenKind::end;
  if (!is_everything) {
    GODWIT_TRY(condition.where, parse_expression(tokens, limits));
  }
  GODWIT_TRY_VOID(tokens.expect_end("an operator or the end of the condition"));
  GODWIT_TRY_VOID(bind_expression(condition.where, collection));
  return condition;
}

}  // namespace godwit::hub::query
