#include "server/api/paging.hpp"

#include "core/base/bytes.hpp"
#include "server/api/text.hpp"

namespace godwit::api {
namespace {

constexpr std::size_t kFilterBytes = 2048;
constexpr std::size_t kFilterTerms = 16;
constexpr std::size_t kTokenBytes = 1024;

/// Reads the grammar of paging.hpp from left to right; `at_` is the column of the next byte.
class FilterReader {
 public:
  explicit FilterReader(std::string_view text) : text_(text) {}

  [[nodiscard]] Result<Filter> read() {
    Filter filter;
    for (;;) {
      GODWIT_TRY(FilterTerm term, read_term());
      filter.terms.push_back(std::move(term));
      skip_spaces();
      if (at_ == text_.size()) return filter;
      if (filter.terms.size() == kFilterTerms) return problem("has more than 16 comparisons");
      const std::string word = lower_case(read_word());
      if (word != "and" && word != "or") return problem("expects 'and' or 'or'");
      if (filter.terms.size() > 1 && filter.is_or != (word == "or")) return problem("mixes 'and' with 'or'");
      filter.is_or = word == "or";
    }
  }

 private:
  [[nodiscard]] Result<FilterTerm> read_term() {
    FilterTerm term;
    skip_spaces();
    const std::string_view path = read_path();
    if (path.empty()) return problem("expects a property name");
    term.path = lower_case(path);
    skip_spaces();
    if (lower_case(read_word()) != "eq") return problem("expects 'eq', the only comparison there is");
    skip_spaces();
    if (at_ < text_.size() && text_[at_] == '\'') {
      GODWIT_TRY(std::string quoted, read_quoted());
      term.literal = std::move(quoted);
      return term;
    }
    const std::string word = lower_case(read_word());
    if (word == "true")
      term.literal = true;
    else if (word == "false")
      term.literal = false;
    else if (word == "null")
      term.literal = nullptr;
    else
      return problem("expects a text in single quotes, true, false or null");
    return term;
  }

  [[nodiscard]] Result<std::string> read_quoted() {
    std::string value;
    for (++at_; at_ < text_.size(); ++at_) {
      if (text_[at_] != '\'') {
        value.push_back(text_[at_]);
      } else if (at_ + 1 < text_.size() && text_[at_ + 1] == '\'') {  // '' stands for one quote
        value.push_back('\'');
        ++at_;
      } else {
        ++at_;
        return value;
      }
    }
    return problem("ends inside a quoted text");
  }

  void skip_spaces() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  std::string_view read_while(bool (*fits)(char)) {
    const std::size_t start = at_;
    while (at_ < text_.size() && fits(text_[at_])) ++at_;
    return text_.substr(start, at_ - start);
  }
  std::string_view read_word() {
    return read_while([](char c) { return (to_lower(c) >= 'a' && to_lower(c) <= 'z'); });
  }
  std::string_view read_path() {
    return read_while([](char c) {
      return (to_lower(c) >= 'a' && to_lower(c) <= 'z') || (c >= '0' && c <= '9') || c == '/' || c == '_' || c == '-' ||
             c == '.';
    });
  }
  [[nodiscard]] tl::unexpected<Error> problem(std::string_view what) const {
    return fail(Code::invalid_argument, "the filter " + std::string(what) + " at column " + std::to_string(at_ + 1));
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

Result<Filter> parse_filter(std::string_view text) {
  if (text.size() > kFilterBytes) return fail(Code::invalid_argument, "the filter has more than 2048 bytes");
  if (!is_valid_utf8(text)) return fail(Code::invalid_argument, "the filter is not valid UTF-8");
  return FilterReader(text).read();
}

Reply page(const Request& request, json::Array values, const std::string& next_token) {
  json::Object body;
  body["value"] = std::move(values);
  if (!next_token.empty()) {
    std::string link = request.path + "?";
    for (const auto& [name, value] : request.query)
      if (name != "skiptoken") link += percent_encode(name) + "=" + percent_encode(value) + "&";
    body["nextLink"] = link + "skiptoken=" + base64url_encode(next_token);
  }
  return Reply::json(std::move(body));
}

Result<std::string> page_token(const Request& request) {
  const auto token = request.query_value("skiptoken");
  if (!token) return std::string{};
  if (token->size() > kTokenBytes) return fail(Code::invalid_argument, "skiptoken is not one that this service made");
  auto decoded = base64_decode(*token);
  if (!decoded || decoded->empty() || !is_valid_utf8(*decoded))
    return fail(Code::invalid_argument, "skiptoken is not one that this service made");
  return std::string(*std::move(decoded));
}

}  // namespace godwit::api
