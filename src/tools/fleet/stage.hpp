// What every run stands on: the fleet with its TLS, the time and server use of a stretch of work. One thread.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <optional>

#include "tools/fleet/runs.hpp"
#include "tools/fleet/server_use.hpp"

namespace godwit::fleet {

[[nodiscard]] double rounded(double value, double unit);
[[nodiscard]] double seconds_since(Steady::time_point begun);
[[nodiscard]] json::Object print_counts(const std::map<std::string, std::uint64_t>& counts);

class Stretch {
 public:
  explicit Stretch(pid_t server) : server_(server), begun_(Steady::now()), before_(look()) {}
  /// Adds seconds, rate, and the server's share of `count` pieces of work.
  void print(json::Object& into, std::uint64_t count) const;

 private:
  [[nodiscard]] std::optional<ServerUse> look() const;
  pid_t server_;
  Steady::time_point begun_;
  std::optional<ServerUse> before_;
};

/// A fleet with all that it stands on, in the order that destruction needs.
struct Stage {
  RunOptions options;
  const Tell& tell;
  const std::atomic<bool>& stop;
  SeededRandom random;
  std::unique_ptr<TlsClient> tls{};
  std::unique_ptr<Fleet> fleet{};

  Stage(RunOptions run, const Tell& to, const std::atomic<bool>& when)
      : options(std::move(run)), tell(to), stop(when), random(options.seed) {}
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  [[nodiscard]] Result<void> open();
  /// Connects the first `count` devices. Errors: unavailable when they do not become ready in time.
  [[nodiscard]] Result<void> connect(std::size_t count);
  /// Connects all and says so.
  [[nodiscard]] Result<void> connect_all();
  void print(json::Object& figures) const;
};

}  // namespace godwit::fleet
