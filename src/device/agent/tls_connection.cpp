#include "device/agent/tls_connection.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "device/agent/http_answer.hpp"

namespace godwit::agent {
namespace {

constexpr std::size_t kAddressLimit = 8;
// Of TLS 1.2 what TLS 1.3 has, too: keys that are gone with the connection, and ciphers that authenticate.
constexpr const char* kCiphers = "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AESCCM:DHE+AESGCM:DHE+CHACHA20";

std::string errno_text(int number) { return error_from_errno("", number).message.substr(2); }

bool is_ip_address(const std::string& text) {
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  return inet_pton(AF_INET, text.c_str(), bytes.data()) == 1 || inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1;
}

int pass_over(X509_STORE_CTX* context) {
  X509_STORE_CTX_set_error(context, X509_V_OK);
  return 1;
}

/// A revocation list that is old says less than it could, and what it names stays revoked. Refusing everybody for its
/// age would lock a device out that cannot fetch another: the way to it leads through the hub.
int take_what_lists_say(int is_good, X509_STORE_CTX* context) {
  if (is_good == 1) return is_good;
  const int problem = X509_STORE_CTX_get_error(context);
  const bool is_about_lists = problem == X509_V_ERR_UNABLE_TO_GET_CRL || problem == X509_V_ERR_CRL_HAS_EXPIRED ||
                              problem == X509_V_ERR_CRL_NOT_YET_VALID;
  return is_about_lists ? pass_over(context) : is_good;
}

/// For a device whose clock is behind: "not yet valid" says that it is later than the device knows.
int take_later_beginning(int is_good, X509_STORE_CTX* context) {
  if (is_good == 0 && X509_STORE_CTX_get_error(context) == X509_V_ERR_CERT_NOT_YET_VALID) return pass_over(context);
  return take_what_lists_say(is_good, context);
}

/// Judges the peer's chain as always, but with one authority only: the one among the certificates that the peer shows
/// whose SHA-256 is `wanted`. Whoever shows none is refused.
int verify_below(X509_STORE_CTX* context, void* wanted) {
  const auto& digest = *static_cast<const std::string*>(wanted);
  STACK_OF(X509)* shown = X509_STORE_CTX_get0_untrusted(context);
  for (int i = 0; i < sk_X509_num(shown); ++i) {
    X509* certificate = sk_X509_value(shown, i);
    std::array<unsigned char, EVP_MAX_MD_SIZE> found{};
    unsigned size = 0;
    if (X509_digest(certificate, EVP_sha256(), found.data(), &size) != 1 ||
        digest != std::string_view(reinterpret_cast<const char*>(found.data()), size))
      continue;
    const std::unique_ptr<STACK_OF(X509), void (*)(STACK_OF(X509)*)> trusted(
        sk_X509_new_null(), [](STACK_OF(X509) * stack) { sk_X509_free(stack); });
    if (!trusted || sk_X509_push(trusted.get(), certificate) == 0) break;
    X509_STORE_CTX_set0_trusted_stack(context, trusted.get());
    const int verdict = X509_verify_cert(context);
    X509_STORE_CTX_set0_trusted_stack(context, nullptr);
    return verdict;
  }
  X509_STORE_CTX_set_error(context, X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN);
  return 0;
}

std::optional<WallTime> wall_time(const ASN1_TIME* time) {
  std::tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) return std::nullopt;
  return WallTime{std::chrono::seconds(::timegm(&parts))};
}

std::string openssl_reason() {
  const unsigned long code = ERR_get_error();
  if (code == 0) return "";
  const char* reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : "error " + std::to_string(code);
}

}  // namespace

Result<std::unique_ptr<TlsConnection>> TlsConnection::open(const TlsTarget& target) {
  std::unique_ptr<TlsConnection> connection(new TlsConnection);
  connection->where_ = target.host + ":" + target.port;
  if (target.proxy) {
    connection->request_ = connect_request(*target.proxy, target.host, target.port);
    connection->where_ += " through the proxy " + target.proxy->host + ":" + target.proxy->port;
  }
  GODWIT_TRY_VOID(connection->look_up(target));
  GODWIT_TRY_VOID(connection->set_up_tls(target));
  GODWIT_TRY_VOID(connection->connect_next());
  return connection;
}

TlsConnection::~TlsConnection() {
  SSL_free(tls_);
  SSL_CTX_free(context_);
}

