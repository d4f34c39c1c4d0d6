// Goal: a device that comes by WebSocket is a device like any other: served, limited, timed and written down alike.
// Method: a real hub; in place of the HTTPS port a door that reads a greeting and hands the connection over; clients on
// raw TLS that mask their own frames.
#include "server/hub/test_hub.hpp"
#include "server/net/acceptor.hpp"
#include "server/net/loop.hpp"
#include "server/net/test_websocket.hpp"

namespace godwit::hub {
namespace {

using namespace std::chrono_literals;
using mqtt::ConnectReturn;

constexpr std::string_view kKnock = "KNOCK\r\n\r\n";
constexpr std::string_view kWelcome = "WELCOME\r\n\r\n";
constexpr std::string_view kNoRoom = "NO ROOM\r\n\r\n";

/// A device whose packets travel in frames.
class WebSocketDevice {
 public:
  WebSocketDevice(std::uint16_t port, const std::string& id, const std::string& key)
      : port_(port), writer_(0, id, key) {}

  /// The answer of the door. `behind` is sent in the same record as the knock.
  std::string knock(std::string_view behind = {}, int receive_buffer = 0) {
    EXPECT_TRUE(peer.dial(port_, receive_buffer) && peer.start_tls());
    EXPECT_TRUE(peer.write(std::string(kKnock).append(behind)));
    return frames.take_head();
  }
  ConnectReturn connect(const ConnectHow& how = {}) {
    EXPECT_EQ(knock({}, how.receive_buffer), kWelcome);
    send(connect_packet(how));
    return connect_answer();
  }
  ConnectReturn connect_answer() {
    const auto ack = take<mqtt::ConnectAck>();
    EXPECT_TRUE(ack) << "no CONNACK came";
    return ack ? ack->code : ConnectReturn::bad_identifier;
  }
  mqtt::Connect connect_packet(const ConnectHow& how = {}) const { return writer_.connect_packet(how); }
  bool send(const mqtt::Packet& packet) { return send_bytes(mqtt::encode(packet)); }
  bool send_bytes(std::string_view stream) { return peer.write(net::client_frame(net::kTestBinary, stream)); }

  /// The next packet; what is no data frame goes to `others`.
  std::optional<mqtt::Packet> next(std::chrono::milliseconds wait = std::chrono::seconds(5)) {
    for (;;) {
      auto decoded = mqtt::decode(stream_, 1024 * 1024);
      EXPECT_TRUE(decoded) << (decoded ? "" : decoded.error().message);
      if (!decoded) return std::nullopt;
      if (*decoded) {
        stream_.erase(0, (*decoded)->used);
        return std::move((*decoded)->packet);
      }
      const auto frame = frames.next(wait);
      if (!frame) return std::nullopt;
      if (frame->opcode == net::kTestBinary)
        stream_ += frame->payload;
      else
        others.push_back(*frame);
    }
  }
  template <class T>
  std::optional<T> take() {
    auto packet = next();
    if (!packet || !std::holds_alternative<T>(*packet)) return std::nullopt;
    return std::get<T>(*std::move(packet));
  }
  std::string take_publish() {
    const auto publish = take<mqtt::Publish>();
    return publish ? publish->topic + "|" + publish->payload : std::string{};
  }
  bool is_quiet() { return send(mqtt::PingRequest{}) && take<mqtt::PingResponse>().has_value(); }
  /// The number of the close frame with which the hub ended the connection; 0 when it did not.
  unsigned close_code() {
    const auto packet = next();
    if (packet || !peer.is_closed() || others.empty()) return 0;
    return others.back().close_code();
  }

  net::TestPeer peer;
  net::TestFrames frames{peer};
  std::vector<net::ServerFrame> others;

