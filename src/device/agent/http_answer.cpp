#include "device/agent/http_answer.hpp"

#include <algorithm>

#include "core/base/text.hpp"

namespace godwit::agent {
namespace {

constexpr std::size_t kFieldLimit = 100;

bool is_token(std::string_view name) {
  constexpr std::string_view kOthers = "!#$%&'*+-.^_`|~";
  return !name.empty() && std::ranges::all_of(name, [&](char c) {
    return (c >= '0' && c <= '9') || (to_lower(c) >= 'a' && to_lower(c) <= 'z') || kOthers.find(c) != kOthers.npos;
  });
}

bool has_control_character(std::string_view text) {
  return std::ranges::any_of(text, [](unsigned char c) { return (c < ' ' && c != '\t') || c == 0x7F; });
}

std::string_view take_line(std::string_view& text) {
  const auto end = std::min(text.find("\r\n"), text.size());
  const auto line = text.substr(0, end);
  text.remove_prefix(std::min(end + 2, text.size()));
  return line;
}

}  // namespace

std::string_view HttpAnswer::field(const std::string& name) const {
  const auto found = fields.find(name);
  return found == fields.end() ? std::string_view{} : std::string_view(found->second);
}

Result<HttpAnswer> parse_http_answer(std::string_view head) {
  if (head.size() > kHttpHeadLimit) return fail(Code::too_large, "the head of an HTTP answer is above 16 KiB");
  if (!head.ends_with("\r\n\r\n")) return fail(Code::bad_packet, "an HTTP answer does not end with an empty line");
  head.remove_suffix(2);
  const auto line = take_line(head);
  const bool is_http = line.starts_with("HTTP/1.1 ") || line.starts_with("HTTP/1.0 ");
  const auto status = is_http ? to_number<int>(line.substr(9, 3)) : std::nullopt;
  if (!status || *status < 100 || *status > 599 || (line.size() > 12 && line[12] != ' ') || has_control_character(line))
    return fail(Code::bad_packet, "no HTTP answer came");
  HttpAnswer answer{.status = *status,
                    .reason = std::string(trimmed(line.substr(std::min<std::size_t>(12, line.size())))),
                    .fields = {}};
  while (!head.empty()) {
    const auto field = take_line(head);
    const auto colon = field.find(':');
    if (colon == std::string_view::npos || !is_token(field.substr(0, colon)) || has_control_character(field))
      return fail(Code::bad_packet, "an HTTP answer has a line that is no field");
    std::string& value = answer.fields[lower_case(field.substr(0, colon))];
    if (!value.empty()) value += ", ";
    value += trimmed(field.substr(colon + 1), " \t");
    if (answer.fields.size() > kFieldLimit) return fail(Code::too_large, "an HTTP answer has more than 100 fields");
  }
  return answer;
}

}  // namespace godwit::agent