Result<void> TlsConnection::look_up(const TlsTarget& target) {
  const std::string& host = target.proxy ? target.proxy->host : target.host;
  const std::string& port = target.proxy ? target.proxy->port : target.port;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | (is_ip_address(host) ? AI_NUMERICHOST : AI_ADDRCONFIG);
  addrinfo* found = nullptr;
  const int problem = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &found);
  if (problem != 0)
    return fail(Code::network_failed,
                "look up " + host + ": " + (problem == EAI_SYSTEM ? errno_text(errno) : gai_strerror(problem)));
  for (const addrinfo* entry = found; entry != nullptr && addresses_.size() < kAddressLimit; entry = entry->ai_next)
    addresses_.push_back(
        {entry->ai_family, std::string(reinterpret_cast<const char*>(entry->ai_addr), entry->ai_addrlen)});
  ::freeaddrinfo(found);
  if (addresses_.empty()) return fail(Code::network_failed, "look up " + host + ": no address");
  return {};
}

Result<void> TlsConnection::connect_next() {
  while (next_address_ < addresses_.size()) {
    const Address& address = addresses_[next_address_++];
    fd_.reset(::socket(address.family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd_) return tl::unexpected<Error>{error_from_errno("make a socket", errno)};
    const int on = 1;
    ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    sockaddr_storage storage{};
    std::memcpy(&storage, address.bytes.data(), std::min(address.bytes.size(), sizeof storage));
    stage_ = Stage::connecting;
    wanted_ = POLLOUT;
    if (::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&storage),
                  static_cast<socklen_t>(address.bytes.size())) == 0)
      return {};
    if (errno == EINPROGRESS) return {};
    last_problem_ = errno_text(errno);
  }
  return fail(Code::network_failed, "connect to " + where_ + ": " + last_problem_);
}

Result<void> TlsConnection::set_up_tls(const TlsTarget& target) {
  ERR_clear_error();
  const ClientCertificate& own = target.certificate;
  if (own.is_set() && !own.key_uri.empty()) {
    GODWIT_TRY(hardware_key_, HardwareKey::open(own.key_uri));
  }
  context_ = SSL_CTX_new(TLS_client_method());
  if (context_ == nullptr) return fail(Code::tls_failed, "set up TLS: " + openssl_reason());
  SSL_CTX_set_min_proto_version(context_, TLS1_2_VERSION);
  if (SSL_CTX_set_cipher_list(context_, kCiphers) != 1)
    return fail(Code::tls_failed, "set up TLS: " + openssl_reason());
  SSL_CTX_set_security_level(context_, std::max(2, SSL_CTX_get_security_level(context_)));  // 112 bits: Debian's level
  SSL_CTX_set_mode(context_,
                   SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_session_cache_mode(context_, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_verify(context_, SSL_VERIFY_PEER, nullptr);
  GODWIT_TRY_VOID(set_up_trust(target));
  if (own.is_set()) GODWIT_TRY_VOID(use_client_certificate(context_, own, hardware_key_.get()));
  tls_ = SSL_new(context_);
  if (tls_ == nullptr) return fail(Code::tls_failed, "set up TLS: " + openssl_reason());
  X509_VERIFY_PARAM* rules = SSL_get0_param(tls_);
  const bool is_address = is_ip_address(target.tls_name);
  const int is_set = is_address ? X509_VERIFY_PARAM_set1_ip_asc(rules, target.tls_name.c_str())
                                : X509_VERIFY_PARAM_set1_host(rules, target.tls_name.c_str(), 0);
  if (is_set != 1) return fail(Code::tls_failed, "the name '" + target.tls_name + "' cannot be checked");
  if (!is_address) SSL_set_tlsext_host_name(tls_, target.tls_name.c_str());
  return {};
}

Result<void> TlsConnection::set_up_trust(const TlsTarget& target) {
  if (!target.authority.empty()) {
    authority_ = target.authority;
    has_own_authorities_ = true;
    SSL_CTX_set_cert_verify_callback(context_, &verify_below, &authority_);
    return {};
  }
  has_own_authorities_ = !target.ca_file.empty();
  if (!has_own_authorities_ && SSL_CTX_set_default_verify_paths(context_) != 1)
    return fail(Code::tls_failed, "read the authorities of the system: " + openssl_reason());
  if (has_own_authorities_ && SSL_CTX_load_verify_file(context_, target.ca_file.c_str()) != 1)
    return fail(Code::tls_failed, "read the authorities in " + target.ca_file.string() + ": " + openssl_reason() +
                                      " (a PEM file with certificates is needed)");
  SSL_CTX_set_verify(context_, SSL_VERIFY_PEER, target.judge_at ? &take_later_beginning : &take_what_lists_say);
  if (has_own_authorities_) X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context_), X509_V_FLAG_CRL_CHECK);
  if (!target.judge_at) return {};
  X509_VERIFY_PARAM_set_time(SSL_CTX_get0_param(context_),
                             std::chrono::floor<std::chrono::seconds>(*target.judge_at).time_since_epoch().count());
  return {};
}

