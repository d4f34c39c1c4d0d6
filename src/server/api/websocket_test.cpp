// Goal: a right request on the HTTPS port becomes a device of the hub, with TLS, address and bytes that came early; a
// wrong one is told what is wrong and the connection goes on. Method: a real rim, for the whole way a real hub on its
// own loop.
#include "core/base/bytes.hpp"
#include "server/api/test_rig.hpp"
#include "server/hub/test_hub.hpp"
#include "server/net/test_websocket.hpp"

namespace godwit::api {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kPath = "/$iothub/websocket";

/// The hub behind a rim, as godwitd wires them.
class WebSocketRim : public ::testing::Test {
 protected:
  WebSocketRim() {
    hub::Options options{.address = "127.0.0.1", .port = 0, .names = {hub::kHubName}};
    options.limits.connections_per_address = 2;
    hub_ = std::make_unique<hub::Hub>(options, *rig_.store, observer_, *rig_.tls, rig_.clock, rig_.log);
    EXPECT_TRUE(hub_->start());
    const auto job = [this](store::Records& records) -> Result<void> {
      GODWIT_TRY(const auto identity, hub_->registry().create(records, {.id = hub::device_id("dev1"),
                                                                        .primary_key = std::string(kKey),
                                                                        .secondary_key = std::string(kKey)}));
      return {};
    };
    EXPECT_TRUE(rig_.store->write(job));
  }
  ~WebSocketRim() override { hub_->stop(); }

  static std::string connect_frame() {
    const hub::TestDevice device(0, "dev1", std::string(kKey));
    return net::client_frame(net::kTestBinary, mqtt::encode(device.connect_packet({})));
  }
  static bool eventually(const std::function<bool()>& holds) {
    for (int i = 0; i < 500 && !holds(); ++i) std::this_thread::sleep_for(10ms);
    return holds();
  }
  /// The device is answered by CONNACK 0 in a frame.
  static bool is_welcomed(net::TestFrames& frames) {
    const auto frame = frames.next();
    return frame && frame->opcode == net::kTestBinary && frame->payload == std::string("\x20\x02\x00\x00", 4);
  }

