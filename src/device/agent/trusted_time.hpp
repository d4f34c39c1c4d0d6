// What time it is, on a device whose clock may stand at 1970 or jump. A floor, below which the time cannot be, is kept
// on disk: the build's day, and what a server showed that proved itself by its certificate. It is never taken from
// this device's own clock, so a clock that ran ahead once leaves no trace.
// One owner; not thread-safe. Writes the file at most once an hour.
#pragma once

#include <optional>
#include <string_view>

#include "core/base/clock.hpp"
#include "core/base/file.hpp"
#include "core/base/log.hpp"

namespace godwit::agent {

class TrustedTime {
 public:
  /// `file` may be empty: nothing is kept. An unreadable file is a warning, no more.
  TrustedTime(Path file, const Clock& clock, Log& log);

  /// The best guess: a server's time and what passed since, as long as the clock has not jumped; else the clock, or the
  /// floor when the clock is below it.
  [[nodiscard]] WallTime now() const;
  /// The clock is certainly wrong: it is below the floor.
  [[nodiscard]] bool is_clock_behind() const { return clock_.now() < floor_; }
  /// now() is no more than the floor: the true time may be much later.
  [[nodiscard]] bool is_guess() const { return is_clock_behind() && !by_anchor(); }
  [[nodiscard]] WallTime floor() const { return floor_; }

  /// What a verified server's certificate proves: it is not earlier than `not_before`.
  void learn_floor(WallTime not_before);
  /// What a verified server says the time is. Believed only within the validity of its certificate, so that a server
  /// with a wrong clock cannot make its own certificate, or the next one, look expired.
  void learn_now(WallTime date, WallTime not_before, WallTime not_after);

  /// The day on which this program was configured to be built.
  [[nodiscard]] static WallTime build_time();

 private:
  struct Anchor {
    WallTime server;
    WallTime clock;
    Duration monotonic;
  };
  void load();
  void raise(WallTime to);
  [[nodiscard]] std::optional<WallTime> by_anchor() const;

  Path file_;
  const Clock& clock_;
  Log& log_;
  WallTime floor_;
  WallTime kept_floor_;  // what the file holds
  std::optional<Anchor> anchor_;
};

}  // namespace godwit::agent
