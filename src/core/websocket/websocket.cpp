#include "core/websocket/websocket.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <cstring>

#include "core/base/bytes.hpp"
#include "core/base/text.hpp"

namespace godwit::websocket {
namespace {

constexpr std::string_view kKeySuffix = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";  // RFC 6455 section 1.3
constexpr std::size_t kKeyBytes = 16;
constexpr std::size_t kControlBytes = 125;
constexpr std::size_t kMaskBytes = 4;
constexpr std::uint8_t kFinal = 0x80;
constexpr std::uint8_t kReserved = 0x70;
constexpr std::uint8_t kMasked = 0x80;

enum Opcode : std::uint8_t { kContinuation = 0, kText = 1, kBinary = 2, kClose = 8, kPing = 9, kPong = 10 };

/// The member of a comma-separated list that equals `wanted`, as it stands there; "" if there is none.
[[nodiscard]] std::string_view find_in_list(std::string_view list, std::string_view wanted) {
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    std::string_view item = list.substr(0, comma);
    list.remove_prefix(std::min(comma + 1, list.size()));
    while (!item.empty() && (item.front() == ' ' || item.front() == '\t')) item.remove_prefix(1);
    while (!item.empty() && (item.back() == ' ' || item.back() == '\t')) item.remove_suffix(1);
    if (equal_in_any_case(item, wanted)) return item;
  }
  return {};
}

[[nodiscard]] std::string head_of(Opcode opcode, std::size_t size) {
  std::string head(1, static_cast<char>(kFinal | opcode));
  const int length_bytes = size <= 125 ? 0 : size <= 0xFFFF ? 2 : 8;
  head.push_back(static_cast<char>(length_bytes == 0 ? size : length_bytes == 2 ? 126 : 127));
  for (int i = length_bytes - 1; i >= 0; --i)
    head.push_back(static_cast<char>(static_cast<std::uint64_t>(size) >> (8 * i)));
  return head;
}

/// RFC 6455 section 5.3: the mask must not be guessed by who wrote the payload.
[[nodiscard]] std::string masked_frame(Opcode opcode, std::string_view payload) {
  const Bytes mask = random_bytes(kMaskBytes);
  std::string bytes = head_of(opcode, payload.size());
  bytes[1] = static_cast<char>(static_cast<std::uint8_t>(bytes[1]) | kMasked);
  bytes += mask;
  bytes.reserve(bytes.size() + payload.size());
  for (std::size_t i = 0; i < payload.size(); ++i)
    bytes.push_back(static_cast<char>(payload[i] ^ mask[i % kMaskBytes]));
  return bytes;
}

[[nodiscard]] std::string control_frame(Opcode opcode, std::string_view payload, Side side) {
  GODWIT_CHECK(payload.size() <= kControlBytes);
  if (side == Side::client) return masked_frame(opcode, payload);
  return head_of(opcode, payload.size()).append(payload);
}

/// RFC 6455 section 7.4: what may stand in a close frame.
[[nodiscard]] bool is_close_code(unsigned code) {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

}  // namespace

// ---- handshake ---------------------------------------------------------------------------------------------------

std::string accept_key(std::string_view key) {
  const std::string text = std::string(key).append(kKeySuffix);
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  GODWIT_CHECK(EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha1(), nullptr) == 1);
  return base64_encode({reinterpret_cast<const char*>(digest), size});
}

tl::expected<std::string, Refusal> accept(const Offer& offer, std::string_view protocol) {
  const auto refuse = [](int status, std::string message) {
    return tl::unexpected<Refusal>{Refusal{.status = status, .message = std::move(message)}};
  };
  if (find_in_list(offer.upgrade, "websocket").empty() || find_in_list(offer.connection, "upgrade").empty())
    return refuse(426, "only WebSocket is spoken at this path; ask with Connection: Upgrade and Upgrade: websocket");
  if (offer.version != "13") return refuse(426, "the only WebSocket version spoken here is 13 (Sec-WebSocket-Version)");
  const auto key = base64_decode(offer.key);
  if (!key || key->size() != kKeyBytes) return refuse(400, "Sec-WebSocket-Key is not the base64 of 16 bytes");
  const std::string_view offered = find_in_list(offer.protocols, protocol);
  if (offered.empty())
    return refuse(400, "the only WebSocket sub-protocol spoken here is '" + std::string(protocol) +
                           "'; offer it in Sec-WebSocket-Protocol");
  return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
         accept_key(offer.key) + "\r\nSec-WebSocket-Protocol: " + std::string(offered) + "\r\n\r\n";
}