 private:
  std::uint16_t port_;
  TestDevice writer_;
  std::string stream_;
};

class WebSocket : public HubTest {
 protected:
  ~WebSocket() override {
    door_loop_.stop();
    waiting_.clear();
    stop();
  }
  void start_with_door() {
    start();
    ASSERT_TRUE(door_.open("127.0.0.1", 0));
    door_loop_.start();
    add_device("dev1");
  }
  /// Ends the loop that reads hub_.
  void close_door() { door_loop_.stop(); }
  WebSocketDevice visitor(const std::string& id = "dev1") const { return {door_port(), id, key_of(id)}; }
  [[nodiscard]] std::uint16_t door_port() const { return door_.port(); }
  std::string reason_of(const std::string& id) { return session_of(id).last_disconnect_reason; }
  bool ends_with(const std::string& reason) {
    return eventually([&] { return reason_of("dev1") == reason; });
  }

 private:
  void came(net::Tcp::socket socket) {
    auto connection = std::make_shared<net::Connection>(std::move(socket), *tls_);
    waiting_.push_back(connection);
    connection->start_handshake([this, connection](const Result<void>& outcome) {
      if (outcome) read(connection);
    });
  }
  void read(const std::shared_ptr<net::Connection>& connection) {
    connection->wait_readable([this, connection](bool) {
      char buffer[16 * 1024];
      const net::IoResult got = connection->read_some(buffer, sizeof buffer);
      if (got.status != net::IoStatus::ok) return read(connection);
      const std::string_view bytes(buffer, got.bytes);
      EXPECT_TRUE(bytes.starts_with(kKnock));
      hub_->adopt({.connection = connection->release(),
                   .welcome = std::string(kWelcome),
                   .refusal = std::string(kNoRoom),
                   .first_bytes = std::string(bytes.substr(kKnock.size()))});
    });
  }

