// Time as a port. Wall time is for stamps that people and peers read; monotonic time is for waits and deadlines.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "core/base/error.hpp"

namespace godwit {

using WallTime = std::chrono::sys_time<std::chrono::milliseconds>;
using Duration = std::chrono::milliseconds;

class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual WallTime now() const = 0;
  [[nodiscard]] virtual Duration monotonic() const = 0;  // since some fixed point; never goes back
};

class SystemClock final : public Clock {
 public:
  [[nodiscard]] WallTime now() const override;
  [[nodiscard]] Duration monotonic() const override;
};

/// For tests: stands still until told.
class FakeClock final : public Clock {
 public:
  [[nodiscard]] WallTime now() const override { return now_; }
  [[nodiscard]] Duration monotonic() const override { return monotonic_; }
  void advance(Duration by) {
    now_ += by;
    monotonic_ += by;
  }
  void set(WallTime now) { now_ = now; }

 private:
  WallTime now_{std::chrono::sys_days{std::chrono::year{2026} / 1 / 1}};
  Duration monotonic_{};
};

/// "2026-11-22T10:15:00.123Z" (UTC, milliseconds).
[[nodiscard]] std::string format_time(WallTime time);
/// The same with 7 fraction digits, as the original service writes: "2026-11-22T10:15:00.1230000Z".
[[nodiscard]] std::string format_time_7(WallTime time);
/// ISO 8601 with `Z` or a numeric offset, 0 to 9 fraction digits. Errors: invalid_argument.
[[nodiscard]] Result<WallTime> parse_time(std::string_view text);

[[nodiscard]] inline std::int64_t to_unix_ms(WallTime time) { return time.time_since_epoch().count(); }
[[nodiscard]] inline WallTime from_unix_ms(std::int64_t ms) { return WallTime{Duration{ms}}; }

}  // namespace godwit
