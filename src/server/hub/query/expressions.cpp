#include "server/hub/query/expressions.hpp"

#include <algorithm>
#include <array>
#include <initializer_list>

namespace godwit::hub::query {
namespace {

struct Sign {
  std::string_view symbol;
  Operation operation;
};
constexpr std::array<Sign, 7> kComparisons{{{"=", Operation::equal},
                                            {"!=", Operation::not_equal},
                                            {"<>", Operation::not_equal},
                                            {"<", Operation::less},
                                            {"<=", Operation::less_equal},
                                            {">", Operation::greater},
                                            {">=", Operation::greater_equal}}};
constexpr std::array<Sign, 2> kSums{{{"+", Operation::add}, {"-", Operation::subtract}}};
constexpr std::array<Sign, 3> kProducts{
    {{"*", Operation::multiply}, {"/", Operation::divide}, {"%", Operation::modulo}}};

struct FunctionRow {
  std::string_view word;
  Function function;
  std::size_t arguments;
};
// STARTS_WITH and ENDS_WITH are how the original spells them in message routes; both are taken here.
constexpr std::array<FunctionRow, 13> kFunctions{{{"IS_DEFINED", Function::is_defined, 1},
                                                  {"IS_NULL", Function::is_null, 1},
                                                  {"IS_BOOL", Function::is_bool, 1},
                                                  {"IS_NUMBER", Function::is_number, 1},
                                                  {"IS_STRING", Function::is_string, 1},
                                                  {"IS_ARRAY", Function::is_array, 1},
                                                  {"IS_OBJECT", Function::is_object, 1},
                                                  {"IS_PRIMITIVE", Function::is_primitive, 1},
                                                  {"STARTSWITH", Function::starts_with, 2},
                                                  {"STARTS_WITH", Function::starts_with, 2},
                                                  {"ENDSWITH", Function::ends_with, 2},
                                                  {"ENDS_WITH", Function::ends_with, 2},
                                                  {"CONTAINS", Function::contains, 2}}};

template <std::size_t N>
const Sign* sign_of(const Token& token, const std::array<Sign, N>& signs) {
  for (const Sign& sign : signs)
    if (token.is_symbol(sign.symbol)) return &sign;
  return nullptr;
}

void make_searchable(ConstantSet& set) {
  std::sort(set.texts.begin(), set.texts.end());
  std::sort(set.numbers.begin(), set.numbers.end());
}

void add_constant(ConstantSet& set, Constant constant) {
  switch (constant.type) {
    case Type::text: set.texts.push_back(std::move(constant.text)); break;
    case Type::number: set.numbers.push_back(constant.number); break;
    case Type::boolean: (constant.boolean ? set.has_true : set.has_false) = true; break;
    case Type::null: set.has_null = true; break;
    default: break;  // nothing equals undefined
  }
}

class ExpressionParser {
 public:
  ExpressionParser(TokenStream& tokens, const Limits& limits) : tokens_(tokens), limits_(limits) {}

  Result<Expression> parse() { return read_any(); }

 private:
  /// One level of recursion; the counter goes down with the scope.
  class Level {
   public:
    explicit Level(std::size_t& depth) : depth_(depth) { ++depth_; }
    ~Level() { --depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    std::size_t& depth_;
  };

  [[nodiscard]] tl::unexpected<Error> too_deep() const {
    return fail(Code::too_large, "at position " + std::to_string(tokens_.current().position) +
                                     ": the expression is nested deeper than " + std::to_string(limits_.depth) +
                                     " levels");
  }

  Result<void> count_node() {
    if (++nodes_ <= limits_.nodes) return {};
    return fail(Code::too_large, "at position " + std::to_string(tokens_.current().position) +
                                     ": the query has more than " + std::to_string(limits_.nodes) +
                                     " operators, paths and constants");
  }

