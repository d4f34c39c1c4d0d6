// The client's side of TLS for a whole fleet: one context, small idle connections. A certificate that was verified once
// (chain, dates, host name) is recognised by its bytes afterwards, so that the load program spends its time on load;
// each handshake still proves that the peer has the key. One thread; outlives its connections.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/file.hpp"

namespace godwit::fleet {

struct FreeTls {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* tls) const { SSL_free(tls); }
  void operator()(X509* certificate) const { X509_free(certificate); }
};
using Certificate = std::unique_ptr<X509, FreeTls>;
using TlsHandle = std::unique_ptr<SSL, FreeTls>;

class TlsClient {
 public:
  /// `ca` is PEM; `host` is the name the certificate must carry. Without `resume` each handshake is a full one.
  /// Errors: not_found, tls_failed.
  [[nodiscard]] static Result<std::unique_ptr<TlsClient>> make(const Path& ca, std::string host, bool resume);

  /// A connection on `fd`, ready for SSL_do_handshake; nullptr without memory. The descriptor stays the caller's.
  [[nodiscard]] TlsHandle open(int fd);
  /// To be called once the handshake is done. Keeps the session for the next connection, with `resume`; lets go of the
  /// peer's certificates where they are those that an earlier connection holds: 5 KiB of each connection.
  void settle(SSL* tls);

 private:
  struct FreeSession {
    void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
  };
  TlsClient(SSL_CTX* context, std::string host, bool resume)
      : context_(context), host_(std::move(host)), resume_(resume) {}
  static int verify(X509_STORE_CTX* store, void* self);
  void remember(SSL* tls);
  void share_certificates(SSL* tls);

  std::unique_ptr<SSL_CTX, FreeTls> context_;
  std::string host_;
  bool resume_;
  std::vector<Certificate> known_;  // the peer's, its own first, as it showed them when they were verified
  Bytes known_leaf_;                // its bytes
  std::unique_ptr<SSL_SESSION, FreeSession> session_;
};

/// Empties OpenSSL's error queue of this thread; the first reason in words, "" without one.
[[nodiscard]] std::string take_tls_error();

}  // namespace godwit::fleet
