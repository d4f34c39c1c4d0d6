// For tests: the client's half of WebSocket, independent of the code under test. Values; safe from any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace godwit::websocket {

inline constexpr std::uint8_t kTestContinuation = 0;
inline constexpr std::uint8_t kTestText = 1;
inline constexpr std::uint8_t kTestBinary = 2;
inline constexpr std::uint8_t kTestClose = 8;
inline constexpr std::uint8_t kTestPing = 9;
inline constexpr std::uint8_t kTestPong = 10;

/// A frame as a client masks it.
inline std::string client_frame(std::uint8_t opcode, std::string_view payload, bool is_final = true) {
  constexpr std::string_view kMask = "\x37\xfa\x21\x3d";
  std::string bytes{static_cast<char>(opcode | (is_final ? 0x80 : 0))};
  const int length_bytes = payload.size() < 126 ? 0 : payload.size() < 65'536 ? 2 : 8;
  bytes += static_cast<char>(0x80 | (length_bytes == 0 ? payload.size() : length_bytes == 2 ? 126U : 127U));
  for (int i = length_bytes - 1; i >= 0; --i)
    bytes += static_cast<char>(static_cast<std::uint64_t>(payload.size()) >> (8 * i));
  bytes += kMask;
  for (std::size_t i = 0; i < payload.size(); ++i) bytes += static_cast<char>(payload[i] ^ kMask[i % 4]);
  return bytes;
}

inline std::string close_payload(unsigned code, std::string_view text = {}) {
  return std::string{static_cast<char>(code >> 8), static_cast<char>(code & 0xFF)}.append(text);
}

struct ServerFrame {
  int opcode = 0;
  std::string payload;

  /// The number in a close frame; 0 for any other frame, 1005 for an empty one.
  [[nodiscard]] unsigned close_code() const {
    if (opcode != kTestClose) return 0;
    if (payload.size() < 2) return 1005;
    return static_cast<unsigned>(static_cast<std::uint8_t>(payload[0])) << 8 | static_cast<std::uint8_t>(payload[1]);
  }
};

/// Takes a whole frame off the front of `bytes`; nullopt when there is none. A masked one has opcode -1.
inline std::optional<ServerFrame> take_server_frame(std::string& bytes) {
  if (bytes.size() < 2) return std::nullopt;
  const auto at = [&](std::size_t i) { return static_cast<std::uint64_t>(static_cast<std::uint8_t>(bytes[i])); };
  const std::uint64_t short_length = at(1) & 0x7F;
  const std::size_t head = short_length == 126 ? 4 : short_length == 127 ? 10 : 2;
  if (bytes.size() < head) return std::nullopt;
  std::uint64_t length = head == 2 ? short_length : 0;
  for (std::size_t i = 2; i < head; ++i) length = length << 8 | at(i);
  if (bytes.size() < head + length) return std::nullopt;
  ServerFrame frame{.opcode = (at(1) & 0x80) != 0 || (at(0) & 0xF0) != 0x80 ? -1 : static_cast<int>(at(0) & 0x0F),
                    .payload = bytes.substr(head, length)};
  bytes.erase(0, head + length);
  return frame;
}

/// A request as a good client sends it; `protocol` and `more` are free.
inline std::string upgrade_request(std::string_view target, std::string_view protocol = "mqtt",
                                   std::string_view more = {}) {
  return "GET " + std::string(target) +
         " HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: " +
         std::string(protocol) + "\r\n" + std::string(more) + "\r\n";
}

}  // namespace godwit::websocket
