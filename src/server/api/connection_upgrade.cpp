// Devices behind firewalls speak MQTT in a WebSocket on the HTTPS port. The request is judged here; an acceptable one
// is not answered here: socket, TLS and what was read behind the head go to the hub's loop, which decides whether it
// takes the device and says so. No authorisation: the device shows its credentials in CONNECT.
#include "core/websocket/websocket.hpp"
#include "server/api/connection.hpp"

namespace godwit::api {
namespace {

constexpr std::string_view kTurnedAway =
    "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 30\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

}  // namespace

void HttpConnection::become_websocket() {
  const Head& head = parser_.head();
  websocket::Offer offer;  // HTTP/1.0 knows no upgrade, and HEAD wants none
  if (request_.method == Method::get && !head.is_http_1_0)
    offer = {.connection = head.header("connection"),
             .upgrade = head.header("upgrade"),
             .version = head.header("sec-websocket-version"),
             .key = head.header("sec-websocket-key"),
             .protocols = head.header("sec-websocket-protocol")};
  auto welcome = websocket::accept(offer, "mqtt");
  if (!welcome) {
    const bool is_upgrade_missing = welcome.error().status == 426;
    Reply reply = error_reply(
        family_,
        Error{is_upgrade_missing ? Code::unsupported : Code::invalid_argument, std::move(welcome.error().message)},
        trace_id_, welcome.error().status);
    if (is_upgrade_missing)
      reply.headers = {{"Upgrade", "websocket"}, {"Connection", "Upgrade"}, {"Sec-WebSocket-Version", "13"}};
    closes_after_ = closes_after_ || has_unread_body_;
    return send(std::move(reply));
  }
  if (head.has_body())
    return refuse(Error{Code::invalid_argument, "a request to become a WebSocket may not have a body"});
  if (!rim_.websockets) return refuse(Error{Code::unsupported, "no hub stands behind this port"}, 501);
  status_ = 101;
  log_answer();
  state_ = State::closed;
  hub::WebSocketArrival arrival{.connection = connection_.release(),
                                .welcome = *std::move(welcome),
                                .refusal = std::string(kTurnedAway),
                                .first_bytes = std::exchange(input_, {})};
  rim_.forget(*this);
  rim_.websockets(std::move(arrival));
}

}  // namespace godwit::api
