// The server's TLS: certificate, key and the options that keep an idle connection small. OpenSSL directly on the
// file descriptor, because asio::ssl keeps four times the memory per idle connection.
// A TlsContext is immutable after make_server() and may be shared by connections of several loops.
#pragma once

#include <openssl/ssl.h>

#include <memory>

#include "core/base/error.hpp"
#include "core/base/file.hpp"

namespace godwit::net {

class TlsContext {
 public:
  /// TLS 1.2 and 1.3, session tickets on, no renegotiation. `certificate_chain` is PEM, leaf first.
  /// Errors: not_found, tls_failed (not PEM, key does not belong to the certificate); the message names the file.
  /// Also ignores SIGPIPE for the process: OpenSSL writes to the descriptor without MSG_NOSIGNAL.
  [[nodiscard]] static Result<TlsContext> make_server(const Path& certificate_chain, const Path& private_key);

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
