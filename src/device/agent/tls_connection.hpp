// A TLS client connection on a non-blocking socket: name look-up, connect, a proxy's CONNECT where there is one,
// handshake, bytes. The peer must show a
// certificate for the wanted name from one of the configured authorities, or from those of the system where the
// configuration says so; there is no switch that turns this off.
// One thread; the owner polls fd() for wanted() and calls proceed(), read() or write().
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.hpp"
#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "device/agent/client_certificate.hpp"
#include "device/agent/proxy.hpp"

struct ssl_st;
struct ssl_ctx_st;

namespace godwit::agent {

struct TlsTarget {
  std::string host;  // name or address
  std::string port;
  std::string tls_name;  // name or address that the certificate must carry
  Path ca_file;          // PEM: authorities, and revocation lists of theirs; "": the authorities that the system trusts
  std::string authority{};          // SHA-256 of the one authority to believe, instead of ca_file; the peer shows it
  ClientCertificate certificate{};  // how the device proves itself, if not by a token
  std::optional<Proxy> proxy{};     // the name is then looked up by the proxy
  /// Set when the device's clock is known to be behind: certificates are judged as at this time, the latest that is
  /// certain, and a certificate that begins later only shows that it is later.
  std::optional<WallTime> judge_at{};
};

class TlsConnection {
 public:
  /// Looks the name up (blocks) and begins to connect. Errors: network_failed, tls_failed (CA file, the
  /// device's certificate).
  [[nodiscard]] static Result<std::unique_ptr<TlsConnection>> open(const TlsTarget& target);
  ~TlsConnection();
  TlsConnection(const TlsConnection&) = delete;
  TlsConnection& operator=(const TlsConnection&) = delete;

  [[nodiscard]] int fd() const { return fd_.get(); }
  /// poll() events that the next step waits for.
  [[nodiscard]] short wanted() const { return wanted_; }
  /// Goes on with connect and handshake; true once bytes may flow. Errors: network_failed (every address), tls_failed
  /// (with the reason of the certificate check), check_connect_answer()'s of the proxy.
  [[nodiscard]] Result<bool> proceed();
  /// Appends what is there to `into`, at most `limit` bytes. Errors: network_failed ("closed by the hub"), tls_failed.
  [[nodiscard]] Result<void> read(std::string& into, std::size_t limit);
  /// Bytes that were received and decrypted already: poll() does not tell of them.
  [[nodiscard]] bool has_buffered() const;
  /// Sends as much as fits; gives the count. Errors: as read().
  [[nodiscard]] Result<std::size_t> write(std::string_view bytes);
  struct Validity {
    WallTime not_before;
    WallTime not_after;
  };
  /// When all of the peer's certificates are valid together; nullopt before the handshake was done.
  [[nodiscard]] std::optional<Validity> peer_validity() const;
  /// Says good-bye, best effort.
  void close();

 private:
  enum class Stage : std::uint8_t { connecting, asking_proxy, hearing_proxy, handshaking, open };
  struct Address {
    int family = 0;
    std::string bytes;
  };

  TlsConnection() = default;
  [[nodiscard]] Result<void> look_up(const TlsTarget& target);
  [[nodiscard]] Result<void> connect_next();
  [[nodiscard]] Result<void> set_up_tls(const TlsTarget& target);
  [[nodiscard]] Result<void> set_up_trust(const TlsTarget& target);
  [[nodiscard]] Result<bool> finish_connect();
  [[nodiscard]] Result<bool> ask_proxy();
  [[nodiscard]] Result<bool> hear_proxy();
  [[nodiscard]] Result<void> begin_tls();
  [[nodiscard]] Result<bool> shake_hands();
  [[nodiscard]] Error tls_error(std::string_view what, int result);

  std::string where_;    // "hub.example:8883", for sentences
  std::string request_;  // to the proxy; "" without one
  std::size_t request_sent_ = 0;
  std::string proxy_head_;  // its answer so far
  std::vector<Address> addresses_;
  std::size_t next_address_ = 0;
  std::string last_problem_;
  UniqueFd fd_;
  bool has_own_authorities_ = false;
  std::unique_ptr<HardwareKey> hardware_key_;
  std::string authority_{};
  ssl_ctx_st* context_ = nullptr;
  ssl_st* tls_ = nullptr;
  Stage stage_ = Stage::connecting;
  short wanted_ = 0;
};

}  // namespace godwit::agent