  /// A node over `operands`. The height is bounded because evaluation and destruction recurse.
  Result<Expression> over(Expression node, std::vector<Expression> operands) {
    GODWIT_TRY_VOID(count_node());
    for (const Expression& operand : operands) node.height = std::max(node.height, operand.height + 1);
    if (node.height > limits_.depth) return too_deep();
    node.operands = std::move(operands);
    return node;
  }

  Result<Expression> pair(Kind kind, Operation operation, Expression left, Expression right) {
    std::vector<Expression> operands;
    operands.push_back(std::move(left));
    operands.push_back(std::move(right));
    return over(Expression{.kind = kind, .operation = operation}, std::move(operands));
  }

  using Reader = Result<Expression> (ExpressionParser::*)();

  /// a AND b AND c is one node, so that a long row of them is not a deep tree.
  Result<Expression> read_row(Kind kind, std::string_view word, Reader read_operand) {
    GODWIT_TRY(auto first, (this->*read_operand)());
    if (!tokens_.current().is_word(word)) return first;
    std::vector<Expression> operands;
    operands.push_back(std::move(first));
    while (tokens_.take_word(word)) {
      GODWIT_TRY(auto next, (this->*read_operand)());
      operands.push_back(std::move(next));
    }
    return over(Expression{.kind = kind}, std::move(operands));
  }

  Result<Expression> read_any() {
    const Level level(depth_);
    if (depth_ > limits_.depth) return too_deep();
    return read_row(Kind::any, "OR", &ExpressionParser::read_all);
  }
  Result<Expression> read_all() { return read_row(Kind::all, "AND", &ExpressionParser::read_negation); }

  Result<Expression> read_negation() {
    if (!tokens_.take_word("NOT")) return read_comparison();
    const Level level(depth_);
    if (depth_ > limits_.depth) return too_deep();
    GODWIT_TRY(auto operand, read_negation());
    std::vector<Expression> operands;
    operands.push_back(std::move(operand));
    return over(Expression{.kind = Kind::negation}, std::move(operands));
  }

  Result<Expression> read_comparison() {
    GODWIT_TRY(auto left, read_sum());
    const Token& here = tokens_.current();
    if (const Sign* sign = sign_of(here, kComparisons)) {
      tokens_.advance();
      GODWIT_TRY(auto right, read_sum());
      return pair(Kind::comparison, sign->operation, std::move(left), std::move(right));
    }
    const bool is_negated = here.is_word("NIN");
    if (!is_negated && !here.is_word("IN")) return left;
    tokens_.advance();
    std::vector<Expression> operands;
    operands.push_back(std::move(left));
    Expression node{.kind = Kind::membership, .is_negated = is_negated};
    GODWIT_TRY(node.set, read_list());
    return over(std::move(node), std::move(operands));
  }

  template <std::size_t N>
  Result<Expression> read_chain(const std::array<Sign, N>& signs, Reader read_operand) {
    GODWIT_TRY(auto left, (this->*read_operand)());
    while (const Sign* sign = sign_of(tokens_.current(), signs)) {
      tokens_.advance();
      GODWIT_TRY(auto right, (this->*read_operand)());
      GODWIT_TRY(auto node, pair(Kind::arithmetic, sign->operation, std::move(left), std::move(right)));
      left = std::move(node);
    }
    return left;
  }
  Result<Expression> read_sum() { return read_chain(kSums, &ExpressionParser::read_product); }
  Result<Expression> read_product() { return read_chain(kProducts, &ExpressionParser::read_signed); }

  Result<Expression> read_signed() {
    const bool is_negative = tokens_.current().is_symbol("-");
    if (!is_negative && !tokens_.current().is_symbol("+")) return read_primary();
    tokens_.advance();
    const Level level(depth_);
    if (depth_ > limits_.depth) return too_deep();
    GODWIT_TRY(auto operand, read_signed());
    if (!is_negative) return operand;
    std::vector<Expression> operands;
    operands.push_back(std::move(operand));
    return over(Expression{.kind = Kind::minus}, std::move(operands));
  }

