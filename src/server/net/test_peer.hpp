// For tests: a throw-away certificate on disk and a blocking TLS client on raw OpenSSL, independent of the code under
// test. Owned by the test; one thread per peer.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace godwit::net {

/// A folder that disappears with the object.
class TestFolder {
 public:
  TestFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "godwit-test-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~TestFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// Writes certificate.pem and key.pem (P-256, self-signed, valid for a day) into `folder`.
inline void write_test_certificate(const std::filesystem::path& folder) {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = X509_new();
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
  X509_set_pubkey(certificate, key);
  X509_NAME* name = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("localhost"), -1, -1, 0);
  X509_set_issuer_name(certificate, name);
  X509_sign(certificate, key, EVP_sha256());
  std::FILE* file = std::fopen((folder / "certificate.pem").c_str(), "w");
  PEM_write_X509(file, certificate);
  std::fclose(file);
  file = std::fopen((folder / "key.pem").c_str(), "w");
  PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
  std::fclose(file);
  X509_free(certificate);
  EVP_PKEY_free(key);
}

class TestPeer {
 public:
  TestPeer() = default;
  ~TestPeer() { hang_up(); }
  TestPeer(const TestPeer&) = delete;
  TestPeer& operator=(const TestPeer&) = delete;

  /// Plain TCP to 127.0.0.1; `receive_buffer` > 0 makes the kernel's buffer small (for slow readers).
  bool dial(std::uint16_t port, int receive_buffer = 0) {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (receive_buffer > 0) ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  /// From the next start_tls() on this is what the peer shows when it is asked. PEM; `others`: the rest of the chain.
  void show_certificate(std::string certificate, std::string key, std::vector<std::string> others = {}) {
    certificate_ = std::move(certificate);
    key_ = std::move(key);
    others_ = std::move(others);
  }
  /// From the next start_tls() on the peer offers `protocol` by ALPN.
  void offer_alpn(std::string protocol) { alpn_ = std::move(protocol); }
  bool start_tls(int max_version = TLS1_3_VERSION) {
    context_.reset(SSL_CTX_new(TLS_client_method()));
    if (!certificate_.empty() && !load_certificate()) return false;
    SSL_CTX_set_verify(context_.get(), SSL_VERIFY_NONE, nullptr);  // the certificate is our own throw-away
    SSL_CTX_set_max_proto_version(context_.get(), max_version);
    ssl_.reset(SSL_new(context_.get()));
    if (!alpn_.empty()) {
      const std::string offer = static_cast<char>(alpn_.size()) + alpn_;
      SSL_set_alpn_protos(ssl_.get(), reinterpret_cast<const unsigned char*>(offer.data()),
                          static_cast<unsigned>(offer.size()));
    }
    SSL_set_fd(ssl_.get(), fd_);
    if (session_) SSL_set_session(ssl_.get(), session_.get());
    return SSL_connect(ssl_.get()) == 1;
  }
  bool open(std::uint16_t port) { return dial(port) && start_tls(); }

  bool write(std::string_view bytes) {
    std::size_t written = 0;
    while (!bytes.empty()) {
      if (SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &written) != 1) return false;
      bytes.remove_prefix(written);
    }
    return true;
  }
  /// What has come within `wait`; "" when the peer closed (is_closed() is then true) or nothing came.
  std::string read(std::chrono::milliseconds wait = std::chrono::seconds(5)) {
    // The time limit sits on the socket: bytes that are there may turn out to be a session ticket only.
    const timeval limit{.tv_sec = wait.count() / 1000, .tv_usec = (wait.count() % 1000) * 1000};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    char buffer[16 * 1024];
    std::size_t size = 0;
    if (SSL_read_ex(ssl_.get(), buffer, sizeof buffer, &size) != 1) {
      is_closed_ = SSL_get_error(ssl_.get(), 0) != SSL_ERROR_WANT_READ;
      ERR_clear_error();
      return {};
    }
    return std::string(buffer, size);
  }
  [[nodiscard]] bool is_closed() const { return is_closed_; }
  [[nodiscard]] bool wait_for_bytes(std::chrono::milliseconds wait) const {
    pollfd poll_fd{.fd = fd_, .events = POLLIN, .revents = 0};
    return ::poll(&poll_fd, 1, static_cast<int>(wait.count())) > 0;
  }
  void hang_up() {
    if (ssl_) SSL_shutdown(ssl_.get());
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
    ERR_clear_error();
  }
  /// Closes without a word (no close_notify).
  void cut() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
    ssl_.reset();
  }
  [[nodiscard]] bool was_resumed() const { return SSL_session_reused(ssl_.get()) == 1; }
  /// Resumes the session of `other` in the next start_tls().
  void resume_from(TestPeer& other) { session_.reset(SSL_get1_session(other.ssl_.get())); }
  [[nodiscard]] std::string protocol() const { return SSL_get_version(ssl_.get()); }
  [[nodiscard]] int fd() const { return fd_; }

 private:
  struct FreeContext {
    void operator()(SSL_CTX* p) const { SSL_CTX_free(p); }
  };
  struct FreeSsl {
    void operator()(SSL* p) const { SSL_free(p); }
  };
  struct FreeSession {
    void operator()(SSL_SESSION* p) const { SSL_SESSION_free(p); }
  };
  template <class Read>
  static auto read_pem(const std::string& pem, Read read) {
    BIO* bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
    auto* object = read(bio, nullptr, nullptr, nullptr);
    BIO_free(bio);
    return object;
  }
  bool load_certificate() {
    X509* own = read_pem(certificate_, PEM_read_bio_X509);
    EVP_PKEY* key = read_pem(key_, PEM_read_bio_PrivateKey);
    SSL_CTX_set_security_level(context_.get(), 0);  // weak certificates must reach the server to be refused there
    const bool is_loaded =
        SSL_CTX_use_certificate(context_.get(), own) == 1 && SSL_CTX_use_PrivateKey(context_.get(), key) == 1;
    X509_free(own);
    EVP_PKEY_free(key);
    for (const std::string& other : others_)
      SSL_CTX_add_extra_chain_cert(context_.get(), read_pem(other, PEM_read_bio_X509));
    return is_loaded;
  }

  std::string certificate_, key_, alpn_;
  std::vector<std::string> others_;
  int fd_ = -1;
  bool is_closed_ = false;
  std::unique_ptr<SSL_CTX, FreeContext> context_;
  std::unique_ptr<SSL, FreeSsl> ssl_;
  std::unique_ptr<SSL_SESSION, FreeSession> session_;
};

}  // namespace godwit::net
