#include "tools/fleet/tls_client.hpp"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

namespace godwit::fleet {

namespace {

/// What the peer sent. X509_cmp() would leave its own findings in every certificate that it is shown.
Bytes bytes_of(X509* certificate) {
  unsigned char* der = nullptr;
  const int size = i2d_X509(certificate, &der);
  Bytes bytes(reinterpret_cast<const char*>(der), size > 0 ? static_cast<std::size_t>(size) : 0);
  OPENSSL_free(der);
  return bytes;
}

}  // namespace

std::string take_tls_error() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return {};
  const char* reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : "error " + std::to_string(code);
}

Result<std::unique_ptr<TlsClient>> TlsClient::make(const Path& ca, std::string host, bool resume) {
  constexpr ByteCount kPemLimit = 1024 * 1024;
  if (auto readable = read_file(ca, kPemLimit); !readable) return with_context("CA certificate", readable.error());
  std::unique_ptr<TlsClient> client{new TlsClient(SSL_CTX_new(TLS_client_method()), std::move(host), resume)};
  SSL_CTX* context = client->context_.get();
  if (context == nullptr || SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1)
    return fail(Code::tls_failed, "cannot set TLS up: " + take_tls_error());
  if (SSL_CTX_load_verify_file(context, ca.c_str()) != 1)
    return fail(Code::tls_failed, "'" + ca.string() + "' is not a PEM certificate: " + take_tls_error());
  SSL_CTX_set_mode(context,
                   SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_cert_verify_callback(context, &TlsClient::verify, client.get());
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  return client;
}

int TlsClient::verify(X509_STORE_CTX* store, void* self) {
  auto& client = *static_cast<TlsClient*>(self);
  X509* leaf = X509_STORE_CTX_get0_cert(store);
  Bytes bytes = leaf != nullptr ? bytes_of(leaf) : Bytes{};
  if (!bytes.empty() && bytes == client.known_leaf_) {
    X509_STORE_CTX_set_error(store, X509_V_OK);
    return 1;
  }
  const int is_good = X509_verify_cert(store);
  if (is_good == 1) {
    client.known_leaf_ = std::move(bytes);
    client.known_.clear();
  }
  return is_good;
}

TlsHandle TlsClient::open(int fd) {
  TlsHandle tls{SSL_new(context_.get())};
  if (!tls || SSL_set_fd(tls.get(), fd) != 1 || SSL_set1_host(tls.get(), host_.c_str()) != 1) return nullptr;
  SSL_set_tlsext_host_name(tls.get(), host_.c_str());
  if (session_) SSL_set_session(tls.get(), session_.get());
  SSL_set_connect_state(tls.get());
  return tls;
}

void TlsClient::settle(SSL* tls) {
  remember(tls);
  share_certificates(tls);
}

/// OpenSSL keeps what the peer showed, parsed, for as long as the connection stands. No member of it tells of the
/// connection, and the chain that it gives is its own: the others of the chain are exchanged for those that are held
/// already. Its leaf cannot be; sharing the leaf's public key saves 2 KiB more and costs a third of a handshake.
void TlsClient::share_certificates(SSL* tls) {
  STACK_OF(X509)* chain = SSL_get_peer_cert_chain(tls);
  const int count = sk_X509_num(chain);
  if (count < 1 || bytes_of(sk_X509_value(chain, 0)) != known_leaf_) return;
  if (known_.empty()) {
    for (int i = 0; i < count; ++i)
      if (X509* one = sk_X509_value(chain, i); X509_up_ref(one) == 1) known_.emplace_back(one);
    return;
  }
  for (int i = 1; i < count && static_cast<std::size_t>(i) < known_.size(); ++i) {
    X509* held = known_[static_cast<std::size_t>(i)].get();
    X509* own = sk_X509_value(chain, i);
    if (own == held || bytes_of(own) != bytes_of(held) || X509_up_ref(held) != 1) continue;
    sk_X509_set(chain, i, held);
    X509_free(own);
  }
}

void TlsClient::remember(SSL* tls) {
  if (!resume_) return;
  if (SSL_SESSION* session = SSL_get1_session(tls); session != nullptr) {
    if (SSL_SESSION_is_resumable(session) == 1)
      session_.reset(session);
    else
      SSL_SESSION_free(session);
  }
}

}  // namespace godwit::fleet
