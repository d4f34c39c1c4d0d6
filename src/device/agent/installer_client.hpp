// The agent's side of the socket to the installer: one connection for each request, waiting for an installer that is
// not there yet, progress on the way, and a cancel (on a connection of its own) when the effect is asked to stop.
// Blocking; belongs to the worker thread.
#pragma once

#include <functional>
#include <stop_token>

#include "core/base/clock.hpp"
#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "core/base/log.hpp"
#include "device/agent/pauses.hpp"
#include "device/installer/messages.hpp"

namespace godwit::agent {

struct InstallerCall {
  std::string workflow_id{};  // what a stop cancels; "" when a stop only ends the wait for a connection
  std::stop_token stop{};
  std::function<void(std::uint64_t done, std::uint64_t total)> on_progress{};
  Duration patience{};  // for an installer that is not there
};

class Installer {
 public:
  virtual ~Installer() = default;
  /// Errors: unavailable (it went away after it had taken the request), timed_out (not there within the patience, or
  /// the act took longer than the limit), cancelled (before the request was sent), and what the installer refuses, with
  /// its own code.
  [[nodiscard]] virtual Result<installer::ActOutcome> ask(const installer::Request& request,
                                                          const InstallerCall& call) = 0;
};

class SocketInstaller final : public Installer {
 public:
  struct Settings {
    Path socket;
    Duration act_time_limit = std::chrono::hours(9);
    Duration cancel_limit = std::chrono::minutes(2);  // from the cancel to the outcome
  };
  SocketInstaller(Settings settings, const Clock& clock, Pauses& pauses, Log& log);
  [[nodiscard]] Result<installer::ActOutcome> ask(const installer::Request& request,
                                                  const InstallerCall& call) override;
  /// This process ends: calls under way return with `unavailable`, and the installer goes on undisturbed. From any
  /// thread.
  void abandon();

 private:
  [[nodiscard]] Result<UniqueFd> connect(const InstallerCall& call);
  [[nodiscard]] Result<installer::ActOutcome> follow(int fd, const InstallerCall& call);
  void cancel(const std::string& workflow_id);

  Settings settings_;
  const Clock& clock_;
  Pauses& pauses_;
  Log& log_;
  UniqueFd abandon_fd_;
};

}  // namespace godwit::agent
