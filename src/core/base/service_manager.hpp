// Telling a service manager how this process is: ready, alive, ending. The words and the socket are those of
// sd_notify(3); a process that nobody waits for says nothing. No library for one datagram: the agent's idle memory is
// promised. Any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.hpp"
#include "core/base/error.hpp"

namespace godwit {

class ServiceManager {
 public:
  /// From NOTIFY_SOCKET and WATCHDOG_USEC, which are then removed so that no child speaks for us.
  [[nodiscard]] static ServiceManager from_environment();
  /// For a process that starts itself anew: it is the same one to its manager.
  void put_back() const;

  void ready() const { say("READY=1"); }
  void stopping() const { say("STOPPING=1"); }
  /// One line that `systemctl status` shows.
  void status(std::string_view line) const;
  void alive() const { say("WATCHDOG=1"); }
  /// How often alive() is due: half the time after which the manager loses patience; nothing: it does not wait.
  [[nodiscard]] std::optional<Duration> watchdog_pause() const { return watchdog_pause_; }

 private:
  void say(std::string_view message) const;
  std::string socket_;
  std::string watchdog_time_;
  std::optional<Duration> watchdog_pause_;
};

/// Whether systemd runs this machine (sd_booted(3)).
[[nodiscard]] bool is_systemd_here();
/// Runs systemctl with these words and waits for its end. Errors: unavailable with what it said.
[[nodiscard]] Result<void> systemctl(const std::vector<std::string>& words);

}  // namespace godwit
