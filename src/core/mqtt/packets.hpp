// MQTT 3.1.1 control packets: encode and decode with limits. Source: OASIS MQTT Version 3.1.1, section numbers at each
// function. Knows nothing of topics' meaning. Pure; safe from any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/base/error.hpp"

namespace godwit::mqtt {

enum class ConnectReturn : std::uint8_t {
  accepted = 0,
  bad_protocol = 1,
  bad_identifier = 2,
  unavailable = 3,
  bad_credentials = 4,
  not_authorized = 5
};

struct Will {
  std::string topic{};
  std::string payload{};
  std::uint8_t qos = 0;
  bool retain = false;
};
struct Connect {
  std::string protocol_name = "MQTT";
  std::uint8_t protocol_level = 4;
  bool clean_session = false;
  std::uint16_t keep_alive_seconds = 0;
  std::string client_id{};
  std::optional<Will> will{};
  std::optional<std::string> user_name{};
  std::optional<std::string> password{};
};
struct ConnectAck {
  bool session_present = false;
  ConnectReturn code = ConnectReturn::accepted;
};
struct Publish {
  std::string topic{};
  std::string payload{};
  std::uint8_t qos = 0;
  bool retain = false;
  bool duplicate = false;
  std::uint16_t packet_id = 0;  // only with qos > 0
};
struct PublishAck {
  std::uint16_t packet_id = 0;
};
struct TopicRequest {
  std::string filter{};
  std::uint8_t qos = 0;
};
struct Subscribe {
  std::uint16_t packet_id = 0;
  std::vector<TopicRequest> topics{};
};
struct SubscribeAck {
  std::uint16_t packet_id = 0;
  std::vector<std::uint8_t> codes{};
};  // 0, 1, 2 or 0x80
struct Unsubscribe {
  std::uint16_t packet_id = 0;
  std::vector<std::string> filters{};
};
struct UnsubscribeAck {
  std::uint16_t packet_id = 0;
};
struct PingRequest {};
struct PingResponse {};
struct Disconnect {};

using Packet = std::variant<Connect, ConnectAck, Publish, PublishAck, Subscribe, SubscribeAck, Unsubscribe,
                            UnsubscribeAck, PingRequest, PingResponse, Disconnect>;

[[nodiscard]] std::string encode(const Packet& packet);
/// Appends a PUBLISH at QoS 0 (section 3.3) to `out`.
void append_publish(std::string& out, std::string_view topic, std::string_view payload);

struct Decoded {
  Packet packet;
  std::size_t used = 0;
};
/// Reads one packet from the front of `bytes`. nullopt: more bytes are needed. Errors: bad_packet, too_large (remaining
/// length above `limit`, known from the fixed header before the body arrives). PUBREC/PUBREL/PUBCOMP are unsupported
/// (QoS 2 is not spoken).
[[nodiscard]] Result<std::optional<Decoded>> decode(std::string_view bytes, std::size_t limit);

/// Topic filter match with + and # (section 4.7).
[[nodiscard]] bool topic_matches(std::string_view filter, std::string_view topic);

}  // namespace godwit::mqtt