Result<void> TlsConnection::begin_tls() {
  if (SSL_set_fd(tls_, fd_.get()) != 1) return fail(Code::tls_failed, "set up TLS: " + openssl_reason());
  SSL_set_connect_state(tls_);
  stage_ = Stage::handshaking;
  return {};
}

Result<bool> TlsConnection::proceed() {
  using Step = Result<bool> (TlsConnection::*)();
  constexpr std::array<Step, 4> kSteps{&TlsConnection::finish_connect, &TlsConnection::ask_proxy,
                                       &TlsConnection::hear_proxy, &TlsConnection::shake_hands};
  while (stage_ != Stage::open) {
    GODWIT_TRY(const bool is_done, (this->*kSteps.at(static_cast<std::size_t>(stage_)))());
    if (!is_done) return false;
  }
  return true;
}

Result<bool> TlsConnection::finish_connect() {
  int problem = 0;
  socklen_t size = sizeof problem;
  pollfd check{fd_.get(), POLLOUT, 0};
  if (::poll(&check, 1, 0) == 0) return false;
  ::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &problem, &size);
  if (problem != 0) {
    last_problem_ = errno_text(problem);
    GODWIT_TRY_VOID(connect_next());
    return false;
  }
  if (request_.empty()) {
    GODWIT_TRY_VOID(begin_tls());
  } else {
    stage_ = Stage::asking_proxy;
  }
  return true;
}

