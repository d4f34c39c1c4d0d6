// The stream of bytes that MQTT runs over: TLS, or a WebSocket in it. One thread; as with TlsConnection the owner polls
// fd() for wanted() and calls proceed(), read(), write() or flush().
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/clock.hpp"
#include "core/websocket/websocket.hpp"
#include "device/agent/tls_connection.hpp"
#include "device/agent/transport.hpp"

namespace godwit::agent {

class HubConnection {
 public:
  /// Errors: TlsConnection::open()'s.
  [[nodiscard]] static Result<std::unique_ptr<HubConnection>> open(const TlsTarget& target, Way way);

  [[nodiscard]] const TlsConnection& tls() const { return *tls_; }
  [[nodiscard]] int fd() const { return tls_->fd(); }
  [[nodiscard]] short wanted() const { return tls_->wanted(); }
  /// True once bytes may flow. Errors: TlsConnection::proceed()'s; with a WebSocket also refused, unavailable,
  /// bad_packet: what stands behind the port makes none.
  [[nodiscard]] Result<bool> proceed();
  /// Appends what is there to `into`, about `limit` bytes. Errors: TlsConnection::read()'s.
  [[nodiscard]] Result<void> read(std::string& into, std::size_t limit);
  [[nodiscard]] bool has_buffered() const { return !raw_.empty() || tls_->has_buffered(); }
  /// Takes as much as fits; gives the count. Errors: as read().
  [[nodiscard]] Result<std::size_t> write(std::string_view bytes);
  /// Sends what a WebSocket still holds of earlier calls. Errors: as read().
  [[nodiscard]] Result<void> flush();
  /// Says good-bye, best effort.
  void close();
  /// What the other side's HTTP answer says of the time; nullopt without a WebSocket or without Date.
  [[nodiscard]] std::optional<WallTime> date() const { return date_; }

 private:
  HubConnection() = default;
  void begin_websocket(const TlsTarget& target);
  [[nodiscard]] Result<bool> hear_websocket();
  [[nodiscard]] Result<void> unwrap(std::string& into);

  std::unique_ptr<TlsConnection> tls_;
  std::string where_;
  std::unique_ptr<websocket::Framing> framing_;  // null without WebSocket
  bool is_open_ = false;                         // the WebSocket
  std::string key_;
  std::string outgoing_;  // frames that TLS has not taken yet
  std::string raw_;       // the answer's head; then frames that came with it
  std::optional<WallTime> date_;
};

}  // namespace godwit::agent