std::string upgrade_request(std::string_view host, std::string_view target, std::string_view protocol,
                            std::string_view key) {
  std::string text = "GET ";
  for (const std::string_view part :
       {target, std::string_view(" HTTP/1.1\r\nHost: "), host,
        std::string_view("\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: "), key,
        std::string_view("\r\nSec-WebSocket-Protocol: "), protocol,
        std::string_view("\r\nSec-WebSocket-Version: 13\r\n\r\n")})
    text.append(part);
  return text;
}

Result<void> check_answer(const Answer& answer, std::string_view protocol, std::string_view key) {
  if (answer.status == 429 || answer.status == 503)
    return fail(Code::unavailable, "there is no room now (HTTP status " + std::to_string(answer.status) + ")");
  if (answer.status != 101)
    return fail(Code::refused, "no WebSocket is made here (HTTP status " + std::to_string(answer.status) + ")");
  if (find_in_list(answer.upgrade, "websocket").empty() || find_in_list(answer.connection, "upgrade").empty())
    return fail(Code::bad_packet, "the answer to the WebSocket request upgrades to something else");
  if (answer.accept != accept_key(key))
    return fail(Code::bad_packet, "the answer to the WebSocket request belongs to another request (key)");
  if (!equal_in_any_case(answer.protocol, protocol))
    return fail(Code::bad_packet, "the WebSocket does not speak '" + std::string(protocol) + "'");
  if (!answer.extensions.empty())
    return fail(Code::bad_packet, "the WebSocket came with an extension that nobody asked for");
  return {};
}

// ---- frames to the peer ------------------------------------------------------------------------------------------

std::string binary_head(std::size_t size) { return head_of(kBinary, size); }

std::string masked_binary(std::string_view payload) { return masked_frame(kBinary, payload); }

std::string close_frame(CloseCode code, Side side) {
  if (code == CloseCode::none) return control_frame(kClose, {}, side);
  const auto number = static_cast<unsigned>(code);
  return control_frame(kClose, std::string{static_cast<char>(number >> 8), static_cast<char>(number & 0xFF)}, side);
}

// ---- frames of the peer ------------------------------------------------------------------------------------------

Framing::Unwrapped Framing::unwrap(std::span<char> raw) {
  Unwrapped unwrapped;
  std::size_t at = 0;
  while (at < raw.size() && !is_over()) {
    if (!is_in_payload_) {
      at += take_head(raw.subspan(at));
    } else {
      const std::span<char> piece = raw.subspan(at, std::min<std::uint64_t>(payload_left_, raw.size() - at));
      if (side_ == Side::server) unmask(piece);
      if (is_control()) {
        control_.append(piece.data(), piece.size());
      } else {
        std::memmove(raw.data() + unwrapped.bytes, piece.data(), piece.size());
        unwrapped.bytes += piece.size();
      }
      at += piece.size();
      payload_left_ -= piece.size();
    }
    if (is_in_payload_ && payload_left_ == 0 && !is_over()) end_frame(unwrapped);
  }
  return unwrapped;
}

/// Collects the head of a frame; what its first two bytes break is refused without waiting for the rest.
std::size_t Framing::take_head(std::span<const char> bytes) {
  std::size_t taken = 0;
  while (taken < bytes.size() && !is_over()) {
    head_[head_have_++] = static_cast<std::uint8_t>(bytes[taken++]);
    if (head_have_ == 2) check_first_bytes();
    if (head_have_ >= 2 && !is_over() && head_have_ == head_size()) {
      begin_frame();
      break;
    }
  }
  return taken;
}

std::size_t Framing::head_size() const {
  const int length = head_[1] & 0x7F;
  return 2U + mask_size() + (length == 126 ? 2U : length == 127 ? 8U : 0U);
}