Result<bool> TlsConnection::ask_proxy() {
  while (request_sent_ < request_.size()) {
    const auto sent = ::send(fd_.get(), request_.data() + request_sent_, request_.size() - request_sent_, MSG_NOSIGNAL);
    if (sent < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (sent < 0)
      return tl::unexpected<Error>{
          Error{Code::network_failed, "ask for a way to " + where_ + ": " + errno_text(errno)}};
    request_sent_ += static_cast<std::size_t>(sent);
  }
  stage_ = Stage::hearing_proxy;
  wanted_ = POLLIN;
  return true;
}

/// Takes the proxy's head and not a byte more: what follows it belongs to TLS.
Result<bool> TlsConnection::hear_proxy() {
  std::array<char, 1024> chunk{};
  for (;;) {
    const auto seen = ::recv(fd_.get(), chunk.data(), chunk.size(), MSG_PEEK);
    if (seen < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (seen <= 0)
      return tl::unexpected<Error>{
          Error{Code::network_failed,
                "ask for a way to " + where_ + ": " + (seen < 0 ? errno_text(errno) : "closed by the proxy")}};
    const std::size_t before = proxy_head_.size();
    proxy_head_.append(chunk.data(), static_cast<std::size_t>(seen));
    const auto end = proxy_head_.find("\r\n\r\n", before < 3 ? 0 : before - 3);
    if (end != std::string::npos) proxy_head_.resize(end + 4);
    const std::size_t taken = proxy_head_.size() - before;
    if (::recv(fd_.get(), chunk.data(), taken, 0) != static_cast<ssize_t>(taken))
      return fail(Code::network_failed, "ask for a way to " + where_ + ": the socket lost bytes");
    if (end != std::string::npos) break;
    if (proxy_head_.size() > kHttpHeadLimit)
      return fail(Code::too_large, "ask for a way to " + where_ + ": the proxy's answer has no end");
  }
  if (auto answer = check_connect_answer(proxy_head_); !answer)
    return with_context("ask for a way to " + where_, std::move(answer).error());
  GODWIT_TRY_VOID(begin_tls());
  return true;
}

Result<bool> TlsConnection::shake_hands() {
  ERR_clear_error();
  const int result = SSL_do_handshake(tls_);
  if (result == 1) {
    stage_ = Stage::open;
    wanted_ = POLLIN;
    return true;
  }
  const int kind = SSL_get_error(tls_, result);
  if (kind != SSL_ERROR_WANT_READ && kind != SSL_ERROR_WANT_WRITE)
    return tl::unexpected<Error>{tls_error("TLS with " + where_, result)};
  wanted_ = kind == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
  return false;
}

Error TlsConnection::tls_error(std::string_view what, int result) {
  const int saved_errno = errno;
  const int kind = SSL_get_error(tls_, result);
  const std::string prefix = std::string(what) + ": ";
  const long verified = SSL_get_verify_result(tls_);
  if (stage_ == Stage::handshaking && verified != X509_V_OK)
    return {Code::tls_failed, prefix + "the certificate is not accepted: " + X509_verify_cert_error_string(verified) +
                                  (has_own_authorities_ ? "; check hub.ca_file, hub.tls_name and the clock"
                                                        : "; check hub.trust, hub.tls_name and the clock")};
  if (kind == SSL_ERROR_ZERO_RETURN) return {Code::network_failed, prefix + "closed by the other side"};
  const std::string reason = openssl_reason();
  if (!reason.empty()) return {Code::tls_failed, prefix + reason};
  if (kind == SSL_ERROR_SYSCALL && saved_errno != 0) return {Code::network_failed, prefix + errno_text(saved_errno)};
  return {Code::network_failed, prefix + "closed by the other side"};
}

Result<void> TlsConnection::read(std::string& into, std::size_t limit) {
  std::array<char, 4096> chunk{};
  std::size_t total = 0;
  while (total < limit) {
    ERR_clear_error();
    errno = 0;
    const int got = SSL_read(tls_, chunk.data(), static_cast<int>(chunk.size()));
    if (got > 0) {
      into.append(chunk.data(), static_cast<std::size_t>(got));
      total += static_cast<std::size_t>(got);
      continue;
    }
    const int kind = SSL_get_error(tls_, got);
    if (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE) {
      // To read a ticket of TLS 1.3 OpenSSL also takes a buffer for writing, and would keep it until the next write.
      SSL_free_buffers(tls_);  // leaves alone what is in use
      return {};
    }
    return tl::unexpected<Error>{tls_error(where_, got)};
  }
  return {};
}

bool TlsConnection::has_buffered() const { return stage_ == Stage::open && SSL_pending(tls_) > 0; }

Result<std::size_t> TlsConnection::write(std::string_view bytes) {
  if (bytes.empty()) return std::size_t{0};
  ERR_clear_error();
  errno = 0;
  std::size_t sent = 0;
  const int done = SSL_write_ex(tls_, bytes.data(), bytes.size(), &sent);
  wanted_ = POLLIN;
  if (done == 1) {
    if (sent < bytes.size()) wanted_ = POLLIN | POLLOUT;
    return sent;
  }
  const int kind = SSL_get_error(tls_, done);
  if (kind == SSL_ERROR_WANT_WRITE) wanted_ = POLLIN | POLLOUT;
  if (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE) return std::size_t{0};
  return tl::unexpected<Error>{tls_error(where_, done)};
}

std::optional<TlsConnection::Validity> TlsConnection::peer_validity() const {
  if (stage_ != Stage::open) return std::nullopt;
  const STACK_OF(X509)* chain = SSL_get0_verified_chain(tls_);
  Validity validity{.not_before = WallTime::min(), .not_after = WallTime::max()};
  for (int i = 0; i < sk_X509_num(chain); ++i) {
    const X509* one = sk_X509_value(chain, i);
    const auto begins = wall_time(X509_get0_notBefore(one));
    const auto ends = wall_time(X509_get0_notAfter(one));
    if (!begins || !ends) return std::nullopt;
    validity.not_before = std::max(validity.not_before, *begins);
    validity.not_after = std::min(validity.not_after, *ends);
  }
  if (sk_X509_num(chain) < 1) return std::nullopt;
  return validity;
}

void TlsConnection::close() {
  if (stage_ == Stage::open) SSL_shutdown(tls_);
  ERR_clear_error();
  fd_.reset();
}

}  // namespace godwit::agent
