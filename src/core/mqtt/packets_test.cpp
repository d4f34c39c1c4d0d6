#include "core/mqtt/packets.hpp"

#include <gtest/gtest.h>

#include <string>

#include "core/base/bytes.hpp"

namespace godwit::mqtt {
namespace {

constexpr std::size_t kLimit = 64 * 1024;

std::string bytes(std::string_view hex) {
  std::string packed;
  for (const char c : hex)
    if (c != ' ') packed += c;
  return *hex_decode(packed);
}

template <class T>
T decoded_as(std::string_view raw) {
  auto result = decode(raw, kLimit);
  EXPECT_TRUE(result) << (result ? "" : result.error().message);
  EXPECT_TRUE(result && *result && std::holds_alternative<T>((*result)->packet));
  EXPECT_EQ((*result)->used, raw.size());
  return std::get<T>((*result)->packet);
}

Code refusal(std::string_view raw) {
  const auto result = decode(raw, kLimit);
  EXPECT_FALSE(result) << hex_encode(raw);
  return result ? Code::ok : result.error().code;
}

TEST(Packets, connect_is_written_byte_for_byte_as_the_standard_draws_it) {
  // Section 3.1: name MQTT, level 4, flags user name + password + clean session, keep alive 60.
  const Connect connect{.clean_session = true,
                        .keep_alive_seconds = 60,
                        .client_id = "dev1",
                        .will = {},
                        .user_name = "u",
                        .password = "pw"};
  const std::string raw = encode(connect);
  EXPECT_EQ(hex_encode(raw), hex_encode(bytes("10 17 0004 4d515454 04 c2 003c 0004 64657631 0001 75 0002 7077")));
  const auto back = decoded_as<Connect>(raw);
  EXPECT_EQ(back.client_id, "dev1");
  EXPECT_EQ(back.user_name, "u");
  EXPECT_EQ(back.password, "pw");
  EXPECT_TRUE(back.clean_session);
  EXPECT_EQ(back.keep_alive_seconds, 60);
  EXPECT_FALSE(back.will);
}

TEST(Packets, a_will_survives_the_round_trip) {
  Connect connect{.client_id = "d"};
  connect.will =
      Will{.topic = "devices/d/messages/events/", .payload = std::string("\0\xFF", 2), .qos = 1, .retain = true};
  const auto back = decoded_as<Connect>(encode(connect));
  ASSERT_TRUE(back.will);
  EXPECT_EQ(back.will->topic, "devices/d/messages/events/");
  EXPECT_EQ(back.will->payload, std::string("\0\xFF", 2));
  EXPECT_EQ(back.will->qos, 1);
  EXPECT_TRUE(back.will->retain);
}

TEST(Packets, a_connect_of_another_protocol_level_is_readable_enough_to_be_answered) {
  const auto back = decoded_as<Connect>(bytes("10 0d 0004 4d515454 05 02 003c 00 0000"));  // MQTT 5 has properties here
  EXPECT_EQ(back.protocol_level, 5);
}

TEST(Packets, every_other_packet_survives_the_round_trip) {
  EXPECT_EQ(hex_encode(encode(ConnectAck{.session_present = true, .code = ConnectReturn::accepted})), "20020100");
  EXPECT_EQ(
      decoded_as<ConnectAck>(encode(ConnectAck{.session_present = false, .code = ConnectReturn::not_authorized})).code,
      ConnectReturn::not_authorized);
  const auto publish = decoded_as<Publish>(encode(
      Publish{.topic = "a/b", .payload = "body", .qos = 1, .retain = true, .duplicate = true, .packet_id = 513}));
  EXPECT_EQ(publish.topic, "a/b");
  EXPECT_EQ(publish.payload, "body");
  EXPECT_EQ(publish.packet_id, 513);
  EXPECT_TRUE(publish.retain && publish.duplicate);
  EXPECT_EQ(hex_encode(encode(Publish{.topic = "t", .payload = ""})), "3003000174");
  EXPECT_EQ(decoded_as<PublishAck>(encode(PublishAck{.packet_id = 7})).packet_id, 7);
  const auto subscribe = decoded_as<Subscribe>(
      encode(Subscribe{.packet_id = 2, .topics = {{.filter = "a/#", .qos = 1}, {.filter = "b", .qos = 0}}}));
  ASSERT_EQ(subscribe.topics.size(), 2U);
  EXPECT_EQ(subscribe.topics[0].filter, "a/#");
  EXPECT_EQ(subscribe.topics[0].qos, 1);
  EXPECT_EQ(decoded_as<SubscribeAck>(encode(SubscribeAck{.packet_id = 2, .codes = {0, 1, 0x80}})).codes,
            (std::vector<std::uint8_t>{0, 1, 0x80}));
  EXPECT_EQ(decoded_as<Unsubscribe>(encode(Unsubscribe{.packet_id = 3, .filters = {"x", "y"}})).filters,
            (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(decoded_as<UnsubscribeAck>(encode(UnsubscribeAck{.packet_id = 3})).packet_id, 3);
  decoded_as<PingRequest>(encode(PingRequest{}));
  decoded_as<PingResponse>(encode(PingResponse{}));
  decoded_as<Disconnect>(encode(Disconnect{}));
}

TEST(Packets, a_packet_that_is_cut_anywhere_asks_for_more) {
  const std::string whole =
      encode(Publish{.topic = "some/topic", .payload = std::string(300, 'x'), .qos = 1, .packet_id = 9});
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto result = decode(std::string_view(whole).substr(0, size), kLimit);
    ASSERT_TRUE(result) << size;
    EXPECT_FALSE(*result) << size;
  }
}

TEST(Packets, only_the_first_of_two_packets_is_taken) {
  const std::string two = encode(PublishAck{.packet_id = 1}) + encode(PublishAck{.packet_id = 2});
  const auto first = decode(two, kLimit);
  ASSERT_TRUE(first && *first);
  EXPECT_EQ((*first)->used, 4U);
}

TEST(Packets, remaining_length_uses_one_to_four_bytes) {
  for (const std::size_t payload : {std::size_t{0}, std::size_t{124}, std::size_t{125}, std::size_t{16380},
                                    std::size_t{16381}, std::size_t{2097148}, std::size_t{2097149}}) {
    const std::string raw = encode(Publish{.topic = "t", .payload = std::string(payload, 'p')});
    const auto result = decode(raw, 4 * 1024 * 1024);
    ASSERT_TRUE(result && *result) << payload;
    EXPECT_EQ((*result)->used, raw.size());
    EXPECT_EQ(std::get<Publish>((*result)->packet).payload.size(), payload);
  }
}

TEST(Packets, too_large_is_known_before_the_body_arrives) {
  const auto result = decode(bytes("30 ff ff 7f"), kLimit);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::too_large);
}

TEST(Packets, five_length_bytes_are_refused) { EXPECT_EQ(refusal(bytes("30 80 80 80 80 01")), Code::bad_packet); }

TEST(Packets, reserved_types_and_flags_are_refused) {
  EXPECT_EQ(refusal(bytes("00 00")), Code::bad_packet);
  EXPECT_EQ(refusal(bytes("f0 00")), Code::bad_packet);
  EXPECT_EQ(refusal(bytes("80 06 0001 0001 61 00")), Code::bad_packet);  // SUBSCRIBE without 0010
  EXPECT_EQ(refusal(bytes("c1 00")), Code::bad_packet);
  EXPECT_EQ(refusal(bytes("c0 01 00")), Code::bad_packet);
}

TEST(Packets, a_foreign_protocol_is_known_by_its_first_byte) { EXPECT_EQ(refusal("G"), Code::bad_packet); }

TEST(Packets, packets_of_qos_2_are_unsupported) {
  EXPECT_EQ(refusal(bytes("50 02 0001")), Code::unsupported);
  EXPECT_EQ(refusal(bytes("62 02 0001")), Code::unsupported);
  EXPECT_EQ(refusal(bytes("70 02 0001")), Code::unsupported);
  EXPECT_EQ(decoded_as<Publish>(bytes("34 05 0001 61 0001")).qos, 2);  // the caller decides about the PUBLISH itself
}

TEST(Packets, connect_flags_that_contradict_are_refused) {
  EXPECT_EQ(refusal(bytes("10 0d 0004 4d515454 04 03 003c 0001 61")), Code::bad_packet);  // reserved bit
  EXPECT_EQ(refusal(bytes("10 0d 0004 4d515454 04 22 003c 0001 61")), Code::bad_packet);  // will retain without will
  EXPECT_EQ(refusal(bytes("10 13 0004 4d515454 04 1e 003c 0001 61 0001 74 0001 6d")), Code::bad_packet);  // will QoS 3
  EXPECT_EQ(refusal(bytes("10 10 0004 4d515454 04 42 003c 0001 61 0001 70")),
            Code::bad_packet);  // password without user name
  EXPECT_EQ(refusal(bytes("10 0e 0004 4d515454 04 02 003c 0001 61 00")), Code::bad_packet);  // trailing byte
}

TEST(Packets, texts_must_be_whole_utf8_without_nul) {
  EXPECT_EQ(refusal(bytes("30 03 0001 ff")), Code::bad_packet);
  EXPECT_EQ(refusal(bytes("30 03 0001 00")), Code::bad_packet);
  EXPECT_EQ(refusal(bytes("30 03 0009 61")), Code::bad_packet);
  EXPECT_EQ(refusal(bytes("30 02 0000")), Code::bad_packet);
  EXPECT_EQ(refusal(bytes("30 01 00")), Code::bad_packet);
}

TEST(Packets, packet_identifiers_are_never_zero) {
  EXPECT_EQ(refusal(bytes("32 05 0001 61 0000")), Code::bad_packet);
  EXPECT_EQ(refusal(bytes("82 06 0000 0001 61 00")), Code::bad_packet);
  EXPECT_EQ(refusal(bytes("40 02 0000")), Code::bad_packet);
}

TEST(Packets, publish_and_subscribe_refuse_what_the_standard_forbids) {
  EXPECT_EQ(refusal(bytes("36 05 0001 61 0001")), Code::bad_packet);     // QoS 3
  EXPECT_EQ(refusal(bytes("38 03 0001 61")), Code::bad_packet);          // DUP with QoS 0
  EXPECT_EQ(refusal(bytes("82 02 0001")), Code::bad_packet);             // no filter
  EXPECT_EQ(refusal(bytes("82 06 0001 0001 61 03")), Code::bad_packet);  // QoS 3
  EXPECT_EQ(refusal(bytes("82 05 0001 0000 00")), Code::bad_packet);     // empty filter
  EXPECT_EQ(refusal(bytes("82 05 0001 0001 61")), Code::bad_packet);     // QoS missing
  EXPECT_EQ(refusal(bytes("a2 02 0001")), Code::bad_packet);
  EXPECT_EQ(refusal(bytes("90 03 0001 05")), Code::bad_packet);
}

TEST(Packets, filters_match_as_section_4_7_says) {
  const struct {
    const char* filter;
    const char* topic;
    bool matches;
  } cases[] = {
      {"sport/tennis/player1/#", "sport/tennis/player1", true},
      {"sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true},
      {"sport/#", "sport", true},
      {"#", "sport/tennis", true},
      {"sport/tennis/+", "sport/tennis/player1", true},
      {"sport/tennis/+", "sport/tennis/player1/ranking", false},
      {"sport/+", "sport", false},
      {"sport/+", "sport/", true},
      {"+/+", "/finance", true},
      {"/+", "/finance", true},
      {"+", "/finance", false},
      {"#", "$SYS/x", false},
      {"+/monitor", "$SYS/monitor", false},
      {"$SYS/#", "$SYS/x", true},
      {"$iothub/twin/res/#", "$iothub/twin/res/200/?$rid=1", true},
      {"a/#/b", "a/x/b", false},
      {"a", "a", true},
      {"a", "ab", false},
      {"ab", "a", false},
  };
  for (const auto& c : cases) EXPECT_EQ(topic_matches(c.filter, c.topic), c.matches) << c.filter << " " << c.topic;
}

TEST(MqttEncode, an_appended_publish_is_the_encoded_one) {
  for (const std::size_t size : {0U, 1U, 100U, 127U, 128U, 20'000U, 300'000U}) {
    const Publish packet{.topic = "$iothub/twin/res/200/?$rid=1", .payload = std::string(size, 'p')};
    std::string out = "before";
    append_publish(out, packet.topic, packet.payload);
    EXPECT_EQ(out, "before" + encode(packet)) << size;
  }
}

}  // namespace
}  // namespace godwit::mqtt