  std::vector<std::shared_ptr<net::Connection>> waiting_;
  net::Loop door_loop_{"door"};
  net::Acceptor door_{door_loop_.context(), log_, [this](net::Tcp::socket socket) { came(std::move(socket)); }};
};

TEST_F(WebSocket, a_device_connects_reads_patches_and_hears_a_desired_change) {
  start_with_door();
  WebSocketDevice device = visitor();
  ASSERT_EQ(device.connect(), ConnectReturn::accepted);
  EXPECT_TRUE(eventually([&] { return session_of("dev1").is_connected; }));
  EXPECT_EQ(hub_->counters().devices, 1U);
  device.send(mqtt::Subscribe{
      .packet_id = 1,
      .topics = {{.filter = "$iothub/twin/res/#"}, {.filter = "$iothub/twin/PATCH/properties/desired/#"}}});
  ASSERT_TRUE(device.take<mqtt::SubscribeAck>());
  device.send(mqtt::Publish{.topic = "$iothub/twin/PATCH/properties/reported/?$rid=1", .payload = R"({"a":1})"});
  EXPECT_EQ(device.take_publish(), "$iothub/twin/res/204/?$rid=1&$version=2|");
  desire("dev1", R"({"b":2})");
  EXPECT_EQ(device.take_publish(), R"($iothub/twin/PATCH/properties/desired/?$version=2|{"b":2,"$version":2})");
  EXPECT_TRUE(device.is_quiet());
}

TEST_F(WebSocket, frames_and_packets_need_not_fit_together) {
  start_with_door();
  WebSocketDevice device = visitor();
  ASSERT_EQ(device.knock(), kWelcome);
  for (const char byte : mqtt::encode(device.connect_packet())) ASSERT_TRUE(device.send_bytes({&byte, 1}));
  ASSERT_EQ(device.connect_answer(), ConnectReturn::accepted);
  std::string many;
  for (int i = 0; i < 200; ++i) many += mqtt::encode(mqtt::PingRequest{});
  const std::string telemetry =
      mqtt::encode(mqtt::Publish{.topic = "devices/dev1/messages/events/", .payload = std::string(256 * 1024, 'x')});
  many += telemetry;
  // One message of three fragments whose borders lie inside packets, and a ping between them.
  ASSERT_TRUE(device.peer.write(net::client_frame(net::kTestBinary, many.substr(0, 101), false) +
                                net::client_frame(net::kTestPing, "are you there") +
                                net::client_frame(net::kTestContinuation, many.substr(101, 100'000), false) +
                                net::client_frame(net::kTestContinuation, many.substr(100'101))));
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(device.take<mqtt::PingResponse>()) << i;
  EXPECT_TRUE(device.is_quiet());
  EXPECT_EQ(hub_->counters().telemetry, 1U);
  ASSERT_EQ(device.others.size(), 1U);
  EXPECT_EQ(device.others[0].opcode, net::kTestPong);
  EXPECT_EQ(device.others[0].payload, "are you there");
}

TEST_F(WebSocket, what_was_read_behind_the_request_is_not_lost) {
  start_with_door();
  WebSocketDevice device = visitor();
  const std::string connect = net::client_frame(net::kTestBinary, mqtt::encode(device.connect_packet()));
  ASSERT_EQ(device.knock(connect.substr(0, 40)), kWelcome);
  ASSERT_TRUE(device.peer.write(connect.substr(40)));
  EXPECT_EQ(device.connect_answer(), ConnectReturn::accepted);
}

TEST_F(WebSocket, a_refused_device_hears_connack_and_then_a_close_frame) {
  start_with_door();
  WebSocketDevice guesser(visitor());
  ASSERT_EQ(guesser.knock(), kWelcome);
  mqtt::Connect packet = guesser.connect_packet();
  packet.password = trust::make_sas("hub.example/devices/dev1", "not the key", 4'102'444'800);
  guesser.send(packet);
  EXPECT_EQ(guesser.connect_answer(), ConnectReturn::not_authorized);
  EXPECT_EQ(guesser.close_code(), 1001U);
}

TEST_F(WebSocket, a_close_of_the_peer_is_answered_and_written_down_as_such) {
  start_with_door();
  {
    WebSocketDevice device = visitor();
    ASSERT_EQ(device.connect(), ConnectReturn::accepted);
    ASSERT_TRUE(device.peer.write(net::client_frame(net::kTestClose, net::close_payload(1000, "bye"))));
    EXPECT_EQ(device.close_code(), 1000U);
    EXPECT_TRUE(ends_with("the peer closed the WebSocket with code 1000"));
  }
  {
    // The first goodbye counts; the second is answered all the same.
    WebSocketDevice polite = visitor();
    ASSERT_EQ(polite.connect(), ConnectReturn::accepted);
    ASSERT_TRUE(polite.peer.write(net::client_frame(net::kTestBinary, mqtt::encode(mqtt::Disconnect{})) +
                                  net::client_frame(net::kTestClose, net::close_payload(3000))));
    EXPECT_EQ(polite.close_code(), 3000U);
    EXPECT_TRUE(ends_with("the device said goodbye"));
  }
  {
    WebSocketDevice brief = visitor();
    ASSERT_EQ(brief.connect(), ConnectReturn::accepted);
    brief.send(mqtt::Disconnect{});
    EXPECT_EQ(brief.close_code(), 1000U);
  }
  WebSocketDevice rude = visitor();
  ASSERT_EQ(rude.connect(), ConnectReturn::accepted);
  rude.peer.cut();
  EXPECT_TRUE(ends_with("the peer closed the connection"));
}

TEST_F(WebSocket, requests_before_a_close_are_still_served) {
  options_.limits.in_flight_per_device = 2;
  start_with_door();
  WebSocketDevice device = visitor();
  ASSERT_EQ(device.connect(), ConnectReturn::accepted);
  std::string burst;
  for (int i = 0; i < 20; ++i)
    burst += mqtt::encode(mqtt::Publish{.topic = "$iothub/twin/PATCH/properties/reported/?$rid=" + std::to_string(i),
                                        .payload = R"({"a":1})"});
  ASSERT_TRUE(device.peer.write(net::client_frame(net::kTestBinary, burst) + net::client_frame(net::kTestClose, {})));
  EXPECT_EQ(device.close_code(), 1005U);
  EXPECT_EQ(hub_->counters().reported_patches, 20U);
}

TEST_F(WebSocket, broken_rules_end_the_connection_with_their_number) {
  start_with_door();
  struct Row {
    std::string wire;
    unsigned code;
    std::string reason;
  };
  for (const Row& row :
       {Row{net::client_frame(net::kTestText, "hello"), 1003, "a WebSocket text frame came; MQTT goes in binary ones"},
        Row{"\x82\x02\xc0", 1002, "a WebSocket frame without a mask came"},
        Row{std::string("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xffmask"), 1009,
            "a WebSocket frame above 1048576 bytes came"}}) {
    WebSocketDevice device = visitor();
    ASSERT_EQ(device.connect(), ConnectReturn::accepted);
    ASSERT_TRUE(device.peer.write(row.wire));
    EXPECT_EQ(device.close_code(), row.code);
    EXPECT_TRUE(ends_with(row.reason)) << reason_of("dev1");
  }
  WebSocketDevice no_mqtt = visitor();
  ASSERT_EQ(no_mqtt.knock(), kWelcome);
  ASSERT_TRUE(no_mqtt.send_bytes("GET / HTTP/1.1\r\n\r\n"));
  EXPECT_EQ(no_mqtt.close_code(), 1001U);
}

TEST_F(WebSocket, pings_are_answered_but_do_not_keep_a_silent_device_alive) {
  start_with_door();
  WebSocketDevice device = visitor();
  ASSERT_EQ(device.connect({.keep_alive_seconds = 60}), ConnectReturn::accepted);
  clock_.advance(89s);
  std::this_thread::sleep_for(50ms);
  ASSERT_TRUE(device.peer.write(net::client_frame(net::kTestPing, "")));
  ASSERT_EQ(device.frames.next()->opcode, net::kTestPong);
  clock_.advance(2s);
  EXPECT_EQ(device.close_code(), 1001U);
  EXPECT_TRUE(ends_with("nothing was heard within the keep-alive time"));
  WebSocketDevice speaking = visitor();
  ASSERT_EQ(speaking.connect({.keep_alive_seconds = 60}), ConnectReturn::accepted);
  for (int i = 0; i < 3; ++i) {
    clock_.advance(89s);
    std::this_thread::sleep_for(50ms);
    ASSERT_TRUE(speaking.is_quiet());
  }
}

TEST_F(WebSocket, a_peer_that_only_pings_is_closed_in_time) {
  start_with_door();
  WebSocketDevice device = visitor();
  ASSERT_EQ(device.knock(), kWelcome);
  ASSERT_TRUE(device.peer.write(net::client_frame(net::kTestPing, "x")));
  ASSERT_EQ(device.frames.next()->payload, "x");
  clock_.advance(options_.limits.connect_time + 1s);
  EXPECT_EQ(device.close_code(), 1001U);
}

TEST_F(WebSocket, a_flood_of_empty_frames_and_pings_does_not_stop_others) {
  start_with_door();
  add_device("dev2");
  WebSocketDevice flooding = visitor();
  ASSERT_EQ(flooding.connect(), ConnectReturn::accepted);
  std::atomic<bool> is_done = false;
  std::thread flood([&] {
    std::string frames;
    for (int i = 0; i < 2000; ++i)
      frames += net::client_frame(net::kTestPing, std::string(125, 'x')) + net::client_frame(net::kTestBinary, "");
    while (!is_done && flooding.peer.write(frames)) {
    }
  });
  TestDevice other = device("dev2");
  EXPECT_EQ(other.connect().code, ConnectReturn::accepted);
  for (int i = 0; i < 50; ++i) EXPECT_TRUE(other.is_quiet());
  is_done = true;
  hub_->drop(device_id("dev1"), "enough");  // its pongs fill up, then it is not read any more
  flood.join();
}

TEST_F(WebSocket, a_device_that_does_not_read_is_dropped) {
  options_.limits.outgoing_bytes = 200 * 1024;
  start_with_door();
  WebSocketDevice slow = visitor();
  ASSERT_EQ(slow.connect({.receive_buffer = 4096}), ConnectReturn::accepted);
  slow.send(mqtt::Subscribe{.packet_id = 1, .topics = {{.filter = "$iothub/twin/PATCH/properties/desired/#"}}});
  ASSERT_TRUE(slow.take<mqtt::SubscribeAck>());
  for (int i = 0; i < 2000 && hub_->counters().devices == 1; ++i)
    hub_->push_desired(device_id("dev1"), std::string(30'000, 'x'), 2);
  EXPECT_TRUE(eventually([&] { return reason_of("dev1").starts_with("the device reads too slowly"); }));
}

TEST_F(WebSocket, both_ways_in_share_their_limits) {
  options_.limits.connections_per_address = 2;
  start_with_door();
  WebSocketDevice first = visitor();
  ASSERT_EQ(first.connect(), ConnectReturn::accepted);
  net::TestPeer second;
  ASSERT_TRUE(second.open(hub_->port()));
  WebSocketDevice third = visitor();
  EXPECT_EQ(third.knock(), kNoRoom);
  EXPECT_TRUE(third.frames.is_at_end());
  EXPECT_EQ(hub_->counters().turned_away, 1U);
  EXPECT_EQ(hub_->counters().connections, 2U);
  second.hang_up();
  ASSERT_TRUE(eventually([&] { return hub_->counters().connections == 1; }));
  WebSocketDevice fourth = visitor();
  EXPECT_EQ(fourth.knock(), kWelcome);
  net::TestPeer fifth;
  ASSERT_TRUE(fifth.dial(hub_->port()));
  EXPECT_FALSE(fifth.start_tls());
  EXPECT_TRUE(first.is_quiet());
}

TEST_F(WebSocket, more_than_may_come_in_a_second_are_told_to_come_again) {
  options_.limits.connects_per_second = 2;
  start_with_door();
  WebSocketDevice first = visitor();
  ASSERT_EQ(first.connect(), ConnectReturn::accepted);
  WebSocketDevice second = visitor("dev2");
  EXPECT_EQ(second.knock(), kWelcome);
  WebSocketDevice third = visitor("dev3");
  EXPECT_EQ(third.knock(), kNoRoom);
  EXPECT_EQ(hub_->counters().turned_away, 1U);
  clock_.advance(1s);
  WebSocketDevice fourth = visitor("dev4");
  EXPECT_EQ(fourth.knock(), kWelcome);
}

TEST_F(WebSocket, an_address_that_guesses_keys_is_shut_out_on_both_ways_in) {
  options_.limits.bad_credentials_per_address = 3;
  start_with_door();
  for (int i = 0; i < 3; ++i) {
    WebSocketDevice guesser(visitor("dev2"));
    EXPECT_EQ(guesser.connect(), ConnectReturn::not_authorized);
  }
  EXPECT_FALSE(device("dev1").open());
  EXPECT_EQ(visitor().knock(), kNoRoom);
  clock_.advance(options_.limits.bad_credentials_pause);
  EXPECT_EQ(visitor().connect(), ConnectReturn::accepted);
}

TEST_F(WebSocket, the_newest_connection_wins_whichever_way_it_came) {
  start_with_door();
  WebSocketDevice older = visitor();
  ASSERT_EQ(older.connect(), ConnectReturn::accepted);
  TestDevice newer = device("dev1");
  ASSERT_EQ(newer.connect().code, ConnectReturn::accepted);
  EXPECT_EQ(older.close_code(), 1001U);
  WebSocketDevice newest = visitor();
  ASSERT_EQ(newest.connect(), ConnectReturn::accepted);
  EXPECT_TRUE(newer.is_closed_by_hub());
  EXPECT_TRUE(newest.is_quiet());
}

TEST_F(WebSocket, a_stop_says_going_away_and_lets_nobody_in_afterwards) {
  start_with_door();
  WebSocketDevice device = visitor();
  ASSERT_EQ(device.connect(), ConnectReturn::accepted);
  hub_->stop();
  EXPECT_EQ(device.close_code(), 1001U);
  EXPECT_EQ(reason_of("dev1"), "the hub was stopped");
  // What arrives now waits for a loop that does not run any more, and is closed with the hub.
  net::TestPeer late;
  ASSERT_TRUE(late.open(door_port()));
  ASSERT_TRUE(late.write(kKnock));
  std::this_thread::sleep_for(50ms);
  close_door();
  hub_.reset();
  EXPECT_EQ(late.read(), "");
  EXPECT_TRUE(late.is_closed());
}

}  // namespace
}  // namespace godwit::hub
