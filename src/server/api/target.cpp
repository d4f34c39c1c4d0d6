#include "server/api/target.hpp"

#include <algorithm>

#include "core/base/bytes.hpp"
#include "server/api/text.hpp"

namespace godwit::api {
namespace {

constexpr std::size_t kTargetBytes = 8192;
constexpr std::size_t kSegments = 32;
constexpr std::size_t kQueryValues = 32;

[[nodiscard]] bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
}

/// Decoded text must be something that can be logged, stored and compared.
[[nodiscard]] Result<std::string> decode(std::string_view raw, std::string_view where) {
  auto decoded = percent_decode(raw);
  if (!decoded) return with_context(where, decoded.error());
  if (has_control(*decoded)) return fail(Code::invalid_argument, std::string(where) + ": holds a control character");
  if (!is_valid_utf8(*decoded)) return fail(Code::invalid_argument, std::string(where) + ": is not valid UTF-8");
  return decoded;
}

[[nodiscard]] Result<void> read_path(std::string_view path, Target& target) {
  target.path = path;
  path.remove_prefix(1);
  while (!path.empty()) {
    const std::size_t slash = std::min(path.find('/'), path.size());
    const std::string_view segment = path.substr(0, slash);
    GODWIT_TRY(const std::string decoded, decode(segment, "path"));
    if (decoded == "." || decoded == "..") return fail(Code::invalid_argument, "path: '.' and '..' are not names");
    if (target.segments.size() == kSegments) return fail(Code::invalid_argument, "path: has more than 32 segments");
    target.segments.emplace_back(segment);
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
  return {};
}

[[nodiscard]] Result<void> read_query(std::string_view query, Target& target) {
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (pair.empty()) continue;
    const std::size_t equals = std::min(pair.find('='), pair.size());
    GODWIT_TRY(const std::string name, decode(pair.substr(0, equals), "query name"));
    GODWIT_TRY(std::string value, decode(pair.substr(std::min(equals + 1, pair.size())), "query '" + name + "'"));
    if (name.empty()) return fail(Code::invalid_argument, "query: a value without a name");
    if (target.query.size() == kQueryValues) return fail(Code::invalid_argument, "query: has more than 32 values");
    if (!target.query.emplace(lower_case(name), std::move(value)).second)
      return fail(Code::invalid_argument, "query: '" + name + "' is given twice");
  }
  return {};
}

}  // namespace

Result<Target> parse_target(std::string_view text) {
  if (text.size() > kTargetBytes) return fail(Code::invalid_argument, "the request target has more than 8192 bytes");
  for (const char c : text)
    if (static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7F || c == '#' || c == '\\')
      return fail(Code::invalid_argument, "the request target holds a character that must be percent-encoded");
  if (const std::string start = lower_case(text.substr(0, 8));
      start.starts_with("https://") || start.starts_with("http://")) {
    text.remove_prefix(start.starts_with("https://") ? 8 : 7);
    const std::size_t slash = text.find('/');
    if (slash == std::string_view::npos) return fail(Code::invalid_argument, "the request target has no path");
    text.remove_prefix(slash);
  }
  if (!text.starts_with('/')) return fail(Code::invalid_argument, "the request target does not begin with '/'");
  Target target;
  const std::size_t question = std::min(text.find('?'), text.size());
  GODWIT_TRY_VOID(read_path(text.substr(0, question), target));
  GODWIT_TRY_VOID(read_query(text.substr(std::min(question + 1, text.size())), target));
  return target;
}

}  // namespace godwit::api
