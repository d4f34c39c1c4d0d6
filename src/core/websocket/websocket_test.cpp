// Goal: only a right request becomes a WebSocket, frames become the stream that they carry however they are cut, and
// each broken rule ends it with the number that RFC 6455 gives it.
#include "core/websocket/websocket.hpp"

#include <gtest/gtest.h>

#include "core/websocket/test_frames.hpp"

namespace godwit::websocket {
namespace {

using namespace std::string_literals;

constexpr Offer kGood{.connection = "keep-alive, Upgrade",
                      .upgrade = "websocket",
                      .version = "13",
                      .key = "dGhlIHNhbXBsZSBub25jZQ==",
                      .protocols = "mqtt"};

TEST(WebSocketHandshake, answers_with_the_key_of_the_standards_example) {
  const auto answer = accept(kGood, "mqtt");
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(*answer,
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n");
}

TEST(WebSocketHandshake, names_the_sub_protocol_as_it_was_offered) {
  struct Row {
    std::string_view offered;
    std::string_view named;
  };
  for (const auto& [offered, named] :
       {Row{"MQTT", "MQTT"}, Row{"mqttv3.1, mqtt", "mqtt"}, Row{" AMQPWSB10 ,\tMqtt ", "Mqtt"}}) {
    Offer offer = kGood;
    offer.protocols = offered;
    const auto answer = accept(offer, "mqtt");
    ASSERT_TRUE(answer) << offered;
    EXPECT_NE(answer->find("Sec-WebSocket-Protocol: " + std::string(named) + "\r\n"), std::string::npos) << *answer;
  }
}

TEST(WebSocketHandshake, tokens_are_matched_without_case_and_in_lists) {
  Offer offer = kGood;
  offer.connection = "UPGRADE";
  offer.upgrade = "h2c, WebSocket";
  EXPECT_TRUE(accept(offer, "mqtt"));
}

TEST(WebSocketHandshake, wrong_requests_are_refused_with_status_and_remedy) {
  struct Row {
    void (*spoil)(Offer&);
    int status;
    std::string_view word;
  };
  const Row rows[] = {
      {[](Offer& o) { o = {}; }, 426, "Upgrade: websocket"},
      {[](Offer& o) { o.upgrade = "h2c"; }, 426, "Upgrade: websocket"},
      {[](Offer& o) { o.upgrade = "websockets"; }, 426, "Upgrade: websocket"},
      {[](Offer& o) { o.connection = "close"; }, 426, "Connection: Upgrade"},
      {[](Offer& o) { o.version = ""; }, 426, "13"},
      {[](Offer& o) { o.version = "8"; }, 426, "13"},
      {[](Offer& o) { o.version = "13, 13"; }, 426, "13"},
      {[](Offer& o) { o.key = ""; }, 400, "Sec-WebSocket-Key"},
      {[](Offer& o) { o.key = "dGhlIHNhbXBsZSBub25j"; }, 400, "16 bytes"},
      {[](Offer& o) { o.key = "dGhlIHNhbXBsZSBub25jZTE="; }, 400, "16 bytes"},
      {[](Offer& o) { o.key = "this is no base64 :-)"; }, 400, "Sec-WebSocket-Key"},
      {[](Offer& o) { o.protocols = ""; }, 400, "Sec-WebSocket-Protocol"},
      {[](Offer& o) { o.protocols = "AMQPWSB10, mqttv3.1"; }, 400, "'mqtt'"},
  };
  for (const Row& row : rows) {
    Offer offer = kGood;
    row.spoil(offer);
    const auto answer = accept(offer, "mqtt");
    ASSERT_FALSE(answer) << row.word;
    EXPECT_EQ(answer.error().status, row.status) << answer.error().message;
    EXPECT_NE(answer.error().message.find(row.word), std::string::npos) << answer.error().message;
  }
}

// ---- frames ------------------------------------------------------------------------------------------------------

struct Heard {
  std::string stream{};
  std::string reply{};
  Framing framing{Limits{}};
};

/// Brings `wire` in pieces of `step` bytes.
Heard hear(std::string_view wire, std::size_t step, Limits limits = {}) {
  Heard heard{.framing = Framing(limits)};
  while (!wire.empty()) {
    std::string piece(wire.substr(0, step));
    wire.remove_prefix(piece.size());
    const auto unwrapped = heard.framing.unwrap(piece);
    heard.stream += piece.substr(0, unwrapped.bytes);
    heard.reply += unwrapped.reply;
  }
  return heard;
}

TEST(WebSocketFrames, carry_one_stream_however_they_are_cut) {
  std::string long_text;
  for (int i = 0; long_text.size() < 70'000; ++i) long_text += std::to_string(i) + ",";
  const std::string wire =
      client_frame(kTestBinary, "one") + client_frame(kTestBinary, "") + client_frame(kTestBinary, "two", false) +
      client_frame(kTestPing, "in between") + client_frame(kTestContinuation, "three", false) +
      client_frame(kTestContinuation, "") + client_frame(kTestBinary, std::string(125, 'a')) +
      client_frame(kTestBinary, std::string(126, 'b')) + client_frame(kTestBinary, long_text.substr(0, 65'535)) +
      client_frame(kTestPong, "unasked") + client_frame(kTestBinary, long_text);
  const std::string stream =
      "onetwothree" + std::string(125, 'a') + std::string(126, 'b') + long_text.substr(0, 65'535) + long_text;
  for (const std::size_t step : {1UL, 2UL, 3UL, 7UL, 125UL, 16'384UL, wire.size()}) {
    const Heard heard = hear(wire, step);
    EXPECT_EQ(heard.stream, stream) << step;
    EXPECT_EQ(heard.reply, "\x8a\x0ain between"s) << step;
    EXPECT_FALSE(heard.framing.is_over()) << heard.framing.end_reason();
  }
}

TEST(WebSocketFrames, broken_rules_end_it_with_their_number) {
  const std::string big_head = "\x82\xff\x00\x00\x00\x00\x00\x10\x00\x01mask"s;  // a promise of 1 MiB and a byte
  const std::string endless = "\x82\xff\xff\xff\xff\xff\xff\xff\xff\xffmask"s;
  const std::string half = client_frame(kTestBinary, "a", false);
  struct Row {
    std::string wire;
    unsigned code;
    std::string_view word;
  };
  const Row rows[] = {
      {client_frame(kTestText, "CONNECT"), 1003, "text frame"},
      {client_frame(kTestText, "", false), 1003, "text frame"},
      {"\x82\x01x", 1002, "without a mask"},
      {"\xc2\x81maskx", 1002, "reserved bits"},
      {"\xa2\x81maskx", 1002, "reserved bits"},
      {client_frame(3, "x"), 1002, "unknown kind"},
      {client_frame(11, "x"), 1002, "unknown kind"},
      {client_frame(kTestContinuation, "x"), 1002, "continues no message"},
      {half + client_frame(kTestBinary, "b"), 1002, "within another"},
      {client_frame(kTestPing, "x", false), 1002, "control frame in fragments"},
      {client_frame(kTestPing, std::string(126, 'x')), 1002, "125 bytes"},
      {client_frame(kTestClose, std::string(126, 'x')), 1002, "125 bytes"},
      {"\x82\xfe\x00\x05mask....."s, 1002, "too long"},
      {"\x82\xfe\x00\x7dmask"s, 1002, "too long"},
      {"\x82\xff\x00\x00\x00\x00\x00\x00\xff\xffmask"s, 1002, "too long"},
      {big_head, 1009, "1048576 bytes"},
      {endless, 1009, "1048576 bytes"},
      {client_frame(kTestClose, "x"), 1002, "bad code"},
      {client_frame(kTestClose, close_payload(999)), 1002, "bad code"},
      {client_frame(kTestClose, close_payload(1005)), 1002, "bad code"},
      {client_frame(kTestClose, close_payload(2999)), 1002, "bad code"},
      {client_frame(kTestClose, close_payload(1000, "\xff")), 1007, "bad text"},
  };
  for (const Row& row : rows) {
    for (const std::size_t step : {std::size_t{1}, row.wire.size()}) {
      const Heard heard = hear(row.wire, step);
      ASSERT_TRUE(heard.framing.is_over()) << row.word;
      EXPECT_NE(heard.framing.end_reason().find(row.word), std::string::npos) << heard.framing.end_reason();
      std::string answer = heard.framing.last_frame();
      const auto frame = take_server_frame(answer);
      ASSERT_TRUE(frame);
      EXPECT_EQ(frame->close_code(), row.code) << row.word;
      EXPECT_EQ(answer, "");
    }
  }
}

TEST(WebSocketFrames, a_message_in_fragments_has_a_limit_as_a_whole) {
  std::string wire = client_frame(kTestBinary, std::string(400, 'x'), false);
  for (int i = 0; i < 2; ++i) wire += client_frame(kTestContinuation, std::string(300, 'x'), false);
  const Limits limits{.frame_bytes = 400, .message_bytes = 1000};
  EXPECT_FALSE(hear(wire, 100, limits).framing.is_over());
  wire += client_frame(kTestContinuation, "y");
  const Heard heard = hear(wire, 100, limits);
  EXPECT_EQ(heard.framing.end_reason(), "a WebSocket message above 1000 bytes came");
  EXPECT_EQ(heard.stream, std::string(1000, 'x'));
  // The next message begins at nothing again.
  std::string two = client_frame(kTestBinary, std::string(400, 'x'));
  for (int i = 0; i < 4; ++i) two += two.substr(0, 400 + 8);
  EXPECT_FALSE(hear(two, 100, limits).framing.is_over());
}

TEST(WebSocketFrames, a_close_is_answered_with_its_own_number_and_nothing_behind_it_counts) {
  struct Row {
    std::string payload;
    unsigned code;
    std::string_view reason;
  };
  for (const Row& row : {Row{"", 1005, "the peer closed the WebSocket"},
                         Row{close_payload(1000), 1000, "the peer closed the WebSocket with code 1000"},
                         Row{close_payload(1001, "bye"), 1001, "the peer closed the WebSocket with code 1001"},
                         Row{close_payload(4999), 4999, "the peer closed the WebSocket with code 4999"}}) {
    const Heard heard = hear(client_frame(kTestBinary, "before") + client_frame(kTestClose, row.payload) +
                                 client_frame(kTestBinary, "behind") + client_frame(kTestPing, "behind"),
                             5);
    EXPECT_EQ(heard.stream, "before");
    EXPECT_EQ(heard.reply, "");
    EXPECT_EQ(heard.framing.end_reason(), row.reason);
    std::string answer = heard.framing.last_frame();
    EXPECT_EQ(take_server_frame(answer)->close_code(), row.code);
  }
}

TEST(WebSocketFrames, of_ours_are_whole_and_have_no_mask) {
  for (const std::size_t size : {0UL, 1UL, 125UL, 126UL, 65'535UL, 65'536UL, 1'000'000UL}) {
    std::string wire = binary_head(size) + std::string(size, 'x') + close_frame(CloseCode::going_away);
    const auto data = take_server_frame(wire);
    ASSERT_TRUE(data) << size;
    EXPECT_EQ(data->opcode, kTestBinary);
    EXPECT_EQ(data->payload.size(), size);
    EXPECT_EQ(take_server_frame(wire)->close_code(), 1001U);
    EXPECT_EQ(wire, "");
  }
}

TEST(WebSocketFrames, cost_an_idle_connection_little) { EXPECT_LE(sizeof(Framing), 144U); }

// ---- the client's half -------------------------------------------------------------------------------------------

constexpr std::string_view kKey = "dGhlIHNhbXBsZSBub25jZQ==";
constexpr Answer kGoodAnswer{.status = 101,
                             .connection = "Upgrade",
                             .upgrade = "websocket",
                             .accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
                             .protocol = "mqtt"};

TEST(WebSocketClient, asks_in_a_way_that_our_own_server_takes) {
  EXPECT_EQ(upgrade_request("hub.example:443", "/$iothub/websocket", "mqtt", kKey),
            "GET /$iothub/websocket HTTP/1.1\r\nHost: hub.example:443\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n");
}

TEST(WebSocketClient, takes_only_the_answer_to_its_own_request) {
  EXPECT_TRUE(check_answer(kGoodAnswer, "mqtt", kKey));
  struct Row {
    void (*spoil)(Answer&);
    Code code;
    std::string_view word;
  };
  const Row rows[] = {
      {[](Answer& a) { a.status = 200; }, Code::refused, "status 200"},
      {[](Answer& a) { a.status = 503; }, Code::unavailable, "status 503"},
      {[](Answer& a) { a.upgrade = "h2c"; }, Code::bad_packet, "something else"},
      {[](Answer& a) { a.connection = ""; }, Code::bad_packet, "something else"},
      {[](Answer& a) { a.accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOO="; }, Code::bad_packet, "another request"},
      {[](Answer& a) { a.protocol = ""; }, Code::bad_packet, "'mqtt'"},
      {[](Answer& a) { a.extensions = "permessage-deflate"; }, Code::bad_packet, "extension"},
  };
  for (const Row& row : rows) {
    Answer answer = kGoodAnswer;
    row.spoil(answer);
    const auto checked = check_answer(answer, "mqtt", kKey);
    ASSERT_FALSE(checked) << row.word;
    EXPECT_EQ(checked.error().code, row.code);
    EXPECT_NE(checked.error().message.find(row.word), std::string::npos) << checked.error().message;
  }
}

TEST(WebSocketClient, what_it_masks_its_server_reads_and_the_other_way_round) {
  for (const std::size_t size : {0UL, 1UL, 125UL, 126UL, 65'535UL, 65'536UL}) {
    const std::string payload(size, 'x');
    const std::string sent = masked_binary(payload);
    EXPECT_TRUE(size < 8 || sent.find("xxxxxxxx") == std::string::npos) << "not masked";
    const Heard at_server = hear(sent, 1000);
    EXPECT_EQ(at_server.stream, payload);
    EXPECT_FALSE(at_server.framing.is_over()) << at_server.framing.end_reason();

    Framing client(Limits{}, Side::client);
    std::string answer = binary_head(size) + payload + "\x89\x02hi"s;
    const auto unwrapped = client.unwrap(answer);
    EXPECT_EQ(answer.substr(0, unwrapped.bytes), payload);
    const Heard pong = hear(unwrapped.reply, 1);
    EXPECT_EQ(unwrapped.reply.substr(0, 2), "\x8a\x82"s) << "a pong under a mask";
    EXPECT_FALSE(pong.framing.is_over()) << pong.framing.end_reason();
  }
}

TEST(WebSocketClient, a_masked_frame_of_the_server_and_its_close_end_it) {
  Framing client(Limits{}, Side::client);
  std::string masked = client_frame(kTestBinary, "a");
  (void)client.unwrap(masked);
  EXPECT_NE(client.end_reason().find("with a mask"), std::string::npos);
  const Heard closing = hear(client.last_frame(), 1);
  EXPECT_NE(closing.framing.end_reason().find("1002"), std::string::npos) << closing.framing.end_reason();

  Framing closed(Limits{}, Side::client);
  std::string close = close_frame(CloseCode::going_away);
  (void)closed.unwrap(close);
  EXPECT_NE(closed.end_reason().find("code 1001"), std::string::npos);
}

}  // namespace
}  // namespace godwit::websocket
