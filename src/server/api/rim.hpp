// What the connections of one server share. Private to server.cpp and connection*.cpp; loop thread only, except the
// references that say otherwise in their own headers.
#pragma once

#include <atomic>
#include <unordered_map>
#include <vector>

#include "server/api/http_parser.hpp"
#include "server/api/loop_door.hpp"
#include "server/api/server.hpp"
#include "server/net/acceptor.hpp"

namespace godwit::api {

class HttpConnection;

inline constexpr std::size_t kReadBuffer = 64 * 1024;

struct Rim {
  net::Loop& loop;
  const net::TlsContext& tls;
  Services& services;
  Access& access;
  const std::vector<Tenant> further;  // beside the two above
  WorkerPool& workers;
  const Router router;
  const ServerLimits limits;
  const WebSocketDoor websockets;
  Throttle throttle;

  net::Acceptor acceptor;
  net::asio::steady_timer sweep_timer;
  std::unordered_map<HttpConnection*, std::shared_ptr<HttpConnection>> connections{};
  std::unordered_map<std::string, std::size_t> by_address{};
  std::vector<char> buffer = std::vector<char>(kReadBuffer);  // filled and emptied within one turn of the loop
  std::atomic<std::size_t> count = 0;
  bool is_stopping = false;

  // What comes late comes through here, also when the server has gone.
  std::shared_ptr<LoopDoor> door = std::make_shared<LoopDoor>(loop);
  std::shared_ptr<std::atomic<std::size_t>> deferred = std::make_shared<std::atomic<std::size_t>>(0);
  std::size_t event_streams = 0;

  /// Whose request this is. One that names no instance, or none that is here, belongs to the first.
  [[nodiscard]] Tenant tenant_of(const Match& match, Family family, const Head& head) const;

  /// Called once by each connection when it closes.
  void forget(HttpConnection& connection);
};

}  // namespace godwit::api
