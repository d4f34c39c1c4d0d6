// Who may come in at all, by address and by identity: counts and windows, no sockets. Bounded memory.
// Belongs to the hub's loop.
#pragma once

#include <algorithm>
#include <string>
#include <unordered_map>

#include "server/hub/limits.hpp"

namespace godwit::hub {

/// Allows so many events a second, and a burst of them after a quiet time. Starts full.
class TokenBucket {
 public:
  [[nodiscard]] bool take(Duration now, std::size_t per_second, std::size_t burst) {
    const double limit = static_cast<double>(burst);
    if (!is_used_)
      tokens_ = limit;
    else
      tokens_ = std::min(
          limit, tokens_ + static_cast<double>((now - refilled_).count()) * static_cast<double>(per_second) / 1000.0);
    is_used_ = true;
    refilled_ = now;
    if (tokens_ < 1) return false;
    tokens_ -= 1;
    return true;
  }
  /// Nothing is remembered that a fresh one would not know.
  [[nodiscard]] bool is_full(Duration now, std::size_t per_second, std::size_t burst) const {
    return !is_used_ ||
           tokens_ + static_cast<double>((now - refilled_).count()) * static_cast<double>(per_second) / 1000.0 >=
               static_cast<double>(burst);
  }

 private:
  double tokens_ = 0;
  Duration refilled_{};
  bool is_used_ = false;
};

class Admission {
 public:
  explicit Admission(const Limits& limits) : limits_(limits) {}

  enum class Verdict : std::uint8_t { welcome, too_many, too_many_of_address, too_fast, shut_out };
  /// Counts the connection when welcome; leave() takes it off again.
  [[nodiscard]] Verdict enter(const std::string& address, Duration now);
  void leave(const std::string& address);
  /// True when this failure shuts the address out (log it once).
  [[nodiscard]] bool note_bad_credentials(const std::string& address, Duration now);
  void sweep(Duration now);
  [[nodiscard]] std::size_t connections() const { return connections_; }

 private:
  struct Address {
    std::size_t connections = 0;
    std::size_t failures = 0;
    Duration window_end{};
    Duration shut_until{};
    TokenBucket connects{};
  };
  [[nodiscard]] bool is_forgettable(const Address& address, Duration now) const;
  Limits limits_;
  std::size_t connections_ = 0;
  std::unordered_map<std::string, Address> addresses_;
};

/// Counts events in windows: at most `limit` in each.
class WindowCounter {
 public:
  [[nodiscard]] bool take(Duration now, std::size_t limit, Duration window) {
    if (now >= end_) {
      end_ = now + window;
      count_ = 0;
    }
    return count_++ < limit;
  }

 private:
  Duration end_{};
  std::size_t count_ = 0;
};

}  // namespace godwit::hub
