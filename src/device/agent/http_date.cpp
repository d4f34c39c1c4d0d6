#include "device/agent/http_date.hpp"

#include <array>
#include <string>

#include "core/base/text.hpp"

namespace godwit::agent {

std::optional<WallTime> parse_http_date(std::string_view text) {
  constexpr std::array<std::string_view, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  constexpr std::string_view kForm = "Www, DD Mmm YYYY hh:mm:ss GMT";
  if (text.size() != kForm.size() || text.substr(3, 2) != ", " || text.substr(25) != " GMT") return std::nullopt;
  for (std::size_t month = 0; month < kMonths.size(); ++month) {
    if (text.substr(8, 3) != kMonths[month] || text[7] != ' ' || text[11] != ' ' || text[16] != ' ') continue;
    const std::string number = std::to_string(month + 1);
    const auto time = parse_time(std::string(text.substr(12, 4)) + (number.size() == 1 ? "-0" : "-") + number + "-" +
                                 std::string(text.substr(5, 2)) + "T" + std::string(text.substr(17, 8)) + "Z");
    if (time) return *time;
  }
  return std::nullopt;
}

}  // namespace godwit::agent
