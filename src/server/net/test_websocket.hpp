// For tests: frames of core/websocket's test client over a blocking TLS peer. One thread each.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "core/websocket/test_frames.hpp"
#include "server/net/test_peer.hpp"

namespace godwit::net {

using websocket::client_frame;
using websocket::close_payload;
using websocket::kTestBinary;
using websocket::kTestClose;
using websocket::kTestContinuation;
using websocket::kTestPing;
using websocket::kTestPong;
using websocket::kTestText;
using websocket::ServerFrame;
using websocket::take_server_frame;
using websocket::upgrade_request;

/// Reads frames from a peer.
class TestFrames {
 public:
  explicit TestFrames(TestPeer& peer) : peer_(peer) {}

  /// What stands before the first frame, up to and with `end`; "" when it does not come.
  std::string take_head(std::string_view end = "\r\n\r\n") {
    std::size_t at = 0;
    while ((at = bytes_.find(end)) == std::string::npos)
      if (!more()) return {};
    std::string head = bytes_.substr(0, at + end.size());
    bytes_.erase(0, head.size());
    return head;
  }
  /// nullopt when none comes in time or the server closed.
  std::optional<ServerFrame> next(std::chrono::milliseconds wait = std::chrono::seconds(5)) {
    for (;;) {
      if (auto frame = take_server_frame(bytes_)) return frame;
      if (!more(wait)) return std::nullopt;
    }
  }
  /// The server ended the connection and sent nothing more.
  bool is_at_end() { return !next() && bytes_.empty() && peer_.is_closed(); }

 private:
  bool more(std::chrono::milliseconds wait = std::chrono::seconds(5)) {
    const std::string got = peer_.read(wait);
    bytes_ += got;
    return !got.empty();
  }
  TestPeer& peer_;
  std::string bytes_;
};

}  // namespace godwit::net
