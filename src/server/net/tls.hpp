// The server's TLS: certificate, key and the options that keep an idle connection small. OpenSSL directly on the
// file descriptor, because asio::ssl keeps four times the memory per idle connection.
// A TlsContext is immutable after make_server() and may be shared by connections of several loops.
#pragma once

#include <openssl/ssl.h>

#include <memory>

#include "core/base/error.hpp"
#include "core/base/file.hpp"

namespace godwit::net {

enum class ClientCertificates : std::uint8_t {
  none,       // never asked for
  requested,  // asked for, not demanded, and not judged here: Connection::peer_certificates() tells what came
  /// As `requested`, but a peer that offers a protocol by ALPN is not asked. Browsers always do, and would put the
  /// question to a person; a device that comes for a WebSocket does not.
  requested_without_alpn,
};

class TlsContext {
 public:
  /// TLS 1.2 and 1.3, session tickets on, no renegotiation. `certificate_chain` is PEM, leaf first.
  /// Errors: not_found, tls_failed (not PEM, key does not belong to the certificate); the message names the file.
  /// Also ignores SIGPIPE for the process: OpenSSL writes to the descriptor without MSG_NOSIGNAL.
  /// A peer that showed a certificate is always asked for it again: its session is not resumed, since a ticket holds no
  /// intermediates and outlives a revocation.
  [[nodiscard]] static Result<TlsContext> make_server(const Path& certificate_chain, const Path& private_key,
                                                      ClientCertificates clients = ClientCertificates::none);

  [[nodiscard]] SSL_CTX* native() const { return context_.get(); }

 private:
  struct Free {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  };
  explicit TlsContext(SSL_CTX* context) : context_(context) {}
  std::unique_ptr<SSL_CTX, Free> context_;
};

/// Empties OpenSSL's error queue of this thread into one line, "" when it is empty.
[[nodiscard]] std::string take_tls_errors();

}  // namespace godwit::net
