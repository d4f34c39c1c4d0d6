#include "server/net/connection.hpp"

#include <openssl/err.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace godwit::net {
namespace {

std::string peer_address(const Tcp::socket& socket) {
  ErrorCode ec;
  const Tcp::endpoint endpoint = socket.remote_endpoint(ec);
  if (ec) return "unknown";
  asio::ip::address address = endpoint.address();
  if (address.is_v6() && address.to_v6().is_v4_mapped())
    address = asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
  return address.to_string();
}

void append_der(std::vector<std::string>& list, const X509* certificate) {
  unsigned char* bytes = nullptr;
  const int size = i2d_X509(certificate, &bytes);
  if (size <= 0) return ERR_clear_error();
  list.emplace_back(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
  OPENSSL_free(bytes);
}

}  // namespace

Connection::Connection(Tcp::socket socket, const TlsContext& tls)
    : socket_(std::move(socket)), ssl_(SSL_new(tls.native())), peer_(peer_address(socket_)) {
  ErrorCode ignored;
  socket_.non_blocking(true, ignored);
  socket_.native_non_blocking(true, ignored);
  socket_.set_option(Tcp::no_delay(true), ignored);
  if (!ssl_ || SSL_set_fd(ssl_.get(), socket_.native_handle()) != 1) {
    is_broken_ = true;
    error_text_ = "no memory for TLS";
    return;
  }
  SSL_set_accept_state(ssl_.get());
}

Connection::Connection(asio::io_context& context, DetachedConnection detached)
    : socket_(context), ssl_(std::move(detached.tls)), peer_(std::move(detached.peer)) {
  ErrorCode ec;
  socket_.assign(detached.is_ip_6 ? Tcp::v6() : Tcp::v4(), detached.socket.get(), ec);
  if (!ec) detached.socket.release();
  if (ec || !ssl_) {
    is_broken_ = true;
    error_text_ = "the connection could not be taken over: " + ec.message();
    return;
  }
  socket_.non_blocking(true, ec);
  socket_.native_non_blocking(true, ec);
}

Connection::~Connection() { close(); }

DetachedConnection Connection::release() {
  ErrorCode ec;
  DetachedConnection detached{.peer = peer_};
  const Tcp::endpoint endpoint = socket_.local_endpoint(ec);
  detached.is_ip_6 = !ec && endpoint.protocol() == Tcp::v6();
  const int descriptor = socket_.release(ec);  // the descriptor stays the same, so TLS finds it
  if (ec || is_broken_) {
    close();
    return detached;
  }
  detached.socket = UniqueFd(descriptor);
  detached.tls = std::move(ssl_);
  return detached;
}

void Connection::start_handshake(HandshakeDone done) {
  asio::post(socket_.get_executor(), [this, done = std::move(done)]() mutable { handshake_step(std::move(done)); });
}

void Connection::handshake_step(HandshakeDone done) {
  if (is_broken_ || !is_open())
    return done(fail(Code::tls_failed, error_text_.empty() ? "the connection was closed" : error_text_));
  ERR_clear_error();
  const int returned = SSL_do_handshake(ssl_.get());
  if (returned == 1) return done({});
  const IoResult result = to_result(returned, 0);
  if (result.status == IoStatus::closed) return done(fail(Code::network_failed, "the peer closed the connection"));
  if (result.status != IoStatus::want_read && result.status != IoStatus::want_write)
    return done(fail(Code::tls_failed, error_text_));
  socket_.async_wait(result.status == IoStatus::want_read ? Tcp::socket::wait_read : Tcp::socket::wait_write,
                     [this, done = std::move(done)](const ErrorCode& ec) mutable {
                       if (ec) return done(fail(Code::cancelled, "the connection was closed"));
                       handshake_step(std::move(done));
                     });
}

void Connection::wait_readable(Ready ready) {
  if (may_hold_bytes()) return yield(std::move(ready));
  socket_.async_wait(Tcp::socket::wait_read,
                     [this, ready = std::move(ready)](const ErrorCode& ec) { ready(!ec && is_open()); });
}

void Connection::wait_writable(Ready ready) {
  socket_.async_wait(Tcp::socket::wait_write,
                     [this, ready = std::move(ready)](const ErrorCode& ec) { ready(!ec && is_open()); });
}

void Connection::yield(Ready ready) {
  asio::post(socket_.get_executor(), [this, ready = std::move(ready)] { ready(is_open()); });
}

IoResult Connection::read_some(char* buffer, std::size_t size) {
  if (is_broken_ || !is_open()) return {.status = IoStatus::failed};
  ERR_clear_error();
  std::size_t bytes = 0;
  const int returned = SSL_read_ex(ssl_.get(), buffer, size, &bytes);
  const IoResult result = to_result(returned, bytes);
  may_hold_bytes_ = result.status == IoStatus::ok;
  return result;
}

IoResult Connection::write_some(std::string_view bytes) {
  if (is_broken_ || !is_open()) return {.status = IoStatus::failed};
  ERR_clear_error();
  std::size_t written = 0;
  const int returned = SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &written);
  return to_result(returned, written);
}

IoResult Connection::to_result(int returned, std::size_t bytes) {
  if (returned == 1) return {.status = IoStatus::ok, .bytes = bytes};
  const int error_number = errno;
  switch (SSL_get_error(ssl_.get(), returned)) {
    case SSL_ERROR_WANT_READ: return {.status = IoStatus::want_read};
    case SSL_ERROR_WANT_WRITE: return {.status = IoStatus::want_write};
    case SSL_ERROR_ZERO_RETURN: return {.status = IoStatus::closed};
    case SSL_ERROR_SYSCALL:
      is_broken_ = true;
      if (error_number == 0 || error_number == ECONNRESET || error_number == EPIPE) return {.status = IoStatus::closed};
      error_text_ = std::strerror(error_number);
      return {.status = IoStatus::failed};
    default: break;
  }
  is_broken_ = true;
  error_text_ = take_tls_errors();
  if (error_text_.empty()) error_text_ = "TLS failed without a reason";
  return {.status = IoStatus::failed};
}

std::vector<std::string> Connection::peer_certificates() const {
  std::vector<std::string> list;
  const X509* own = SSL_get0_peer_certificate(ssl_.get());
  if (own == nullptr) return list;
  append_der(list, own);
  const auto* others = SSL_get_peer_cert_chain(ssl_.get());  // for a server without the peer's own
  for (int i = 0; i < sk_X509_num(others); ++i) append_der(list, sk_X509_value(others, i));
  return list;
}

void Connection::close() {
  if (!is_open()) return;
  // One try: a peer that does not read must not hold us.
  if (!is_broken_ && SSL_is_init_finished(ssl_.get()) == 1) {
    ERR_clear_error();
    SSL_shutdown(ssl_.get());
    ERR_clear_error();
  }
  ErrorCode ignored;
  socket_.shutdown(Tcp::socket::shutdown_send, ignored);
  socket_.close(ignored);
}

void Connection::abort() {
  if (!is_open()) return;
  ErrorCode ignored;
  socket_.set_option(asio::socket_base::linger(true, 0), ignored);
  socket_.close(ignored);
}

}  // namespace godwit::net
