#include "device/agent/hub_connection.hpp"

#include "core/base/bytes.hpp"
#include "device/agent/http_answer.hpp"
#include "device/agent/http_date.hpp"

namespace godwit::agent {
namespace {

constexpr std::string_view kPath = "/$iothub/websocket";
constexpr std::string_view kNoCertificate = "?iothub-no-client-cert=true";  // Azure's hub then does not ask for one
constexpr std::string_view kProtocol = "mqtt";
constexpr std::size_t kKeyBytes = 16;
constexpr std::size_t kMessageBytes = 16 * 1024;
constexpr websocket::Limits kLimits{.frame_bytes = 4 * 1024 * 1024, .message_bytes = 16 * 1024 * 1024};

}  // namespace

Result<std::unique_ptr<HubConnection>> HubConnection::open(const TlsTarget& target, Way way) {
  std::unique_ptr<HubConnection> connection(new HubConnection);
  connection->where_ = target.host + ":" + target.port;
  GODWIT_TRY(connection->tls_, TlsConnection::open(target));
  if (way == Way::websocket) connection->begin_websocket(target);
  return connection;
}

void HubConnection::begin_websocket(const TlsTarget& target) {
  framing_ = std::make_unique<websocket::Framing>(kLimits, websocket::Side::client);
  key_ = base64_encode(random_bytes(kKeyBytes));
  const std::string name = target.host.find(':') == std::string::npos ? target.host : "[" + target.host + "]";
  const std::string path = std::string(kPath) + std::string(target.certificate.is_set() ? "" : kNoCertificate);
  outgoing_ = websocket::upgrade_request(target.port == "443" ? name : name + ":" + target.port, path, kProtocol, key_);
}

Result<bool> HubConnection::proceed() {
  GODWIT_TRY(const bool is_secure, tls_->proceed());
  if (!is_secure || !framing_ || is_open_) return is_secure;
  GODWIT_TRY_VOID(flush());
  auto answered = hear_websocket();
  if (!answered) return with_context("WebSocket with " + where_, std::move(answered).error());
  return answered;
}

Result<bool> HubConnection::hear_websocket() {
  auto got = tls_->read(raw_, kHttpHeadLimit);
  const auto end = raw_.find("\r\n\r\n");
  if (end == std::string::npos) {
    if (!got) return tl::unexpected<Error>{std::move(got).error()};
    if (raw_.size() >= kHttpHeadLimit) return fail(Code::too_large, "the answer has no end");
    return false;
  }
  GODWIT_TRY(const auto answer, parse_http_answer(std::string_view(raw_).substr(0, end + 4)));
  date_ = parse_http_date(answer.field("date"));
  GODWIT_TRY_VOID(websocket::check_answer({.status = answer.status,
                                           .connection = answer.field("connection"),
                                           .upgrade = answer.field("upgrade"),
                                           .accept = answer.field("sec-websocket-accept"),
                                           .protocol = answer.field("sec-websocket-protocol"),
                                           .extensions = answer.field("sec-websocket-extensions")},
                                          kProtocol, key_));
  raw_.erase(0, end + 4);
  is_open_ = true;
  return true;
}

Result<void> HubConnection::unwrap(std::string& into) {
  const auto unwrapped = framing_->unwrap(raw_);
  into.append(raw_, 0, unwrapped.bytes);
  raw_ = {};
  outgoing_ += unwrapped.reply;
  if (!framing_->is_over()) return flush();
  outgoing_ += framing_->last_frame();
  (void)flush();
  return fail(Code::network_failed, where_ + ": " + framing_->end_reason());
}

Result<void> HubConnection::read(std::string& into, std::size_t limit) {
  if (!framing_) return tls_->read(into, limit);
  auto got = tls_->read(raw_, limit);
  if (!raw_.empty()) GODWIT_TRY_VOID(unwrap(into));
  return got;
}

Result<std::size_t> HubConnection::write(std::string_view bytes) {
  if (!framing_) return tls_->write(bytes);
  GODWIT_TRY_VOID(flush());
  if (!outgoing_.empty() || bytes.empty()) return std::size_t{0};
  const auto piece = bytes.substr(0, kMessageBytes);
  outgoing_ = websocket::masked_binary(piece);
  GODWIT_TRY_VOID(flush());
  return piece.size();
}

Result<void> HubConnection::flush() {
  while (!outgoing_.empty()) {
    GODWIT_TRY(const auto sent, tls_->write(outgoing_));
    if (sent == 0) return {};
    outgoing_.erase(0, sent);
  }
  outgoing_.shrink_to_fit();
  return {};
}

void HubConnection::close() {
  if (is_open_ && !framing_->is_over()) {
    outgoing_ += websocket::close_frame(websocket::CloseCode::normal, websocket::Side::client);
    (void)flush();
  }
  tls_->close();
}

}  // namespace godwit::agent