  static constexpr std::string_view kKey = "key-of-dev1-0123456789abcdef";
  hub::RememberingObserver observer_;
  std::unique_ptr<hub::Hub> hub_;  // destroyed after the store
  TestRig rig_{make_router(), {}, never_called<hub::Registry>(), 64, nullptr, [this](hub::WebSocketArrival arrival) {
                 hub_->adopt(std::move(arrival));
               }};
};

TEST_F(WebSocketRim, a_request_becomes_a_device_of_the_hub) {
  for (const std::string_view target :
       {kPath, std::string_view("/$iothub/websocket?iothub-no-client-cert=true"),
        std::string_view("/%24iothub/websocket"), std::string_view("/$IoTHub/WebSocket")}) {
    for (const std::string_view protocol : {"mqtt", "MQTT"}) {
      net::TestPeer peer;
      ASSERT_TRUE(peer.open(rig_.server->port()));
      ASSERT_TRUE(peer.write(net::upgrade_request(target, protocol)));
      net::TestFrames frames(peer);
      const std::string head = frames.take_head();
      EXPECT_TRUE(head.starts_with("HTTP/1.1 101 Switching Protocols\r\n")) << target << "\n" << head;
      EXPECT_NE(head.find("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), std::string::npos);
      EXPECT_NE(head.find("Sec-WebSocket-Protocol: " + std::string(protocol) + "\r\n"), std::string::npos) << head;
      ASSERT_TRUE(peer.write(connect_frame()));
      EXPECT_TRUE(is_welcomed(frames));
      EXPECT_EQ(rig_.server->connections(), 0U) << "the rim has let go of it";
      EXPECT_EQ(hub_->counters().devices, 1U);
    }
  }
}

TEST_F(WebSocketRim, bytes_behind_the_request_and_requests_before_it_are_served) {
  net::TestPeer peer;
  ASSERT_TRUE(peer.open(rig_.server->port()));
  const std::string frame = connect_frame();
  ASSERT_TRUE(peer.write(request_text("GET", "/healthz") + net::upgrade_request(kPath) + frame.substr(0, 50)));
  net::TestFrames frames(peer);
  EXPECT_TRUE(frames.take_head().starts_with("HTTP/1.1 200 OK\r\n"));
  EXPECT_EQ(frames.take_head("}"), R"({"status":"ok"})");
  EXPECT_TRUE(frames.take_head().starts_with("HTTP/1.1 101 "));
  ASSERT_TRUE(peer.write(frame.substr(50)));
  EXPECT_TRUE(is_welcomed(frames));
  TestClient other(rig_);
  EXPECT_EQ(other.send(request_text("GET", "/healthz")).status, 200);
}

TEST_F(WebSocketRim, wrong_requests_are_told_why_and_the_connection_goes_on) {
  struct Row {
    std::string request;
    int status;
    std::string_view word;
  };
  const std::string plain = "GET /$iothub/websocket HTTP/1.1\r\nHost: localhost\r\n";
  const std::string upgrade = plain + "Connection: Upgrade\r\nUpgrade: websocket\r\n";
  const std::string version = "Sec-WebSocket-Version: 13\r\n";
  const std::string key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
  const Row rows[] = {
      {plain + "\r\n", 426, "Upgrade: websocket"},
      {plain + "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n", 426, "Upgrade: websocket"},
      {upgrade + key + "Sec-WebSocket-Version: 8\r\n\r\n", 426, "13"},
      {upgrade + version + "Sec-WebSocket-Protocol: mqtt\r\n\r\n", 400, "Sec-WebSocket-Key"},
      {upgrade + version + key + key + "Sec-WebSocket-Protocol: mqtt\r\n\r\n", 400, "Sec-WebSocket-Key"},
      {upgrade + version + key + "\r\n", 400, "'mqtt'"},
      {upgrade + version + key + "Sec-WebSocket-Protocol: AMQPWSB10\r\n\r\n", 400, "'mqtt'"},
      {"POST" + upgrade.substr(3) + "\r\n", 405, "GET"},
  };
  TestClient client(rig_);
  for (const Row& row : rows) {
    const Answer answer = client.send(row.request);
    EXPECT_EQ(answer.status, row.status) << row.request << answer.body;
    EXPECT_NE(answer.body.find(row.word), std::string::npos) << answer.body;
    EXPECT_EQ(answer.headers.contains("upgrade"), row.status == 426);
    if (row.status != 426) continue;
    EXPECT_EQ(answer.headers.at("upgrade"), "websocket");
    EXPECT_EQ(answer.headers.at("sec-websocket-version"), "13");
  }
  EXPECT_EQ(
      client.send("HEAD" + upgrade.substr(3) + version + key + "Sec-WebSocket-Protocol: mqtt\r\n\r\n", true).status,
      426);
  EXPECT_EQ(client.send(request_text("GET", "/healthz")).status, 200);
  const Answer with_body = client.send(net::upgrade_request(kPath, "mqtt", "Content-Length: 4\r\n") + "body");
  EXPECT_EQ(with_body.status, 400);
  EXPECT_TRUE(client.is_ended()) << "what follows an unread body cannot be trusted";
  TestClient old(rig_);
  std::string http_1_0 = net::upgrade_request(kPath);
  http_1_0.replace(http_1_0.find("HTTP/1.1"), 8, "HTTP/1.0");
  EXPECT_EQ(old.send(http_1_0).status, 426);
  EXPECT_EQ(hub_->counters().connections, 0U);
}

TEST_F(WebSocketRim, a_hub_that_is_full_says_so_before_the_upgrade) {
  net::TestPeer peers[3];
  for (net::TestPeer& peer : peers) {
    ASSERT_TRUE(peer.open(rig_.server->port()));
    ASSERT_TRUE(peer.write(net::upgrade_request(kPath)));
    net::TestFrames frames(peer);
    const std::string head = frames.take_head();
    const bool is_last = &peer == &peers[2];
    EXPECT_TRUE(head.starts_with(is_last ? "HTTP/1.1 503 " : "HTTP/1.1 101 ")) << head;
    if (is_last) {
      EXPECT_NE(head.find("Retry-After: "), std::string::npos);
      EXPECT_TRUE(frames.is_at_end());
    }
  }
}

TEST_F(WebSocketRim, many_devices_come_at_once_through_both_loops) {
  // Goal: nothing is shared by the two loops; the thread sanitizer watches.
  std::atomic<int> welcomed = 0;
  std::vector<std::thread> visitors;
  for (int i = 0; i < 4; ++i)
    visitors.emplace_back([&] {
      for (int round = 0; round < 10; ++round) {
        net::TestPeer peer;
        if (!peer.open(rig_.server->port()) || !peer.write(net::upgrade_request(kPath) + connect_frame())) continue;
        net::TestFrames frames(peer);
        if (frames.take_head().starts_with("HTTP/1.1 101 ")) ++welcomed;
      }
    });
  for (std::thread& visitor : visitors) visitor.join();
  EXPECT_GT(welcomed, 0);
  EXPECT_TRUE(eventually([&] { return hub_->counters().connections == 0; }));
  net::TestPeer peer;
  ASSERT_TRUE(peer.open(rig_.server->port()));
  ASSERT_TRUE(peer.write(net::upgrade_request(kPath) + connect_frame()));
  net::TestFrames frames(peer);
  EXPECT_TRUE(frames.take_head().starts_with("HTTP/1.1 101 "));
}

TEST(WebSocketDoorless, a_rim_without_a_hub_says_that_it_has_none) {
  TestRig rig(make_router());
  TestClient client(rig);
  const Answer answer = client.send(net::upgrade_request(kPath));
  EXPECT_EQ(answer.status, 501);
  EXPECT_NE(answer.body.find("no hub"), std::string::npos) << answer.body;
}

}  // namespace
}  // namespace godwit::api
