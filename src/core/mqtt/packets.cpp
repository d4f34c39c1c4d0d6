#include "core/mqtt/packets.hpp"

#include <utility>

#include "core/base/bytes.hpp"

namespace godwit::mqtt {
namespace {

// Section 2.2.1: control packet types.
enum class Type : std::uint8_t {
  connect = 1,
  connect_ack = 2,
  publish = 3,
  publish_ack = 4,
  publish_received = 5,
  publish_release = 6,
  publish_complete = 7,
  subscribe = 8,
  subscribe_ack = 9,
  unsubscribe = 10,
  unsubscribe_ack = 11,
  ping_request = 12,
  ping_response = 13,
  disconnect = 14
};

constexpr std::size_t kLargestRemainingLength = 268435455;  // section 2.2.3
constexpr std::uint8_t kSubscribeFailure = 0x80;            // section 3.9.3

// ---- encode ------------------------------------------------------------------------------------------------------

void put_u16(std::string& out, std::size_t value) {
  GODWIT_CHECK(value <= 0xFFFF);
  out += static_cast<char>(value >> 8);
  out += static_cast<char>(value & 0xFF);
}

void put_text(std::string& out, std::string_view text) {
  put_u16(out, text.size());
  out += text;
}

void put_header(std::string& out, Type type, std::uint8_t flags, std::size_t body_size) {
  GODWIT_CHECK(body_size <= kLargestRemainingLength);
  out.reserve(out.size() + body_size + 5);
  out += static_cast<char>((static_cast<unsigned>(type) << 4) | flags);
  std::size_t rest = body_size;
  do {  // section 2.2.3: seven bits per byte, least significant first
    const std::size_t low = rest & 0x7F;
    rest >>= 7;
    out += static_cast<char>(rest > 0 ? (low | 0x80) : low);
  } while (rest > 0);
}

std::string frame(Type type, std::uint8_t flags, std::string_view body) {
  std::string out;
  put_header(out, type, flags, body.size());
  out += body;
  return out;
}

std::string frame_id(Type type, std::uint8_t flags, std::uint16_t packet_id) {
  std::string body;
  put_u16(body, packet_id);
  return frame(type, flags, body);
}

struct Encoder {
  std::string operator()(const Connect& p) const {  // section 3.1
    std::string body;
    put_text(body, p.protocol_name);
    body += static_cast<char>(p.protocol_level);
    unsigned flags = p.clean_session ? 0x02U : 0U;
    if (p.will) flags |= 0x04U | (static_cast<unsigned>(p.will->qos) << 3) | (p.will->retain ? 0x20U : 0U);
    if (p.password) flags |= 0x40U;
    if (p.user_name) flags |= 0x80U;
    body += static_cast<char>(flags);
    put_u16(body, p.keep_alive_seconds);
    put_text(body, p.client_id);
    if (p.will) {
      put_text(body, p.will->topic);
      put_text(body, p.will->payload);
    }
    if (p.user_name) put_text(body, *p.user_name);
    if (p.password) put_text(body, *p.password);
    return frame(Type::connect, 0, body);
  }
  std::string operator()(const ConnectAck& p) const {  // section 3.2
    std::string body;
    body += static_cast<char>(p.session_present ? 1 : 0);
    body += static_cast<char>(p.code);
    return frame(Type::connect_ack, 0, body);
  }
  std::string operator()(const Publish& p) const {  // section 3.3
    std::string body;
    body.reserve(p.topic.size() + p.payload.size() + 4);
    put_text(body, p.topic);
    if (p.qos > 0) put_u16(body, p.packet_id);
    body += p.payload;
    const unsigned flags = (p.duplicate ? 0x08U : 0U) | (static_cast<unsigned>(p.qos) << 1) | (p.retain ? 0x01U : 0U);
    return frame(Type::publish, static_cast<std::uint8_t>(flags), body);
  }
  std::string operator()(const PublishAck& p) const { return frame_id(Type::publish_ack, 0, p.packet_id); }
  std::string operator()(const Subscribe& p) const {  // section 3.8: flags are 0010
    std::string body;
    put_u16(body, p.packet_id);
    for (const TopicRequest& topic : p.topics) {
      put_text(body, topic.filter);
      body += static_cast<char>(topic.qos);
    }
    return frame(Type::subscribe, 2, body);
  }
  std::string operator()(const SubscribeAck& p) const {
    std::string body;
    put_u16(body, p.packet_id);
    for (const std::uint8_t code : p.codes) body += static_cast<char>(code);
    return frame(Type::subscribe_ack, 0, body);
  }
  std::string operator()(const Unsubscribe& p) const {
    std::string body;
    put_u16(body, p.packet_id);
    for (const std::string& filter : p.filters) put_text(body, filter);
    return frame(Type::unsubscribe, 2, body);
  }
  std::string operator()(const UnsubscribeAck& p) const { return frame_id(Type::unsubscribe_ack, 0, p.packet_id); }
  std::string operator()(const PingRequest&) const { return frame(Type::ping_request, 0, {}); }
  std::string operator()(const PingResponse&) const { return frame(Type::ping_response, 0, {}); }
  std::string operator()(const Disconnect&) const { return frame(Type::disconnect, 0, {}); }
};

// ---- decode ------------------------------------------------------------------------------------------------------

tl::unexpected<Error> bad(std::string why) { return fail(Code::bad_packet, std::move(why)); }

/// Reads the body of one packet; every getter says which field was cut short.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}
  [[nodiscard]] bool is_at_end() const { return bytes_.empty(); }
  [[nodiscard]] std::string take_rest() { return std::string(std::exchange(bytes_, {})); }

