#include "server/api/range.hpp"

#include <charconv>

#include "server/api/text.hpp"

namespace godwit::api {
namespace {

/// Digits only. A number beyond 64 bits counts as the largest: it lies past the end of every file.
[[nodiscard]] std::optional<std::uint64_t> read_number(std::string_view text) {
  if (text.empty()) return std::nullopt;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end != text.data() + text.size()) return std::nullopt;
  if (error == std::errc::result_out_of_range) return UINT64_MAX;
  if (error != std::errc{}) return std::nullopt;
  return value;
}

/// nullopt: not a single well-formed byte range; the header is ignored.
[[nodiscard]] std::optional<Selection> read_range(std::string_view text, ByteCount size) {
  text = trimmed(text);
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos || !equal_in_any_case(trimmed(text.substr(0, equals)), "bytes"))
    return std::nullopt;
  text = trimmed(text.substr(equals + 1));
  const std::size_t dash = text.find('-');
  if (dash == std::string_view::npos || text.find(',') != std::string_view::npos) return std::nullopt;
  const std::string_view left = trimmed(text.substr(0, dash));
  const std::string_view right = trimmed(text.substr(dash + 1));
  const auto first = read_number(left);
  const auto last = read_number(right);
  if ((!left.empty() && !first) || (!right.empty() && !last) || (!first && !last)) return std::nullopt;
  if (first && last && *last < *first) return std::nullopt;
  const Selection unsatisfiable{.status = 416};
  if (!first) {  // suffix: the last n bytes
    if (*last == 0 || size == 0) return unsatisfiable;
    const ByteCount count = std::min(*last, size);
    return Selection{.status = 206, .first = size - count, .count = count};
  }
  if (*first >= size) return unsatisfiable;
  const ByteCount end = last ? std::min(*last, size - 1) : size - 1;
  return Selection{.status = 206, .first = *first, .count = end - *first + 1};
}

}  // namespace

std::string Selection::content_range(ByteCount size) const {
  if (status == 416) return "bytes */" + std::to_string(size);
  return "bytes " + std::to_string(first) + "-" + std::to_string(first + count - 1) + "/" + std::to_string(size);
}

bool names_etag(std::string_view value, std::string_view etag) {
  value = trimmed(value);
  if (value == "*") return true;
  while (!value.empty()) {
    const std::size_t comma = std::min(value.find(','), value.size());
    std::string_view tag = trimmed(value.substr(0, comma));
    if (tag.starts_with("W/")) tag.remove_prefix(2);
    if (tag == etag) return true;
    value.remove_prefix(std::min(comma + 1, value.size()));
  }
  return false;
}

Selection select_bytes(const Conditions& conditions, ByteCount size, std::string_view etag) {
  if (conditions.if_none_match && names_etag(*conditions.if_none_match, etag)) return Selection{.status = 304};
  const Selection whole{.status = 200, .first = 0, .count = size};
  if (!conditions.range) return whole;
  // If-Range needs a strong match; a date never matches, because payloads have none.
  if (conditions.if_range && trimmed(*conditions.if_range) != etag) return whole;
  return read_range(*conditions.range, size).value_or(whole);
}

}  // namespace godwit::api
