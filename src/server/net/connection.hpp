// One accepted TLS connection: a non-blocking socket with OpenSSL on its descriptor. It holds no buffers of its own:
// wait until it is readable, then read into a buffer that all connections of the loop share.
// Belongs to one loop and is touched only on its thread.
#pragma once

#include <openssl/ssl.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/file.hpp"
#include "server/net/asio.hpp"
#include "server/net/tls.hpp"

namespace godwit::net {

enum class IoStatus : std::uint8_t {
  ok,          // `bytes` > 0 were moved
  want_read,   // nothing moved; call again after wait_readable()
  want_write,  // nothing moved; call again after wait_writable()
  closed,      // the peer ended the stream
  failed,      // broken: error_text() tells why; only close() is left
};
struct IoResult {
  IoStatus status = IoStatus::failed;
  std::size_t bytes = 0;
};

struct FreeTls {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};

/// A connection between two loops: its socket and its TLS, at rest. Dropping it closes the socket.
struct DetachedConnection {
  UniqueFd socket{};
  std::unique_ptr<SSL, FreeTls> tls{};
  std::string peer{};
  bool is_ip_6 = false;
};

class Connection {
 public:
  /// Takes the socket; makes it non-blocking with TCP_NODELAY.
  Connection(Tcp::socket socket, const TlsContext& tls);
  /// Goes on with what another Connection released, on the loop of `context`. One that cannot be taken is not open.
  Connection(asio::io_context& context, DetachedConnection detached);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Every callback below is called exactly once, from the loop, never from inside the call; after close() with an
  /// error or false. It must keep this connection alive (capture the owner's shared_ptr).
  using HandshakeDone = std::function<void(Result<void>)>;
  using Ready = std::function<void(bool is_ready)>;

  void start_handshake(HandshakeDone done);
  void wait_readable(Ready ready);
  void wait_writable(Ready ready);
  /// Calls back in a later turn of the loop, so that a busy connection lets others run.
  void yield(Ready ready);

  /// Never block. After `want_*` the call may be repeated with a moved or longer buffer (ACCEPT_MOVING_WRITE_BUFFER).
  [[nodiscard]] IoResult read_some(char* buffer, std::size_t size);
  [[nodiscard]] IoResult write_some(std::string_view bytes);
  /// After a read that gave something: whether the next one may give more without asking the kernel.
  [[nodiscard]] bool may_hold_bytes() const { return may_hold_bytes_ && ssl_ && SSL_has_pending(ssl_.get()) == 1; }

  /// Sends close_notify if that needs no waiting, then closes the socket. Idempotent; waits end with false.
  void close();
  /// As close(), but the peer gets RST and the kernel forgets unsent bytes.
  void abort();
  [[nodiscard]] bool is_open() const { return socket_.is_open(); }
  /// Hands socket and TLS out, for another loop; this object is then closed and keeps only peer(). Bytes that TLS has
  /// read travel along. Waits under way end with false. Not during a handshake.
  [[nodiscard]] DetachedConnection release();

  /// Address of the peer without port, as text; remembered at construction.
  [[nodiscard]] const std::string& peer() const { return peer_; }
  /// DER of the certificates the peer showed, its own first; empty when it showed none. After the handshake.
  [[nodiscard]] std::vector<std::string> peer_certificates() const;
  [[nodiscard]] const std::string& error_text() const { return error_text_; }
  [[nodiscard]] int native_handle() { return socket_.native_handle(); }
  [[nodiscard]] SSL* native_tls() const { return ssl_.get(); }

 private:
  void handshake_step(HandshakeDone done);
  [[nodiscard]] IoResult to_result(int returned, std::size_t bytes);

  Tcp::socket socket_;
  std::unique_ptr<SSL, FreeTls> ssl_;
  std::string peer_;
  std::string error_text_;
  // OpenSSL reads ahead: until a read found nothing more, whole records may wait inside it while the descriptor is
  // silent about them.
  bool may_hold_bytes_ = true;
  bool is_broken_ = false;  // after a fatal TLS error no close_notify may be sent
};

}  // namespace godwit::net