  Result<std::uint8_t> u8(const char* field) {
    if (bytes_.empty()) return bad(std::string(field) + " is missing");
    const auto value = static_cast<std::uint8_t>(bytes_.front());
    bytes_.remove_prefix(1);
    return value;
  }
  Result<std::uint16_t> u16(const char* field) {
    if (bytes_.size() < 2) return bad(std::string(field) + " is cut short");
    const auto high = static_cast<unsigned char>(bytes_[0]);
    const auto low = static_cast<unsigned char>(bytes_[1]);
    bytes_.remove_prefix(2);
    return static_cast<std::uint16_t>((high << 8) | low);
  }
  Result<std::string> binary(const char* field) {
    GODWIT_TRY(const std::uint16_t size, u16(field));
    if (bytes_.size() < size) return bad(std::string(field) + " is cut short");
    std::string value(bytes_.substr(0, size));
    bytes_.remove_prefix(size);
    return value;
  }
  Result<std::string> text(const char* field) {  // section 1.5.3
    GODWIT_TRY(std::string value, binary(field));
    if (value.find('\0') != std::string::npos) return bad(std::string(field) + " holds a NUL character");
    if (!is_valid_utf8(value)) return bad(std::string(field) + " is not UTF-8");
    return value;
  }
  Result<std::uint16_t> packet_id() {  // section 2.3.1
    GODWIT_TRY(const std::uint16_t id, u16("the packet identifier"));
    if (id == 0) return bad("the packet identifier is 0");
    return id;
  }
  Result<void> finish() const {
    if (!bytes_.empty()) return bad(std::to_string(bytes_.size()) + " bytes stand behind the last field");
    return {};
  }

