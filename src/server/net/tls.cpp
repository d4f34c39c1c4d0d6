#include "server/net/tls.hpp"

#include <openssl/err.h>

#include <csignal>

namespace godwit::net {
namespace {

Error tls_error(const std::string& what) {
  const std::string why = take_tls_errors();
  return Error{Code::tls_failed, why.empty() ? what : what + ": " + why};
}

constexpr long kClientChainBytes = 32 * 1024;  // of all certificates that a peer shows

/// Possession of the key is proved by the handshake; whose key it is the caller decides, with words for a refusal.
int accept_any_certificate(X509_STORE_CTX* context, void*) {
  X509_STORE_CTX_set_error(context, X509_V_OK);
  if (auto* ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(context, SSL_get_ex_data_X509_STORE_CTX_idx())))
    SSL_set_num_tickets(ssl, 0);  // TLS 1.3 would send one that judge_ticket() refuses
  return 1;
}

SSL_TICKET_RETURN judge_ticket(SSL*, SSL_SESSION* session, const unsigned char*, size_t, SSL_TICKET_STATUS status,
                               void*) {
  switch (status) {
    case SSL_TICKET_SUCCESS:
    case SSL_TICKET_SUCCESS_RENEW:
      if (SSL_SESSION_get0_peer(session) != nullptr) return SSL_TICKET_RETURN_IGNORE_RENEW;
      return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
    case SSL_TICKET_EMPTY:
    case SSL_TICKET_NO_DECRYPT: return SSL_TICKET_RETURN_IGNORE_RENEW;
    default: return SSL_TICKET_RETURN_ABORT;
  }
}

int spare_who_offers_alpn(SSL* ssl, int*, void*) {
  const unsigned char* offer = nullptr;
  std::size_t size = 0;
  if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &offer, &size) == 1)
    SSL_set_verify(ssl, SSL_VERIFY_NONE, nullptr);
  return SSL_CLIENT_HELLO_SUCCESS;
}

bool request_client_certificates(SSL_CTX* context) {
  constexpr unsigned char kSessionContext[] = "godwit";  // OpenSSL resumes nothing without one when it asks for peers
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_cert_verify_callback(context, accept_any_certificate, nullptr);
  SSL_CTX_set_max_cert_list(context, kClientChainBytes);
  return SSL_CTX_set_session_id_context(context, kSessionContext, sizeof kSessionContext - 1) == 1 &&
         SSL_CTX_set_session_ticket_cb(context, nullptr, judge_ticket, nullptr) == 1;
}

}  // namespace

std::string take_tls_errors() {
  std::string line;
  for (unsigned long code = ERR_get_error(); code != 0; code = ERR_get_error()) {
    char text[160];
    ERR_error_string_n(code, text, sizeof text);
    if (line.size() > 400) continue;
    if (!line.empty()) line += "; ";
    line += text;
  }
  return line;
}

Result<TlsContext> TlsContext::make_server(const Path& certificate_chain, const Path& private_key,
                                           ClientCertificates clients) {
  constexpr ByteCount kPemLimit = 1024 * 1024;
  // OpenSSL reports a file that is not there poorly; read_file names it.
  if (auto readable = read_file(certificate_chain, kPemLimit); !readable)
    return with_context("TLS certificate", readable.error());
  if (auto readable = read_file(private_key, kPemLimit); !readable)
    return with_context("TLS private key", readable.error());
  ERR_clear_error();
  TlsContext tls{SSL_CTX_new(TLS_server_method())};
  SSL_CTX* context = tls.native();
  if (context == nullptr || SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1)
    return tl::unexpected<Error>{tls_error("cannot set TLS up")};
  // RELEASE_BUFFERS: an idle connection keeps about 15 KB instead of 50 KB.
  SSL_CTX_set_mode(context,
                   SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                   SSL_OP_IGNORE_UNEXPECTED_EOF);
  // One system call fetches whatever has come, not the five bytes of a record's header first.
  SSL_CTX_set_read_ahead(context, 1);
  // Tickets are kept by the client, so a returning fleet costs no memory here and no key exchange with a certificate.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context, 1);
  if (SSL_CTX_use_certificate_chain_file(context, certificate_chain.c_str()) != 1)
    return tl::unexpected<Error>{tls_error("TLS certificate '" + certificate_chain.string() + "' is not a PEM chain")};
  if (SSL_CTX_use_PrivateKey_file(context, private_key.c_str(), SSL_FILETYPE_PEM) != 1)
    return tl::unexpected<Error>{
        tls_error("TLS private key '" + private_key.string() + "' is no PEM key of that certificate")};
  if (SSL_CTX_check_private_key(context) != 1)
    return tl::unexpected<Error>{
        tls_error("TLS private key '" + private_key.string() + "' does not belong to the certificate")};
  if (clients != ClientCertificates::none && !request_client_certificates(context))
    return tl::unexpected<Error>{tls_error("cannot ask clients for certificates")};
  if (clients == ClientCertificates::requested_without_alpn)
    SSL_CTX_set_client_hello_cb(context, spare_who_offers_alpn, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return tls;
}

}  // namespace godwit::net
