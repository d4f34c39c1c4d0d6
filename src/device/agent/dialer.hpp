// Opens connections to a hub or a provisioning service: by which way, through which proxy, under which time its
// certificate is judged. Used by one thread; the owner's Wakeable cuts waits short.
#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "core/base/log.hpp"
#include "device/agent/hub_connection.hpp"
#include "device/agent/proxy.hpp"
#include "device/agent/transport.hpp"
#include "device/agent/trusted_time.hpp"
#include "device/agent/wakeable.hpp"

namespace godwit::agent {

struct DialSettings {
  std::optional<Way> fixed = Way::mqtt;  // nullopt: whichever works
  std::string websocket_port = "443";
  ProxyRules proxy{};
  Path memory_file{};                                   // which way worked; "" keeps nothing
  Path time_file{};                                     // TrustedTime's; "" keeps nothing
  Duration connect_timeout = std::chrono::seconds(30);  // for each way
};

class Dialer {
 public:
  Dialer(DialSettings settings, const Clock& clock, const Wakeable& waiter, Log& log);

  /// Connects to `target`, whose port is that of Way::mqtt. Errors: HubConnection's, timed_out, cancelled, and what
  /// proxy_for() says.
  [[nodiscard]] Result<std::unique_ptr<HubConnection>> dial(TlsTarget target, Way way, const std::stop_token& stop);
  /// To be called within reach() when the other side spoke MQTT, be it a refusal.
  void answered(Way way);
  /// Calls `attempt(Way)` and, when the first way led nowhere and the settings allow it, calls it again with the other.
  template <class Attempt>
  [[nodiscard]] auto reach(const Attempt& attempt);

  /// Asks the server of `target` for the time, by HTTPS on the WebSocket's port, at most once an hour. Best
  /// effort; takes as long as one dial().
  void ask_time(TlsTarget target, const std::stop_token& stop);
  [[nodiscard]] const TrustedTime& time() const { return time_; }
  /// When a token that is made now should expire, in seconds since 1970. A device that does not know the time makes
  /// tokens that live a year longer: they are seen by the hub alone, and the hub is what may not find them expired.
  [[nodiscard]] std::int64_t token_expiry(Duration lifetime) const;

 private:
  [[nodiscard]] Result<TlsTarget> prepared(TlsTarget target) const;
  void learn(const TlsConnection& connection, std::optional<WallTime> date);
  template <class Connection>
  [[nodiscard]] Result<void> proceed(Connection& connection, const std::string& host, const std::stop_token& stop);
  [[nodiscard]] Result<std::string> fetch_head(TlsConnection& connection, const std::string& request, Duration until,
                                               const std::stop_token& stop);

  DialSettings settings_;
  const Clock& clock_;
  const Wakeable& waiter_;
  Log& log_;
  WayChoice choice_;
  TrustedTime time_;
  bool was_answered_ = false;
  std::optional<Duration> time_asked_at_;
};

template <class Attempt>
auto Dialer::reach(const Attempt& attempt) {
  was_answered_ = false;
  const Way first = choice_.first();
  auto ended = attempt(first);
  if (ended || was_answered_ || ended.error().code == Code::cancelled) return ended;
  const auto second = choice_.second();
  choice_.failed();
  if (!second) return ended;
  auto again = attempt(*second);
  if (again || was_answered_ || again.error().message == ended.error().message) return again;
  // The first way's failure is what the waits go by; a person wants to know both.
  ended.error().message += "; by " + std::string(name_of(*second)) + ": " + again.error().message;
  return ended;
}

}  // namespace godwit::agent
