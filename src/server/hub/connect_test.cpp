// Goal: who comes in, who does not, and how a connection ends. Method: a real hub over a real store, devices on raw
// TLS.
#include "server/hub/test_hub.hpp"

namespace godwit::hub {
namespace {

using namespace std::chrono_literals;
using mqtt::ConnectReturn;

class Connect : public HubTest {};

TEST_F(Connect, a_registered_device_comes_in_and_the_service_hears_of_it) {
  start();
  add_device("dev1");
  TestDevice device = this->device("dev1");
  const auto ack = device.connect();
  EXPECT_EQ(ack.code, ConnectReturn::accepted);
  EXPECT_FALSE(ack.session_present);
  EXPECT_TRUE(device.is_quiet());
  EXPECT_EQ(observer_.events().back(), "model dev1 dtmi:azure:iot:deviceUpdateModel;3");
  EXPECT_TRUE(eventually([&] { return session_of("dev1").is_connected; }));
  EXPECT_EQ(session_of("dev1").model_id, "dtmi:azure:iot:deviceUpdateModel;3");
  EXPECT_EQ(hub_->counters().devices, 1U);
}

TEST_F(Connect, the_secondary_key_and_a_hub_name_with_port_are_as_good) {
  start();
  add_device("dev1");
  TestDevice device(hub_->port(), "dev1", "second-" + key_of("dev1"));
  EXPECT_EQ(device.connect({.hub = "localhost:" + std::to_string(hub_->port())}).code, ConnectReturn::accepted);
}

TEST_F(Connect, strangers_and_wrong_keys_are_refused_with_code_5_and_closed) {
  start();
  add_device("dev1");
  TestDevice stranger = device("dev9");
  EXPECT_EQ(stranger.connect().code, ConnectReturn::not_authorized);
  EXPECT_TRUE(stranger.is_closed_by_hub());
  TestDevice wrong_key(hub_->port(), "dev1", "not-the-key-of-this-device");
  EXPECT_EQ(wrong_key.connect().code, ConnectReturn::not_authorized);
  TestDevice wrong_hub = device("dev1");
  EXPECT_EQ(wrong_hub.connect({.hub = "another.example"}).code, ConnectReturn::not_authorized);
  TestDevice wrong_client = device("dev1");
  EXPECT_EQ(wrong_client.connect({.client_id = "dev2"}).code, ConnectReturn::not_authorized);
  TestDevice late = device("dev1");
  EXPECT_EQ(late.connect({.expiry = 1}).code, ConnectReturn::not_authorized);
  EXPECT_EQ(hub_->counters().refused, 5U);
  EXPECT_EQ(hub_->counters().connects, 0U);
  EXPECT_FALSE(log_.contains("sig=")) << "a token was logged";
}

TEST_F(Connect, a_token_of_a_policy_that_may_connect_devices_lets_any_device_in) {
  start();
  add_device("dev1");
  const std::string key = "key-of-the-policy-0123456789abcdef";
  const auto add_policy = [&](const std::string& name, store::AccessRight right) {
    write([&](store::Records& records) {
      return records.policies().insert({.name = name,
                                        .rights = static_cast<std::uint8_t>(right),
                                        .primary_key = Secret{key},
                                        .secondary_key = Secret{"other-" + key}});
    });
  };
  add_policy("gate", store::AccessRight::device_connect);
  add_policy("reader", store::AccessRight::registry_read);
  const auto connect_with = [&](const std::string& scope, const std::string& policy) {
    TestDevice device = this->device("dev1");
    auto packet = device.connect_packet({});
    packet.password = trust::make_sas(scope, key, 4'102'444'800, policy);
    EXPECT_TRUE(device.peer.open(hub_->port()));
    EXPECT_TRUE(device.send(packet));
    return device.take<mqtt::ConnectAck>()->code;
  };
  EXPECT_EQ(connect_with(kHubName, "gate"), ConnectReturn::accepted);
  EXPECT_EQ(connect_with(std::string(kHubName) + "/devices/dev1", "gate"), ConnectReturn::accepted);
  EXPECT_EQ(connect_with(std::string(kHubName) + "/devices/dev2", "gate"), ConnectReturn::not_authorized);
  EXPECT_EQ(connect_with(kHubName, "reader"), ConnectReturn::not_authorized);
  EXPECT_EQ(connect_with(kHubName, "nobody"), ConnectReturn::not_authorized);
}

TEST_F(Connect, another_protocol_level_is_answered_with_code_1) {
  start();
  TestDevice device = this->device("dev1");
  ASSERT_TRUE(device.peer.open(hub_->port()));
  auto packet = device.connect_packet({});
  packet.protocol_level = 5;
  ASSERT_TRUE(device.send(packet));
  EXPECT_EQ(device.take<mqtt::ConnectAck>()->code, ConnectReturn::bad_protocol);
  EXPECT_TRUE(device.is_closed_by_hub());
}

TEST_F(Connect, trouble_with_the_store_is_answered_with_code_3) {
  start();
  add_device("dev1");
  observer_.fail_with(Code::database_failed);
  TestDevice device = this->device("dev1");
  EXPECT_EQ(device.connect().code, ConnectReturn::unavailable);
  EXPECT_FALSE(session_of("dev1").is_connected);
}

TEST_F(Connect, a_disabled_device_is_refused_and_a_connected_one_is_dropped) {
  start();
  add_device("dev1");
  TestDevice device = this->device("dev1");
  ASSERT_EQ(device.connect().code, ConnectReturn::accepted);
  write([&](store::Records& records) -> Result<void> {
    GODWIT_TRY(const auto identity,
               hub_->registry().update(records, {.id = device_id("dev1"), .is_enabled = false}, std::nullopt));
    return {};
  });
  EXPECT_TRUE(device.is_closed_by_hub());
  TestDevice again = this->device("dev1");
  EXPECT_EQ(again.connect().code, ConnectReturn::not_authorized);
  EXPECT_TRUE(eventually([&] { return session_of("dev1").last_disconnect_reason == "the device was disabled"; }));
}

TEST_F(Connect, a_removed_device_is_dropped) {
  start();
  add_device("dev1");
  TestDevice device = this->device("dev1");
  ASSERT_EQ(device.connect().code, ConnectReturn::accepted);
  write([&](store::Records& records) { return hub_->registry().remove(records, device_id("dev1"), std::nullopt); });
  EXPECT_TRUE(device.is_closed_by_hub());
}

TEST_F(Connect, the_newest_connection_of_a_device_wins) {
  start();
  add_device("dev1");
  TestDevice older = device("dev1");
  ASSERT_EQ(older.connect().code, ConnectReturn::accepted);
  TestDevice newer = device("dev1");
  ASSERT_EQ(newer.connect().code, ConnectReturn::accepted);
  EXPECT_TRUE(older.is_closed_by_hub());
  EXPECT_TRUE(newer.is_quiet());
  EXPECT_EQ(hub_->counters().takeovers, 1U);
  EXPECT_EQ(hub_->counters().devices, 1U);
  EXPECT_TRUE(eventually([&] { return session_of("dev1").is_connected; }));
}

TEST_F(Connect, two_clients_that_evict_each_other_are_slowed_down_with_code_3) {
  options_.limits.takeovers_per_device = 3;
  start();
  add_device("dev1");
  std::vector<std::unique_ptr<TestDevice>> devices;
  std::vector<ConnectReturn> codes;
  for (int i = 0; i < 6; ++i) {
    devices.push_back(std::make_unique<TestDevice>(hub_->port(), "dev1", key_of("dev1")));
    codes.push_back(devices.back()->connect().code);
  }
  const auto yes = ConnectReturn::accepted, busy = ConnectReturn::unavailable;
  EXPECT_EQ(codes, (std::vector{yes, yes, yes, yes, busy, busy}));
  EXPECT_TRUE(devices[3]->is_quiet());
  clock_.advance(options_.limits.takeover_window);
  TestDevice later = device("dev1");
  EXPECT_EQ(later.connect().code, yes);
}

TEST_F(Connect, the_end_of_a_connection_is_written_down_with_its_reason) {
  start();
  add_device("dev1");
  {
    TestDevice polite = device("dev1");
    ASSERT_EQ(polite.connect().code, ConnectReturn::accepted);
    clock_.advance(5s);
    polite.send(mqtt::Disconnect{});
    EXPECT_TRUE(polite.is_closed_by_hub());
  }
  EXPECT_TRUE(eventually([&] { return session_of("dev1").last_disconnect_reason == "the device said goodbye"; }));
  EXPECT_EQ(session_of("dev1").last_activity, clock_.now());
  TestDevice rude = device("dev1");
  ASSERT_EQ(rude.connect().code, ConnectReturn::accepted);
  EXPECT_TRUE(eventually([&] { return session_of("dev1").is_connected; }));
  rude.peer.cut();
  EXPECT_TRUE(
      eventually([&] { return session_of("dev1").last_disconnect_reason == "the peer closed the connection"; }));
  EXPECT_FALSE(session_of("dev1").is_connected);
  EXPECT_EQ(hub_->counters().devices, 0U);
}

TEST_F(Connect, a_device_that_comes_back_at_once_stays_connected_in_the_records) {
  // Goal: the record of an older connection's end never overwrites the record of a younger one.
  options_.limits.takeovers_per_device = 1000;
  start();
  add_device("dev1");
  for (int round = 0; round < 20; ++round) {
    TestDevice first = device("dev1");
    ASSERT_EQ(first.connect().code, ConnectReturn::accepted);
    TestDevice second = device("dev1");
    ASSERT_TRUE(second.open());
    first.peer.cut();  // while the second is on its way
    ASSERT_EQ(second.take<mqtt::ConnectAck>()->code, ConnectReturn::accepted);
    ASSERT_TRUE(second.is_quiet());
    std::this_thread::sleep_for(2 * options_.limits.connection_news_delay);
    EXPECT_TRUE(eventually([&] { return session_of("dev1").is_connected; })) << round;
  }
}

TEST_F(Connect, an_expired_token_ends_the_connection_and_a_silent_device_too) {
  start();
  add_device("dev1");
  TestDevice device = this->device("dev1");
  const std::int64_t soon = to_unix_ms(clock_.now()) / 1000 + 100;
  ASSERT_EQ(device.connect({.keep_alive_seconds = 0, .expiry = soon}).code, ConnectReturn::accepted);
  clock_.advance(100s + options_.limits.clock_slack - 2s);
  std::this_thread::sleep_for(50ms);
  EXPECT_TRUE(device.is_quiet());
  clock_.advance(3s);
  EXPECT_TRUE(device.is_closed_by_hub());
  EXPECT_TRUE(eventually([&] { return session_of("dev1").last_disconnect_reason == "the token expired"; }));

  TestDevice silent = this->device("dev1");
  ASSERT_EQ(silent.connect({.keep_alive_seconds = 60}).code, ConnectReturn::accepted);
  clock_.advance(89s);
  std::this_thread::sleep_for(50ms);
  ASSERT_TRUE(silent.is_quiet());  // a ping counts
  clock_.advance(89s);
  std::this_thread::sleep_for(50ms);
  ASSERT_TRUE(silent.is_quiet());
  clock_.advance(91s);
  EXPECT_TRUE(silent.is_closed_by_hub());
}

TEST_F(Connect, half_open_peers_are_closed_in_time) {
  start();
  net::TestPeer no_tls;
  ASSERT_TRUE(no_tls.dial(hub_->port()));
  TestDevice no_connect = device("dev1");
  ASSERT_TRUE(no_connect.peer.open(hub_->port()));
  ASSERT_TRUE(no_connect.peer.write("\x10"));  // the beginning of a CONNECT
  ASSERT_TRUE(eventually([&] { return hub_->counters().connections == 2; }));
  clock_.advance(options_.limits.handshake_time + 1s);
  EXPECT_TRUE(no_tls.wait_for_bytes(5s));  // readable: the end of the stream
  EXPECT_TRUE(eventually([&] { return hub_->counters().connections <= 1; }));
  clock_.advance(options_.limits.connect_time + 1s);
  EXPECT_TRUE(no_connect.is_closed_by_hub());
  EXPECT_TRUE(eventually([&] { return hub_->counters().connections == 0; }));
}

TEST_F(Connect, limits_of_connections_turn_newcomers_away) {
  options_.limits.connections_per_address = 2;
  start();
  add_device("dev1");
  TestDevice first = device("dev1");
  ASSERT_EQ(first.connect().code, ConnectReturn::accepted);
  net::TestPeer second, third;
  ASSERT_TRUE(second.open(hub_->port()));
  ASSERT_TRUE(third.dial(hub_->port()));
  EXPECT_FALSE(third.start_tls());
  EXPECT_EQ(hub_->counters().turned_away, 1U);
  second.hang_up();
  ASSERT_TRUE(eventually([&] { return hub_->counters().connections == 1; }));
  net::TestPeer fourth;
  EXPECT_TRUE(fourth.open(hub_->port()));
  EXPECT_TRUE(first.is_quiet());
}

TEST_F(Connect, a_fleet_that_comes_all_at_once_waits_its_turn_and_nobody_is_lost) {
  // Goal: more newcomers than may shake hands at a time or than a second allows are let in later, not turned away.
  options_.limits.handshakes_in_flight = 2;
  options_.limits.connects_per_second = 20;
  start();
  constexpr int kDevices = 24;
  for (int i = 0; i < kDevices; ++i) add_device("dev" + std::to_string(i));
  std::vector<std::unique_ptr<TestDevice>> fleet;
  for (int i = 0; i < kDevices; ++i) {
    const std::string id = "dev" + std::to_string(i);
    fleet.push_back(std::make_unique<TestDevice>(hub_->port(), id, key_of(id)));
    ASSERT_TRUE(fleet.back()->peer.dial(hub_->port())) << i;
  }
  std::thread ticking([&] {
    while (hub_->counters().connects < kDevices) {
      clock_.advance(20ms);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  for (auto& device : fleet) {
    ASSERT_TRUE(device->peer.start_tls());
    ASSERT_TRUE(device->send(device->connect_packet({})));
    EXPECT_EQ(device->take<mqtt::ConnectAck>()->code, ConnectReturn::accepted);
  }
  ticking.join();
  EXPECT_EQ(hub_->counters().devices, static_cast<std::uint64_t>(kDevices));
}

TEST_F(Connect, an_address_that_guesses_keys_is_shut_out_for_a_while) {
  options_.limits.bad_credentials_per_address = 3;
  start();
  add_device("dev1");
  for (int i = 0; i < 3; ++i) {
    TestDevice guesser(hub_->port(), "dev1", "guess-number-" + std::to_string(i));
    EXPECT_EQ(guesser.connect().code, ConnectReturn::not_authorized);
  }
  TestDevice right = device("dev1");
  EXPECT_FALSE(right.open());
  EXPECT_TRUE(log_.contains("hub.address_shut_out"));
  clock_.advance(options_.limits.bad_credentials_pause);
  TestDevice later = device("dev1");
  EXPECT_EQ(later.connect().code, ConnectReturn::accepted);
}

TEST_F(Connect, packets_out_of_place_close_the_connection) {
  start();
  add_device("dev1");
  TestDevice no_connect = device("dev1");
  ASSERT_TRUE(no_connect.peer.open(hub_->port()));
  no_connect.send(mqtt::PingRequest{});
  EXPECT_TRUE(no_connect.is_closed_by_hub());
  const std::vector<mqtt::Packet> wrong = {device("dev1").connect_packet({}), mqtt::PingResponse{}, mqtt::ConnectAck{}};
  for (const mqtt::Packet& packet : wrong) {
    TestDevice device = this->device("dev1");
    ASSERT_EQ(device.connect().code, ConnectReturn::accepted);
    device.send(packet);
    EXPECT_TRUE(device.is_closed_by_hub()) << packet.index();
  }
}

TEST_F(Connect, bytes_that_are_no_mqtt_close_the_connection) {
  start();
  net::TestPeer browser;
  ASSERT_TRUE(browser.open(hub_->port()));
  ASSERT_TRUE(browser.write("GET / HTTP/1.1\r\n\r\n"));
  EXPECT_EQ(browser.read(), "");
  EXPECT_TRUE(browser.is_closed());
  net::TestPeer greedy;  // a CONNECT above the limit of unknown peers is refused from its header
  ASSERT_TRUE(greedy.open(hub_->port()));
  ASSERT_TRUE(greedy.write(std::string("\x10\xff\xff\x7f", 4)));
  EXPECT_EQ(greedy.read(), "");
  EXPECT_TRUE(greedy.is_closed());
}

TEST_F(Connect, a_will_must_be_telemetry_of_the_device_and_is_counted_when_the_device_vanishes) {
  start();
  add_device("dev1");
  TestDevice bad = device("dev1");
  EXPECT_EQ(bad.connect({.will = mqtt::Will{.topic = "devices/dev2/messages/events/", .payload = "x"}}).code,
            ConnectReturn::not_authorized);
  for (const bool is_polite : {true, false}) {
    TestDevice good = device("dev1");
    ASSERT_EQ(good.connect({.will = mqtt::Will{.topic = "devices/dev1/messages/events/", .payload = "x"}}).code,
              ConnectReturn::accepted);
    if (is_polite)
      good.send(mqtt::Disconnect{});
    else
      good.peer.cut();
    ASSERT_TRUE(eventually([&] { return hub_->counters().devices == 0; }));
    EXPECT_EQ(hub_->counters().telemetry, is_polite ? 0U : 1U);
  }
}

TEST_F(Connect, a_restart_marks_everybody_disconnected_and_a_stop_as_well) {
  start();
  add_device("dev1");
  {
    TestDevice device = this->device("dev1");
    ASSERT_EQ(device.connect().code, ConnectReturn::accepted);
    stop();
    EXPECT_TRUE(device.is_closed_by_hub());
  }
  EXPECT_FALSE(session_of("dev1").is_connected);
  EXPECT_EQ(session_of("dev1").last_disconnect_reason, "the hub was stopped");
  write([](store::Records& records) -> Result<void> {  // as a hub that was killed leaves it
    GODWIT_TRY(auto session, records.devices().find_session(device_id("dev1")));
    session->is_connected = true;
    return records.devices().save_session(device_id("dev1"), *session);
  });
  start();
  EXPECT_FALSE(session_of("dev1").is_connected);
}

TEST_F(Connect, a_device_that_connects_while_its_twin_changes_has_the_change_in_the_end) {
  // Goal: no change falls between the snapshot that CONNECT reads and the moment pushes reach the connection.
  options_.limits.takeovers_per_device = 1000;
  start();
  add_device("dev1");
  {
    TestDevice first = device("dev1");
    ASSERT_EQ(first.connect().code, ConnectReturn::accepted);
    first.subscribe_twin();
    first.send(mqtt::Disconnect{});
    ASSERT_TRUE(first.is_closed_by_hub());
  }
  for (int round = 1; round <= 50; ++round) {
    TestDevice device = this->device("dev1");
    ASSERT_TRUE(device.open());
    std::this_thread::sleep_for(std::chrono::microseconds(round * 60));
    desire("dev1", R"({"n":)" + std::to_string(round) + "}");
    ASSERT_EQ(device.take<mqtt::ConnectAck>()->code, ConnectReturn::accepted);
    const std::string wanted = "\"n\":" + std::to_string(round);
    bool has_come = false;
    for (int tries = 0; tries < 3 && !has_come; ++tries)
      has_come = device.take_publish().find(wanted) != std::string::npos;
    EXPECT_TRUE(has_come) << round;
  }
}

TEST_F(Connect, a_device_that_is_disabled_while_it_connects_is_not_in_afterwards) {
  start();
  for (int round = 0; round < 30; ++round) {
    const std::string id = "dev" + std::to_string(round);
    add_device(id);
    TestDevice device = this->device(id);
    ASSERT_TRUE(device.open());
    std::this_thread::sleep_for(std::chrono::microseconds(round * 100));
    write([&](store::Records& records) -> Result<void> {
      GODWIT_TRY(const auto identity,
                 hub_->registry().update(records, {.id = device_id(id), .is_enabled = false}, std::nullopt));
      return {};
    });
    while (device.next()) {
    }
    EXPECT_TRUE(device.peer.is_closed()) << round;
  }
  EXPECT_TRUE(eventually([&] { return hub_->counters().devices == 0; }));  // the peer hears of it first
}

TEST_F(Connect, the_last_activity_of_live_devices_is_saved_now_and_then) {
  start();
  add_device("dev1");
  TestDevice device = this->device("dev1");
  ASSERT_EQ(device.connect({.keep_alive_seconds = 0}).code, ConnectReturn::accepted);
  ASSERT_TRUE(eventually([&] { return session_of("dev1").is_connected; }));
  const WallTime at_connect = session_of("dev1").last_activity;
  clock_.advance(10s);
  ASSERT_TRUE(device.is_quiet());
  const WallTime at_ping = clock_.now();
  EXPECT_EQ(session_of("dev1").last_activity, at_connect);
  clock_.advance(options_.limits.activity_save_interval);
  EXPECT_TRUE(eventually([&] { return session_of("dev1").last_activity == at_ping; }));
}

}  // namespace
}  // namespace godwit::hub
