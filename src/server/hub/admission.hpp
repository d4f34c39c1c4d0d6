// Who may come in at all, by address and by identity: counts and windows, no sockets. Bounded memory.
// Belongs to the hub's loop.
#pragma once

#include <string>
#include <unordered_map>

#include "server/hub/limits.hpp"

namespace godwit::hub {

class Admission {
 public:
  explicit Admission(const Limits& limits) : limits_(limits) {}

  enum class Verdict : std::uint8_t { welcome, too_many, too_many_of_address, shut_out };
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
  };
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
