// The rim: HTTPS/1.1 for operators and for payload downloads. One loop owns the sockets; a request is read whole
// (bounded) and its handler runs on the worker pool, so a slow client never holds a worker and a slow disk never the
// loop. Construct, open() and stop() from one thread that is not the loop's; everything else happens on the loop.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "server/api/access.hpp"
#include "server/api/router.hpp"
#include "server/api/services.hpp"
#include "server/api/throttle.hpp"
#include "server/api/worker_pool.hpp"
#include "server/hub/hub.hpp"
#include "server/net/loop.hpp"
#include "server/net/tls.hpp"

namespace godwit::api {

/// Every wait and every size that a stranger could stretch.
struct ServerLimits {
  Duration handshake_time = std::chrono::seconds(10);
  Duration head_time = std::chrono::seconds(15);   // from the first byte of a request to the end of its head
  Duration idle_time = std::chrono::seconds(75);   // between two requests
  Duration body_time = std::chrono::seconds(60);   // a whole body; for an upload, each chunk of it
  Duration write_time = std::chrono::seconds(60);  // without any progress of the answer
  Duration drain_time = std::chrono::seconds(2);   // reading what a refused client still sends
  ByteCount body_bytes = 4 * 1024 * 1024;
  Duration deferred_time = std::chrono::seconds(630);  // for an answer that comes later; the longest wait for a device
                                                       // is 600 s, so its own answer comes first
  Duration heartbeat_time = std::chrono::seconds(15);  // silence on a stream of events before a comment is sent
  Duration stream_time = std::chrono::hours(1);        // of one stream: then the caller has to show its token again
  std::size_t deferred = 1024;                         // requests that wait for an answer from elsewhere
  std::size_t event_streams = 256;
  std::size_t connections = 4096;
  std::size_t connections_per_address = 512;
  ThrottleLimits throttle{};
};

/// Where a connection goes that a device asked to become a WebSocket for MQTT; called on the loop, returns at once.
/// Without one such requests are refused.
using WebSocketDoor = std::function<void(hub::WebSocketArrival arrival)>;

/// One instance of the service behind the rim: what its handlers use, and who may.
struct Tenant {
  Services* services = nullptr;
  Access* access = nullptr;
};

struct Rim;

/// `services` and `access` are those of the first instance; `further` ones are chosen by the path, by the Host header
/// (hub names, in the hub's own families) or by the header X-Godwit-Instance there. All outlive the server.
class Server {
 public:
  Server(net::Loop& loop, const net::TlsContext& tls, Services& services, Access& access, WorkerPool& workers,
         Router router, ServerLimits limits = {}, WebSocketDoor websockets = {}, std::vector<Tenant> further = {});
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Listens and serves. Errors: as net::Acceptor::open. The loop must have been started.
  [[nodiscard]] Result<void> open(const std::string& address, std::uint16_t port);
  [[nodiscard]] std::uint16_t port() const;
  /// Stops accepting, ends streams of events, lets running requests end for at most `grace`, answers what is still
  /// deferred with 503, then closes what is left. Idempotent.
  void stop(Duration grace);
  [[nodiscard]] std::size_t connections() const;
  /// Requests whose responders are still held by somebody.
  [[nodiscard]] std::size_t deferred() const;

 private:
  std::unique_ptr<Rim> rim_;
};

/// The whole surface: route tables, streams, health. `has_open_metrics`: /metrics needs no token.
[[nodiscard]] Router make_router(bool has_open_metrics = false);

}  // namespace godwit::api
