#include "core/base/clock.hpp"

#include <fmt/format.h>

namespace godwit {
namespace {

using std::chrono::days;
using std::chrono::floor;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

/// Takes what it reads off the front of the text.
class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}
  [[nodiscard]] bool take(char wanted) {
    if (rest_.empty() || rest_.front() != wanted) return false;
    rest_.remove_prefix(1);
    return true;
  }
  /// Exactly `count` digits, -1 if they are not there.
  [[nodiscard]] int digits(std::size_t count) {
    if (rest_.size() < count) return -1;
    int value = 0;
    for (std::size_t i = 0; i < count; ++i) {
      if (!is_digit(rest_[i])) return -1;
      value = value * 10 + (rest_[i] - '0');
    }
    rest_.remove_prefix(count);
    return value;
  }
  /// 1 to 9 fraction digits as milliseconds, cut, not rounded; -1 if there is none or too many.
  [[nodiscard]] int fraction_ms() {
    int value = 0;
    std::size_t count = 0;
    for (; count < rest_.size() && is_digit(rest_[count]); ++count) {
      if (count < 3) value = value * 10 + (rest_[count] - '0');
    }
    if (count == 0 || count > 9) return -1;
    for (auto missing = count; missing < 3; ++missing) value *= 10;
    rest_.remove_prefix(count);
    return value;
  }
  [[nodiscard]] bool at_end() const { return rest_.empty(); }

 private:
  static bool is_digit(char c) { return c >= '0' && c <= '9'; }
  std::string_view rest_;
};

bool within(int value, int low, int high) { return value >= low && value <= high; }

std::string format_seconds(WallTime time) {
  const auto day = floor<days>(time);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss clock{floor<seconds>(time) - day};
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), clock.hours().count(),
                     clock.minutes().count(), clock.seconds().count());
}

std::int64_t fraction_of(WallTime time) { return (time - floor<seconds>(time)).count(); }

/// Offset from UTC: "Z", "+02:00", "-0530". Nothing else.
bool read_offset(Reader& in, minutes& offset) {
  if (in.take('Z') || in.take('z')) return true;
  const bool minus = in.take('-');
  if (!minus && !in.take('+')) return false;
  const int hour = in.digits(2);
  static_cast<void>(in.take(':'));
  const int minute = in.digits(2);
  if (!within(hour, 0, 23) || !within(minute, 0, 59)) return false;
  offset = hours{hour} + minutes{minute};
  if (minus) offset = -offset;
  return true;
}

}  // namespace

WallTime SystemClock::now() const {
  return std::chrono::time_point_cast<milliseconds>(std::chrono::system_clock::now());
}

Duration SystemClock::monotonic() const {
  return std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch());
}

std::string format_time(WallTime time) { return fmt::format("{}.{:03}Z", format_seconds(time), fraction_of(time)); }

std::string format_time_7(WallTime time) {
  return fmt::format("{}.{:03}0000Z", format_seconds(time), fraction_of(time));
}

Result<WallTime> parse_time(std::string_view text) {
  const auto refuse = [&] {
    return fail(Code::invalid_argument,
                fmt::format("\"{}\" is not a time like 2026-11-22T10:15:00Z", text.substr(0, 40)));
  };
  Reader in(text);
  const int year = in.digits(4);
  if (year < 1 || !in.take('-')) return refuse();
  const int month = in.digits(2);
  if (!within(month, 1, 12) || !in.take('-')) return refuse();
  const int day = in.digits(2);
  const std::chrono::year_month_day date{std::chrono::year{year}, std::chrono::month{static_cast<unsigned>(month)},
                                         std::chrono::day{static_cast<unsigned>(day < 0 ? 0 : day)}};
  if (!date.ok() || !in.take('T')) return refuse();
  const int hour = in.digits(2);
  if (!within(hour, 0, 23) || !in.take(':')) return refuse();
  const int minute = in.digits(2);
  if (!within(minute, 0, 59) || !in.take(':')) return refuse();
  const int second = in.digits(2);
  if (!within(second, 0, 59)) return refuse();
  const int fraction = in.take('.') ? in.fraction_ms() : 0;
  minutes offset{};
  if (fraction < 0 || !read_offset(in, offset) || !in.at_end()) return refuse();
  return WallTime{std::chrono::sys_days{date} + hours{hour} + minutes{minute} + seconds{second} +
                  milliseconds{fraction} - offset};
}

}  // namespace godwit
