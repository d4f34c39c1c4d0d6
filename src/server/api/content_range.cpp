#include "server/api/content_range.hpp"

#include "core/base/text.hpp"

namespace godwit::api {

Result<ContentRange> parse_content_range(std::string_view text) {
  const auto refuse = [&] {
    return fail(Code::invalid_argument, "Content-Range '" + std::string(text.substr(0, 80)) +
                                            "' is not of the form bytes FIRST-LAST/SIZE, e.g. bytes 0-99/1000");
  };
  constexpr std::string_view kUnit = "bytes ";
  if (!text.starts_with(kUnit)) return refuse();
  const std::string_view numbers = text.substr(kUnit.size());
  const auto dash = numbers.find('-');
  const auto slash = numbers.find('/');
  if (dash == std::string_view::npos || slash == std::string_view::npos || slash < dash) return refuse();
  const auto first = to_number<ByteCount>(numbers.substr(0, dash));
  const auto last = to_number<ByteCount>(numbers.substr(dash + 1, slash - dash - 1));
  const auto size = to_number<ByteCount>(numbers.substr(slash + 1));
  if (!first || !last || !size || *last < *first || *last >= *size) return refuse();
  return ContentRange{.first = *first, .last = *last, .size = *size};
}

}  // namespace godwit::api