 private:
  std::string_view bytes_;
};

Result<Packet> decode_connect(Reader in) {  // section 3.1
  Connect p;
  GODWIT_TRY(p.protocol_name, in.text("the protocol name"));
  GODWIT_TRY(p.protocol_level, in.u8("the protocol level"));
  // Section 3.1.2.2: another level is answered with code 1, so the rest, whose form is unknown, is not read.
  if (p.protocol_name != "MQTT" || p.protocol_level != 4) return Packet{std::move(p)};
  GODWIT_TRY(const std::uint8_t flags, in.u8("the connect flags"));
  if ((flags & 0x01U) != 0) return bad("the reserved connect flag is set");
  const bool has_will = (flags & 0x04U) != 0;
  const auto will_qos = static_cast<std::uint8_t>((flags >> 3) & 3U);
  if (will_qos == 3 || (!has_will && (flags & 0x38U) != 0)) return bad("the will flags contradict each other");
  const bool has_user_name = (flags & 0x80U) != 0;
  const bool has_password = (flags & 0x40U) != 0;
  if (has_password && !has_user_name) return bad("a password stands without a user name");
  p.clean_session = (flags & 0x02U) != 0;
  GODWIT_TRY(p.keep_alive_seconds, in.u16("the keep-alive time"));
  GODWIT_TRY(p.client_id, in.text("the client identifier"));
  if (has_will) {
    Will will;
    will.qos = will_qos;
    will.retain = (flags & 0x20U) != 0;
    GODWIT_TRY(will.topic, in.text("the will topic"));
    GODWIT_TRY(will.payload, in.binary("the will message"));
    p.will = std::move(will);
  }
  if (has_user_name) {
    GODWIT_TRY(p.user_name, in.text("the user name"));
  }
  if (has_password) {
    GODWIT_TRY(p.password, in.binary("the password"));
  }
  GODWIT_TRY_VOID(in.finish());
  return Packet{std::move(p)};
}

Result<Packet> decode_connect_ack(Reader in) {  // section 3.2
  GODWIT_TRY(const std::uint8_t flags, in.u8("the acknowledge flags"));
  GODWIT_TRY(const std::uint8_t code, in.u8("the return code"));
  if (flags > 1) return bad("reserved acknowledge flags are set");
  if (code > 5) return bad("the return code " + std::to_string(code) + " is not defined");
  GODWIT_TRY_VOID(in.finish());
  return Packet{ConnectAck{.session_present = flags == 1, .code = static_cast<ConnectReturn>(code)}};
}

Result<Packet> decode_publish(Reader in, unsigned flags) {  // section 3.3
  Publish p;
  p.qos = static_cast<std::uint8_t>((flags >> 1) & 3U);
  p.retain = (flags & 1U) != 0;
  p.duplicate = (flags & 8U) != 0;
  if (p.qos == 3) return bad("a PUBLISH asks for QoS 3");
  if (p.qos == 0 && p.duplicate) return bad("a PUBLISH with QoS 0 is marked as duplicate");
  // Wildcards are not refused here: an id may hold '+' and '#', and the ids stand in topic names.
  GODWIT_TRY(p.topic, in.text("the topic name"));
  if (p.topic.empty()) return bad("the topic name is empty");
  if (p.qos > 0) {
    GODWIT_TRY(p.packet_id, in.packet_id());
  }
  p.payload = in.take_rest();
  return Packet{std::move(p)};
}

Result<Packet> decode_subscribe(Reader in) {  // section 3.8
  Subscribe p;
  GODWIT_TRY(p.packet_id, in.packet_id());
  while (!in.is_at_end()) {
    TopicRequest topic;
    GODWIT_TRY(topic.filter, in.text("a topic filter"));
    GODWIT_TRY(topic.qos, in.u8("a requested QoS"));
    if (topic.filter.empty()) return bad("a topic filter is empty");
    if (topic.qos > 2) return bad("a subscription asks for QoS " + std::to_string(topic.qos));
    p.topics.push_back(std::move(topic));
  }
  if (p.topics.empty()) return bad("a SUBSCRIBE names no topic filter");
  return Packet{std::move(p)};
}

Result<Packet> decode_subscribe_ack(Reader in) {  // section 3.9
  SubscribeAck p;
  GODWIT_TRY(p.packet_id, in.packet_id());
  while (!in.is_at_end()) {
    GODWIT_TRY(const std::uint8_t code, in.u8("a return code"));
    if (code > 2 && code != kSubscribeFailure)
      return bad("the return code " + std::to_string(code) + " is not defined");
    p.codes.push_back(code);
  }
  if (p.codes.empty()) return bad("a SUBACK holds no return code");
  return Packet{std::move(p)};
}

Result<Packet> decode_unsubscribe(Reader in) {  // section 3.10
  Unsubscribe p;
  GODWIT_TRY(p.packet_id, in.packet_id());
  while (!in.is_at_end()) {
    GODWIT_TRY(std::string filter, in.text("a topic filter"));
    if (filter.empty()) return bad("a topic filter is empty");
    p.filters.push_back(std::move(filter));
  }
  if (p.filters.empty()) return bad("an UNSUBSCRIBE names no topic filter");
  return Packet{std::move(p)};
}

template <class Ack>
Result<Packet> decode_ack(Reader in) {
  GODWIT_TRY(const std::uint16_t id, in.packet_id());
  GODWIT_TRY_VOID(in.finish());
  return Packet{Ack{.packet_id = id}};
}

template <class Empty>
Result<Packet> decode_empty(const Reader& in) {
  GODWIT_TRY_VOID(in.finish());
  return Packet{Empty{}};
}

/// Table 2.2. Looked at before the length is believed, so that a foreign protocol is known by its first byte.
Result<void> check_flags(Type type, unsigned flags) {
  const unsigned wanted =
      type == Type::subscribe || type == Type::unsubscribe || type == Type::publish_release ? 2U : 0U;
  if (type == Type::publish || flags == wanted) return {};
  return bad("reserved flags of packet type " + std::to_string(static_cast<unsigned>(type)) + " are wrong");
}

Result<Packet> decode_body(Type type, unsigned flags, std::string_view body) {
  const Reader in{body};
  switch (type) {
    case Type::connect: return decode_connect(in);
    case Type::connect_ack: return decode_connect_ack(in);
    case Type::publish: return decode_publish(in, flags);
    case Type::publish_ack: return decode_ack<PublishAck>(in);
    case Type::subscribe: return decode_subscribe(in);
    case Type::subscribe_ack: return decode_subscribe_ack(in);
    case Type::unsubscribe: return decode_unsubscribe(in);
    case Type::unsubscribe_ack: return decode_ack<UnsubscribeAck>(in);
    case Type::ping_request: return decode_empty<PingRequest>(in);
    case Type::ping_response: return decode_empty<PingResponse>(in);
    case Type::disconnect: return decode_empty<Disconnect>(in);
    case Type::publish_received:
    case Type::publish_release:
    case Type::publish_complete: return fail(Code::unsupported, "packets of QoS 2 are not spoken here");
  }
  return bad("packet type " + std::to_string(static_cast<unsigned>(type)) + " is reserved");
}

struct FixedHeader {
  std::size_t header_size = 0;
  std::size_t body_size = 0;
};

/// Section 2.2.3. nullopt: the length is not whole yet.
Result<std::optional<FixedHeader>> read_fixed_header(std::string_view bytes) {
  std::size_t length = 0;
  for (std::size_t at = 1; at < bytes.size(); ++at) {
    const auto byte = static_cast<unsigned char>(bytes[at]);
    length |= static_cast<std::size_t>(byte & 0x7FU) << (7 * (at - 1));
    if ((byte & 0x80U) == 0) return std::optional{FixedHeader{.header_size = at + 1, .body_size = length}};
    if (at == 4) return bad("the remaining length has more than four bytes");
  }
  return std::optional<FixedHeader>{};
}

}  // namespace

