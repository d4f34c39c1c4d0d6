// WebSocket (RFC 6455) without sockets, as server and as client: the request to upgrade and its answer, and frames of
// the peer turned into the stream of bytes that they carry. Text frames and extensions are refused, and so are frames
// without a mask from a client and frames with one from a server.
// Written here and not taken from Boost.Beast, whose stream wants to own the socket and its TLS and keeps buffers for
// each connection: ours lives on the descriptor and costs an idle device a hundred bytes.
// Pure; a Framing belongs to one connection.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "core/base/error.hpp"

namespace godwit::websocket {

/// Fields of an upgrade request; "" is a field that is not there, fields of one name are joined by ", ".
struct Offer {
  std::string_view connection{};
  std::string_view upgrade{};
  std::string_view version{};    // Sec-WebSocket-Version
  std::string_view key{};        // Sec-WebSocket-Key
  std::string_view protocols{};  // Sec-WebSocket-Protocol
};

/// `status` is 400, or 426: then the answer also names what to upgrade to.
struct Refusal {
  int status = 400;
  std::string message;
};

/// The whole answer "HTTP/1.1 101 ..." to `offer`. The sub-protocol is matched without case and named back as it was
/// offered, since clients compare the bytes.
[[nodiscard]] tl::expected<std::string, Refusal> accept(const Offer& offer, std::string_view protocol);
/// Sec-WebSocket-Accept for a Sec-WebSocket-Key.
[[nodiscard]] std::string accept_key(std::string_view key);

/// The whole request of a client for `target` (path and query), with `key` (base64 of 16 random bytes).
[[nodiscard]] std::string upgrade_request(std::string_view host, std::string_view target, std::string_view protocol,
                                          std::string_view key);

/// Fields of the answer to it, as in Offer.
struct Answer {
  int status = 0;
  std::string_view connection{};
  std::string_view upgrade{};
  std::string_view accept{};      // Sec-WebSocket-Accept
  std::string_view protocol{};    // Sec-WebSocket-Protocol
  std::string_view extensions{};  // Sec-WebSocket-Extensions
};
/// Whether `answer` makes the connection a WebSocket. Errors: refused (another status), unavailable (429, 503),
/// bad_packet (no such answer to our request).
[[nodiscard]] Result<void> check_answer(const Answer& answer, std::string_view protocol, std::string_view key);

/// Who speaks: a client masks what it sends, a server does not.
enum class Side : std::uint8_t { server, client };

/// Numbers of RFC 6455 section 7.4.1.
enum class CloseCode : std::uint16_t {
  normal = 1000,
  going_away = 1001,
  protocol_error = 1002,
  unsupported_data = 1003,
  none = 1005,  // never sent: a close frame without a number
  bad_text = 1007,
  too_big = 1009
};

struct Limits {
  std::uint64_t frame_bytes = 1024 * 1024;        // bounds a frame's promise; memory is bounded by who reads the stream
  std::uint64_t message_bytes = 4 * 1024 * 1024;  // all fragments of one message
};

/// What a server puts before `size` bytes to make them one binary message.
[[nodiscard]] std::string binary_head(std::size_t size);
/// `payload` as one binary message of a client, under a mask by chance.
[[nodiscard]] std::string masked_binary(std::string_view payload);
/// A whole close frame of `side`; without a body for CloseCode::none.
[[nodiscard]] std::string close_frame(CloseCode code, Side side = Side::server);

/// Frames of one peer, in whatever pieces they come. Holds no payload apart from that of an unfinished control frame.
class Framing {
 public:
  /// `side`: ours, so that the frames are those of the other one.
  explicit Framing(Limits limits, Side side = Side::server) : limits_(limits), side_(side) {}

  struct Unwrapped {
    std::size_t bytes = 0;  // of the stream, now at the front of `raw`
    std::string reply{};    // pongs, to be sent before anything else
  };
  /// Takes all of `raw` and moves what it carries to its front. After the peer closed or broke a rule (is_over())
  /// nothing more is taken.
  [[nodiscard]] Unwrapped unwrap(std::span<char> raw);

  [[nodiscard]] bool is_over() const { return !end_reason_.empty(); }
  /// One sentence: the peer's close, or the rule it broke.
  [[nodiscard]] const std::string& end_reason() const { return end_reason_; }
  /// The close frame that answers it, once is_over().
  [[nodiscard]] std::string last_frame() const { return close_frame(answer_, side_); }

 private:
  static constexpr std::size_t kLargestHead = 14;  // two bytes, length, mask

  [[nodiscard]] std::size_t take_head(std::span<const char> bytes);
  [[nodiscard]] std::size_t head_size() const;
  void check_first_bytes();
  void begin_frame();
  void end_frame(Unwrapped& unwrapped);
  void end_close();
  void unmask(std::span<char> bytes);
  [[nodiscard]] std::size_t mask_size() const { return side_ == Side::server ? 4 : 0; }
  void break_off(CloseCode answer, std::string reason);
  [[nodiscard]] bool is_control() const { return (head_[0] & 0x08) != 0; }
  [[nodiscard]] bool is_final() const { return (head_[0] & 0x80) != 0; }

  Limits limits_;
  Side side_;
  std::uint64_t payload_left_ = 0;  // of the frame
  std::uint64_t message_bytes_ = 0;
  std::string control_;  // payload of a control frame
  std::string end_reason_;
  CloseCode answer_ = CloseCode::none;
  std::array<std::uint8_t, kLargestHead> head_{};
  std::uint8_t head_have_ = 0;
  std::uint8_t mask_at_ = 0;
  bool is_in_payload_ = false;
  bool is_in_message_ = false;  // a fragment came, its last one did not yet
};

}  // namespace godwit::websocket
