// Listens on one address and hands accepted sockets out. When the process is out of descriptors it pauses and tries
// again, so that connections which are there go on. Belongs to one loop; open() and close() before start or on its
// thread; destroyed after that loop has stopped.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "core/base/log.hpp"
#include "server/net/asio.hpp"

namespace godwit::net {

class Acceptor {
 public:
  using Accepted = std::function<void(Tcp::socket socket)>;

  Acceptor(asio::io_context& context, Log& log, Accepted accepted);

  /// `address` is an IP literal ("127.0.0.1", "::", "0.0.0.0"); port 0 takes any free one.
  /// Errors: invalid_argument (no IP literal), io_failed with address and port (in use, not ours).
  [[nodiscard]] Result<void> open(const std::string& address, std::uint16_t port);
  /// The port in use, 0 before open().
  [[nodiscard]] std::uint16_t port() const { return port_; }
  /// While held, newcomers wait in the kernel's queue; clients that find it full try again by themselves. Idempotent.
  void hold() { is_held_ = true; }
  void release();
  /// After it no more sockets are handed out.
  void close();

 private:
  void accept_next();
  void pause(const ErrorCode& why);

  Tcp::acceptor acceptor_;
  asio::steady_timer retry_;
  Log& log_;
  Accepted accepted_;
  std::uint16_t port_ = 0;
  bool is_held_ = false;
  bool is_accepting_ = false;
};

}  // namespace godwit::net