void append_publish(std::string& out, std::string_view topic, std::string_view payload) {
  put_header(out, Type::publish, 0, 2 + topic.size() + payload.size());
  put_text(out, topic);
  out += payload;
}

std::string encode(const Packet& packet) { return std::visit(Encoder{}, packet); }

Result<std::optional<Decoded>> decode(std::string_view bytes, std::size_t limit) {
  if (bytes.empty()) return std::optional<Decoded>{};
  const auto first = static_cast<unsigned char>(bytes.front());
  const unsigned type = first >> 4;
  if (type == 0 || type == 15) return bad("packet type " + std::to_string(type) + " is reserved");
  GODWIT_TRY_VOID(check_flags(static_cast<Type>(type), first & 0x0FU));
  GODWIT_TRY(const std::optional<FixedHeader> header, read_fixed_header(bytes));
  if (!header) return std::optional<Decoded>{};
  if (header->body_size > limit)
    return fail(Code::too_large, "a packet of " + std::to_string(header->body_size) + " bytes is above the limit of " +
                                     std::to_string(limit));
  if (bytes.size() - header->header_size < header->body_size) return std::optional<Decoded>{};
  GODWIT_TRY(Packet packet,
             decode_body(static_cast<Type>(type), first & 0x0FU, bytes.substr(header->header_size, header->body_size)));
  return std::optional{Decoded{.packet = std::move(packet), .used = header->header_size + header->body_size}};
}

bool topic_matches(std::string_view filter, std::string_view topic) {
  // Section 4.7.2: a wildcard at the front does not match topics that begin with '$'.
  if (!topic.empty() && topic.front() == '$' && !filter.empty() && (filter.front() == '+' || filter.front() == '#'))
    return false;
  for (;;) {
    const std::size_t filter_end = filter.find('/');
    const std::string_view level = filter.substr(0, filter_end);
    if (level == "#") return filter_end == std::string_view::npos;  // only the last level may be '#'
    const std::size_t topic_end = topic.find('/');
    if (level != "+" && level != topic.substr(0, topic_end)) return false;
    const bool is_filter_done = filter_end == std::string_view::npos;
    const bool is_topic_done = topic_end == std::string_view::npos;
    if (is_filter_done) return is_topic_done;
    filter.remove_prefix(filter_end + 1);
    if (is_topic_done) return filter == "#";  // section 4.7.1.2: "sport/#" also matches "sport"
    topic.remove_prefix(topic_end + 1);
  }
}

}  // namespace godwit::mqtt