  Result<Expression> read_primary() {
    if (tokens_.take_symbol("(")) {
      GODWIT_TRY(auto inner, read_any());
      GODWIT_TRY_VOID(tokens_.expect_symbol(")"));
      return inner;
    }
    if (auto constant = take_constant()) {
      GODWIT_TRY_VOID(count_node());
      return Expression{.constant = *std::move(constant)};
    }
    const Token here = tokens_.current();
    if (here.is_symbol("["))
      return tokens_.refuse("a path, a constant or a function; a list in [ ] stands only after IN or NIN");
    if (here.kind != TokenKind::path || is_reserved(here)) return tokens_.refuse("a path, a constant or a function");
    tokens_.advance();
    if (tokens_.current().is_symbol("(")) return read_call(here);
    GODWIT_TRY_VOID(count_node());
    return Expression{.kind = Kind::path, .path = Path{.names = here.names, .position = here.position}};
  }

  std::optional<Constant> take_constant() {
    const Token& here = tokens_.current();
    std::optional<Constant> constant;
    if (here.kind == TokenKind::number)
      constant = Constant{.type = Type::number, .number = here.number};
    else if (here.kind == TokenKind::text)
      constant = Constant{.type = Type::text, .text = here.text};
    else if (here.is_word("TRUE") || here.is_word("FALSE"))
      constant = Constant{.type = Type::boolean, .boolean = here.is_word("TRUE")};
    else if (here.is_word("NULL"))
      constant = Constant{.type = Type::null};
    else if (here.is_word("UNDEFINED"))
      constant = Constant{};
    if (constant) tokens_.advance();
    return constant;
  }

  Result<Expression> read_call(const Token& word) {
    const auto* const row = std::find_if(kFunctions.begin(), kFunctions.end(),
                                         [&](const FunctionRow& candidate) { return word.is_word(candidate.word); });
    if (row == kFunctions.end())
      return refuse_at(word.position, "there is no function '" + std::string(word.source.substr(0, 80)) +
                                          "'; there are IS_DEFINED, IS_NULL, IS_BOOL, IS_NUMBER, IS_STRING, IS_ARRAY, "
                                          "IS_OBJECT, IS_PRIMITIVE, STARTSWITH, ENDSWITH and CONTAINS");
    tokens_.advance();
    std::vector<Expression> arguments;
    do {
      GODWIT_TRY(auto argument, read_any());
      arguments.push_back(std::move(argument));
    } while (arguments.size() < row->arguments && tokens_.take_symbol(","));
    if (arguments.size() < row->arguments) return tokens_.refuse("',' and a second argument");
    GODWIT_TRY_VOID(tokens_.expect_symbol(")"));
    return over(Expression{.kind = Kind::call, .function = row->function}, std::move(arguments));
  }

  Result<ConstantSet> read_list() {
    GODWIT_TRY_VOID(tokens_.expect_symbol("["));
    ConstantSet set;
    if (tokens_.take_symbol("]")) return set;
    for (;;) {
      const bool is_negative = tokens_.take_symbol("-");
      auto constant = take_constant();
      if (!constant || (is_negative && constant->type != Type::number))
        return tokens_.refuse("a constant in the list of IN");
      if (is_negative) constant->number = -constant->number;
      GODWIT_TRY_VOID(count_node());
      add_constant(set, *std::move(constant));
      if (!tokens_.take_symbol(",")) break;
    }
    GODWIT_TRY_VOID(tokens_.expect_symbol("]"));
    make_searchable(set);
    return set;
  }

  TokenStream& tokens_;
  const Limits& limits_;
  std::size_t nodes_ = 0;
  std::size_t depth_ = 0;
};

}  // namespace

Result<Expression> parse_expression(TokenStream& tokens, const Limits& limits) {
  return ExpressionParser(tokens, limits).parse();
}

}  // namespace godwit::hub::query
