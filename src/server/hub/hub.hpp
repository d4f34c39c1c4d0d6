// The hub: the part of the service that devices talk to. It listens for MQTT 3.1.1 over TLS, knows who is connected,
// answers twins and pushes desired changes. It stores and transports; what a report means is the observer's business.
// All sockets live on one loop of its own. The public functions are safe from any thread unless said otherwise.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/clock.hpp"
#include "core/base/log.hpp"
#include "server/hub/limits.hpp"
#include "server/hub/ports.hpp"
#include "server/hub/registry.hpp"
#include "server/hub/telemetry.hpp"
#include "server/net/connection.hpp"
#include "server/net/tls.hpp"
#include "server/store/store.hpp"

namespace godwit::hub {

struct Options {
  std::string address = "0.0.0.0";
  std::uint16_t port = 8883;  // 0: any free one
  bool listens = true;        // false: devices come from another hub of the process, which listens at `port`
  std::vector<std::string>
      names{};                 // hub names accepted in user names and token scopes; "<name>:<port>" is accepted too
  std::string id_scope{};      // of provisioning; "": follows from the first name
  std::string assigned_hub{};  // what provisioned devices are told to dial; "": the first name
  Limits limits{};
  TelemetryListener* telemetry = nullptr;  // outlives the hub
  twin::Limits twin_limits{};
};

/// A snapshot of what was counted since start(); `connections` and `devices` are present values.
struct Counters {
  std::uint64_t connections = 0;  // sockets, whatever they are up to
  std::uint64_t devices = 0;      // behind CONNACK 0
  std::uint64_t connects = 0;
  std::uint64_t refused = 0;
  std::array<std::uint64_t, 6> refused_by_code{};  // of CONNACK: 1 protocol, 2 id, 3 unavailable, 4 and 5 who it is
  std::uint64_t turned_away = 0;                   // at accept: limits of connections, addresses that were shut out
  std::uint64_t takeovers = 0;
  std::uint64_t disconnects = 0;
  std::uint64_t telemetry = 0;
  std::uint64_t twin_gets = 0;
  std::uint64_t reported_patches = 0;
  std::uint64_t desired_pushes = 0;
  std::uint64_t registrations = 0;  // answers "assigned" to devices that asked to be provisioned
  std::uint64_t method_calls = 0;
  std::uint64_t method_answers = 0;
  std::uint64_t stray_answers = 0;  // late, or to a call of somebody else
  std::uint64_t messages_sent = 0;  // to devices, repetitions included
  std::uint64_t messages_completed = 0;
};

/// A connection of the HTTPS port whose request to become a WebSocket for MQTT was found right and is not answered yet.
struct WebSocketArrival {
  net::DetachedConnection connection;
  std::string welcome{};      // the answer that makes it a WebSocket
  std::string refusal{};      // the answer when the hub takes no more connections, or none from that address
  std::string first_bytes{};  // read behind the request
};

class HubCore;

class Hub {
 public:
  /// References outlive the hub. Jobs of others that use registry() must have ended in the store before the hub is
  /// destroyed.
  Hub(Options options, store::Store& store, TwinObserver& observer, const net::TlsContext& tls, Clock& clock, Log& log);
  ~Hub();
  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;

  /// Marks everybody disconnected, then listens. Once. Errors: invalid_argument, io_failed, database_failed.
  [[nodiscard]] Result<void> start();
  /// Ends all connections, waits for its own writes, ends the loop. Idempotent. Not from a store job or the hub's loop.
  void stop();
  /// Takes a device that came by WebSocket; limits and shut-outs are those of the hub's own port. Returns at once.
  void adopt(WebSocketArrival arrival);

  /// Whether a device with this user name in CONNECT means this hub: by its name, or by its id scope when it wants to
  /// be provisioned. Any thread, after start().
  [[nodiscard]] bool is_meant_by(std::string_view user_name) const;
  /// Devices that mean another hub are passed on to the one that `find` names; it is asked on this hub's loop, with the
  /// user name as it came, and gives nullptr for nobody. Before start(); the others outlive this hub's stop().
  using FindHub = std::function<Hub*(std::string_view user_name)>;
  void pass_on_with(FindHub find);

  /// The port in use, after start().
  [[nodiscard]] std::uint16_t port() const;
  /// Identities and twins as operators and the service change them; its pushes go through this hub.
  [[nodiscard]] Registry& registry();
  /// Messages that wait for devices, as operators send and purge them.
  [[nodiscard]] const CloudMessages& messages() const;
  /// Sends a desired patch if the device is connected and subscribed. Returns at once.
  void push_desired(const IdentityId& id, std::string payload, std::uint64_t version);
  /// Calls a method of a device or module. Returns at once.
  void invoke(MethodCall call, MethodDone done);
  /// Ends the live connection of a device, if there is one. Returns at once.
  void drop(const IdentityId& id, std::string reason);
  /// Ends live connections whose certificate no longer holds, after authorities or revocation lists changed. Returns at
  /// once.
  void recheck_certificates();
  [[nodiscard]] Counters counters() const;

 private:
  std::unique_ptr<HubCore> core_;
};

}  // namespace godwit::hub
