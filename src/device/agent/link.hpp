// The link: a thread that keeps one connection to the hub, makes and renews its access token or takes a renewed
// certificate into use, waits and comes back when the connection breaks. It carries values; it decides nothing about
// updates. start() and stop() from one thread; send_patch() from any thread. Events come on the link's own thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <variant>

#include "core/base/clock.hpp"
#include "core/base/file.hpp"
#include "core/base/log.hpp"
#include "core/base/random.hpp"
#include "device/agent/client_certificate.hpp"
#include "device/agent/dialer.hpp"
#include "device/agent/hub_session.hpp"
#include "device/agent/provisioner.hpp"
#include "device/agent/reconnect.hpp"
#include "device/agent/reporter.hpp"
#include "device/agent/wakeable.hpp"

namespace godwit::agent {

struct LinkSettings {
  TlsTarget target;  // port: that of MQTT without WebSocket
  DialSettings dial{};
  std::optional<ProvisioningSettings> provisioning{};  // says then what target.host, session and key_file are
  SessionSettings session;
  Path key_file;  // base64 of the device's key, read anew for every token; unused with target.certificate
  Duration token_lifetime = std::chrono::hours(1);
  Duration certificate_check = std::chrono::seconds(30);  // how often the files are looked at for a renewal
  ReconnectSettings reconnect;
  Duration stable_after = std::chrono::minutes(1);  // a connection that stood so long starts the waits anew
};

struct LinkOnline {};
struct LinkOffline {
  std::string reason;
};
using LinkEvent = std::variant<LinkOnline, LinkOffline, SessionDesired, SessionAnswer>;

class Link final : public PatchSender {
 public:
  using Sink = std::function<void(LinkEvent)>;  // must not call back into the link

  Link(LinkSettings settings, Sink sink, const Clock& clock, Random& random, Log& log);
  ~Link() override;
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  [[nodiscard]] Result<void> start();
  /// Says good-bye to the hub and ends the thread. Waits at most as long as a name look-up takes.
  void stop();
  void send_patch(std::uint64_t token, std::string patch) override;
  /// Reads the twin once more; without a connection the wait before the next try ends. Any thread.
  void check();

 private:
  struct Command {
    std::uint64_t token;
    std::string patch;
  };
  enum class Ended : std::uint8_t { renew, stop };

  void run(std::stop_token stop);
  [[nodiscard]] Result<Ended> one_try(const std::stop_token& stop);
  void belong_to(const Assignment& assignment);
  [[nodiscard]] Result<Ended> one_connection(Way way, const std::stop_token& stop);
  void after_failure(const Error& error, std::uint32_t failures, const std::stop_token& stop);
  /// Ends early when somebody asks for a try, or when the certificate was renewed meanwhile.
  void pause_until(Duration until, const std::stop_token& stop);
  /// "; ...": that the device's own certificate has ended, if it has. "" else.
  [[nodiscard]] std::string words_of_end() const;
  /// When the credential of a connection must be replaced by a new connection.
  struct Renewal {
    Duration at{};         // of the token; with a certificate: when the files are looked at next
    Duration anyway_at{};  // even if something waits for an answer
    std::string files{};   // fingerprint of the certificate in use; "" with a token
    std::optional<CertificateLife> life{};
    Duration notice_at{};  // when its end is told next
  };
  [[nodiscard]] Result<Renewal> plan_renewal(Duration begun);
  /// True once the connection should end for a new credential. Looks at the certificate's files when that is due.
  [[nodiscard]] bool is_renewal_due(Renewal& renewal, const HubSession& session, Duration now) const;
  void tell_of_end(Renewal& renewal, Duration now) const;
  [[nodiscard]] Result<Ended> converse(HubConnection& connection, Way way, HubSession& session, Renewal renewal,
                                       const std::stop_token& stop);
  [[nodiscard]] Result<void> move_bytes(HubConnection& connection, HubSession& session, std::string& pending);
  void deliver(HubSession& session);
  /// Empty when a certificate speaks for the device.
  [[nodiscard]] Result<Secret> make_token() const;
  void take_commands(HubSession& session);
  void drop_commands();
  [[nodiscard]] bool is_check_wanted();

  LinkSettings settings_;
  Sink sink_;
  const Clock& clock_;
  Random& random_;
  Log& log_;
  Wakeable waiter_;
  std::optional<Dialer> dialer_;            // link thread only, as the next
  std::optional<Provisioner> provisioner_;  // where the hub is not configured
  std::mutex mutex_;
  std::deque<Command> commands_;
  bool must_check_ = false;
  std::string tried_files_;  // fingerprint of the certificate that was tried last; link thread only, as the next
  bool was_online_ = false;
  Duration online_since_{};
  std::jthread thread_;
};

}  // namespace godwit::agent