void Framing::check_first_bytes() {
  const int opcode = head_[0] & 0x0F;
  const int length = head_[1] & 0x7F;
  if ((head_[0] & kReserved) != 0)
    return break_off(CloseCode::protocol_error, "a WebSocket frame with reserved bits came");
  const bool is_masked = (head_[1] & kMasked) != 0;
  if (is_masked != (side_ == Side::server))
    return break_off(CloseCode::protocol_error,
                     is_masked ? "a WebSocket frame with a mask came" : "a WebSocket frame without a mask came");
  switch (opcode) {
    case kContinuation:
      if (!is_in_message_) break_off(CloseCode::protocol_error, "a WebSocket frame came that continues no message");
      return;
    case kText: return break_off(CloseCode::unsupported_data, "a WebSocket text frame came; MQTT goes in binary ones");
    case kBinary:
      if (is_in_message_) break_off(CloseCode::protocol_error, "a WebSocket message began within another one");
      return;
    case kClose:
    case kPing:
    case kPong:
      if (!is_final()) return break_off(CloseCode::protocol_error, "a WebSocket control frame in fragments came");
      if (length > static_cast<int>(kControlBytes))
        break_off(CloseCode::protocol_error, "a WebSocket control frame of more than 125 bytes came");
      return;
    default: return break_off(CloseCode::protocol_error, "a WebSocket frame of an unknown kind came");
  }
}

void Framing::begin_frame() {
  const unsigned short_length = head_[1] & 0x7FU;
  std::uint64_t length = short_length;
  const std::size_t length_end = head_have_ - mask_size();  // a mask follows it
  if (length_end > 2) {
    length = 0;
    for (std::size_t i = 2; i < length_end; ++i) length = length << 8 | head_[i];
    if (length <= (short_length == 126 ? 125U : 0xFFFFU))
      return break_off(CloseCode::protocol_error, "a WebSocket frame came whose length is written too long");
  }
  if (length > limits_.frame_bytes)
    return break_off(CloseCode::too_big,
                     "a WebSocket frame above " + std::to_string(limits_.frame_bytes) + " bytes came");
  if (!is_control()) {
    message_bytes_ = is_in_message_ ? message_bytes_ + length : length;
    if (message_bytes_ > limits_.message_bytes)
      return break_off(CloseCode::too_big,
                       "a WebSocket message above " + std::to_string(limits_.message_bytes) + " bytes came");
  }
  std::memmove(head_.data() + 2, head_.data() + length_end, mask_size());  // where unmask() looks
  payload_left_ = length;
  mask_at_ = 0;
  is_in_payload_ = true;
}

void Framing::end_frame(Unwrapped& unwrapped) {
  is_in_payload_ = false;
  head_have_ = 0;
  if (!is_control()) {
    is_in_message_ = !is_final();
    return;
  }
  const int opcode = head_[0] & 0x0F;
  if (opcode == kPing) unwrapped.reply += control_frame(kPong, control_, side_);
  if (opcode == kClose) end_close();
  control_ = {};
}

void Framing::end_close() {
  if (control_.empty()) return break_off(CloseCode::none, "the peer closed the WebSocket");
  const unsigned code = control_.size() < 2 ? 0
                                            : static_cast<unsigned>(static_cast<std::uint8_t>(control_[0])) << 8 |
                                                  static_cast<std::uint8_t>(control_[1]);
  if (!is_close_code(code)) return break_off(CloseCode::protocol_error, "a WebSocket close frame with a bad code came");
  if (!is_valid_utf8(std::string_view(control_).substr(2)))
    return break_off(CloseCode::bad_text, "a WebSocket close frame with bad text came");
  break_off(static_cast<CloseCode>(code), "the peer closed the WebSocket with code " + std::to_string(code));
}

void Framing::unmask(std::span<char> bytes) {
  const std::uint8_t* mask = head_.data() + 2;
  for (char& byte : bytes) {
    byte = static_cast<char>(static_cast<std::uint8_t>(byte) ^ mask[mask_at_]);
    mask_at_ = (mask_at_ + 1) & 3;
  }
}

void Framing::break_off(CloseCode answer, std::string reason) {
  answer_ = answer;
  end_reason_ = std::move(reason);
  control_ = {};
}

}  // namespace godwit::websocket
