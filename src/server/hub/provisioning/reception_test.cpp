// Goal: a device with nothing but its group's credential comes out with an identity that the hub lets in, and reaches
// nothing else on the way. Method: a real hub over a real store, devices on raw TLS.
#include "core/trust/test_certificates.hpp"
#include "server/hub/provisioning/registration_id.hpp"
#include "server/hub/test_hub.hpp"

namespace godwit::hub {
namespace {

using mqtt::ConnectReturn;

constexpr const char* kPut = "$dps/registrations/PUT/iotdps-register/?$rid=1";
const std::string kGroupKey = "the key of the whole group, 32 b";

class ReceptionTest : public HubTest {
 protected:
  void start_with_group() {
    start();
    write([&](store::Records& records) {
      return records.provisioning().insert_enrollment({.kind = store::EnrollmentKind::group,
                                                       .id = "line",
                                                       .primary_key = Secret(kGroupKey),
                                                       .secondary_key = Secret("second " + kGroupKey)});
    });
  }
  static std::string scope() { return default_id_scope(kHubName); }
  static mqtt::Connect connect_packet(const std::string& id, const std::string& key) {
    mqtt::Connect packet{.clean_session = true, .keep_alive_seconds = 60, .client_id = id};
    packet.user_name = scope() + "/registrations/" + id + "/api-version=2019-03-31&ClientVersion=test";
    if (!key.empty())
      packet.password = trust::make_sas(scope() + "/registrations/" + id, key, 4'102'444'800, "registration");
    return packet;
  }
  static std::string key_for(const std::string& id) { return trust::derive_device_key(kGroupKey, id); }
  /// CONNACK of a visit; `visitor` may have been given a certificate before.
  ConnectReturn visit(TestDevice& visitor, const std::string& id, const std::string& key) {
    EXPECT_TRUE(visitor.peer.open(hub_->port()));
    EXPECT_TRUE(visitor.send(connect_packet(id, key)));
    const auto ack = visitor.take<mqtt::ConnectAck>();
    EXPECT_TRUE(ack);
    return ack ? ack->code : ConnectReturn::bad_identifier;
  }
  static std::pair<std::string, json::Object> ask(TestDevice& visitor, const std::string& topic,
                                                  const std::string& body) {
    visitor.publish(topic, body);
    const auto answer = visitor.take<mqtt::Publish>();
    EXPECT_TRUE(answer);
    if (!answer) return {};
    return {answer->topic, json::parse_object(answer->payload).value_or(json::Object{})};
  }
  TestDevice visitor() const { return TestDevice(hub_->port(), "dev-1", ""); }
};

TEST_F(ReceptionTest, a_device_registers_with_its_derived_key_and_connects_with_it) {
  start_with_group();
  TestDevice guest = visitor();
  ASSERT_EQ(visit(guest, "dev-1", key_for("dev-1")), ConnectReturn::accepted);
  EXPECT_EQ(guest.subscribe({{.filter = "$dps/registrations/res/#", .qos = 1}}).codes, std::vector<std::uint8_t>{1});
  const auto [topic, body] = ask(guest, kPut, R"({"registrationId":"dev-1"})");
  EXPECT_EQ(topic, "$dps/registrations/res/200/?$rid=1");
  EXPECT_EQ(body.at("status").get_string(), "assigned");
  const json::Object& state = body.at("registrationState").get_object();
  EXPECT_EQ(state.at("assignedHub").get_string(), kHubName);
  EXPECT_EQ(state.at("deviceId").get_string(), "dev-1");

  const std::string operation(body.at("operationId").get_string());
  const auto [poll_topic, poll] =
      ask(guest, "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId=" + operation, " ");
  EXPECT_EQ(poll_topic, "$dps/registrations/res/200/?$rid=2");
  EXPECT_EQ(poll, body);
  const auto [unknown_topic, unknown] =
      ask(guest, "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=3&operationId=4.00", " ");
  EXPECT_EQ(unknown_topic, "$dps/registrations/res/404/?$rid=3");
  EXPECT_EQ(unknown.at("errorCode").get_int64(), 404001);

  TestDevice device(hub_->port(), "dev-1", key_for("dev-1"));
  EXPECT_EQ(device.connect().code, ConnectReturn::accepted);
  EXPECT_EQ(hub_->counters().registrations, 1U);
  EXPECT_EQ(hub_->counters().devices, 1U) << "a visitor is no device";
}

TEST_F(ReceptionTest, who_cannot_prove_itself_stays_outside_and_is_counted) {
  options_.limits.bad_credentials_per_address = 3;
  start_with_group();
  for (int i = 0; i < 3; ++i) {
    TestDevice guest = visitor();
    EXPECT_EQ(visit(guest, "dev-1", key_for("dev-2")), ConnectReturn::not_authorized);
  }
  EXPECT_TRUE(log_.contains("hub.address_shut_out"));
  TestDevice late = visitor();
  EXPECT_FALSE(late.peer.open(hub_->port()) && late.send(connect_packet("dev-1", key_for("dev-1"))) &&
               late.take<mqtt::ConnectAck>());
  EXPECT_FALSE(log_.contains("sig=")) << "a token was logged";
}

TEST_F(ReceptionTest, a_visitor_reaches_nothing_but_its_registration) {
  start_with_group();
  add_device("dev2");
  for (const char* topic :
       {"$iothub/twin/GET/?$rid=1", "$iothub/twin/PATCH/properties/reported/?$rid=1", "devices/dev2/messages/events/",
        "devices/dev-1/messages/events/", "$iothub/methods/res/200/?$rid=1", "$dps/registrations/res/200/?$rid=1"}) {
    TestDevice guest = visitor();
    ASSERT_EQ(visit(guest, "dev-1", key_for("dev-1")), ConnectReturn::accepted);
    const auto codes = guest
                           .subscribe({{.filter = "$iothub/twin/res/#", .qos = 0},
                                       {.filter = "$iothub/twin/PATCH/properties/desired/#", .qos = 0},
                                       {.filter = "#", .qos = 0},
                                       {.filter = "devices/dev2/messages/devicebound/#", .qos = 0}})
                           .codes;
    EXPECT_EQ(codes, std::vector<std::uint8_t>(4, 0x80));
    guest.publish(topic, "{}");
    EXPECT_TRUE(guest.is_closed_by_hub()) << topic;
  }
  EXPECT_EQ(hub_->counters().twin_gets, 0U);
  EXPECT_EQ(hub_->counters().telemetry, 0U);
}

TEST_F(ReceptionTest, bad_requests_are_answered_with_a_code_and_a_sentence) {
  start_with_group();
  TestDevice guest = visitor();
  ASSERT_EQ(visit(guest, "dev-1", key_for("dev-1")), ConnectReturn::accepted);
  guest.subscribe({{.filter = "$dps/registrations/res/#", .qos = 1}});
  for (const char* body : {R"({"registrationId":"dev-2"})", "no json", R"({"tpm":{"endorsementKey":"x"}})"}) {
    const auto [topic, answer] = ask(guest, kPut, body);
    EXPECT_EQ(topic, "$dps/registrations/res/400/?$rid=1") << body;
    EXPECT_EQ(answer.at("errorCode").get_int64(), 400001);
    EXPECT_FALSE(answer.at("message").get_string().empty());
  }
  EXPECT_TRUE(guest.is_quiet());
}

TEST_F(ReceptionTest, a_visit_has_an_end_in_time_requests_and_bytes) {
  options_.limits.visit_requests = 3;
  start_with_group();
  TestDevice busy = visitor();
  ASSERT_EQ(visit(busy, "dev-1", key_for("dev-1")), ConnectReturn::accepted);
  for (int i = 0; i < 4; ++i) busy.publish(kPut, "{}");
  EXPECT_TRUE(busy.is_closed_by_hub());
  TestDevice large = visitor();
  ASSERT_EQ(visit(large, "dev-1", key_for("dev-1")), ConnectReturn::accepted);
  large.publish(kPut, std::string(options_.limits.visit_payload_bytes + 1, 'x'));
  EXPECT_TRUE(large.is_closed_by_hub());
  TestDevice slow = visitor();
  ASSERT_EQ(visit(slow, "dev-1", key_for("dev-1")), ConnectReturn::accepted);
  EXPECT_TRUE(slow.is_quiet());
  clock_.advance(options_.limits.visit_time + Duration{1});
  EXPECT_TRUE(slow.is_closed_by_hub());
}

TEST_F(ReceptionTest, the_newest_visit_of_a_registration_wins) {
  start_with_group();
  TestDevice first = visitor();
  ASSERT_EQ(visit(first, "dev-1", key_for("dev-1")), ConnectReturn::accepted);
  TestDevice second = visitor();
  ASSERT_EQ(visit(second, "dev-1", key_for("dev-1")), ConnectReturn::accepted);
  EXPECT_TRUE(first.is_closed_by_hub());
  EXPECT_TRUE(second.is_quiet());
  TestDevice third = visitor();
  ASSERT_EQ(visit(third, "dev-3", key_for("dev-3")), ConnectReturn::accepted);
  EXPECT_TRUE(second.is_quiet());
}

TEST_F(ReceptionTest, a_certificate_serves_as_well_as_a_key) {
  const trust::MadeCertificate authority({.common_name = "Line", .is_authority = true});
  const trust::MadeCertificate own({.common_name = "dev-1"}, &authority);
  const trust::MadeCertificate stranger({.common_name = "dev-1"});
  start();
  write([&](store::Records& records) {
    return records.provisioning().insert_enrollment({.kind = store::EnrollmentKind::group,
                                                     .id = "line",
                                                     .attestation = store::Attestation::signing_certificate,
                                                     .primary_certificate = authority.pem()});
  });
  TestDevice bare = visitor();
  EXPECT_EQ(visit(bare, "dev-1", ""), ConnectReturn::not_authorized);
  TestDevice impostor = visitor();
  impostor.peer.show_certificate(stranger.pem(), stranger.key_pem());
  EXPECT_EQ(visit(impostor, "dev-1", ""), ConnectReturn::not_authorized);
  TestDevice guest = visitor();
  guest.peer.show_certificate(own.pem(), own.key_pem(), {authority.pem()});
  ASSERT_EQ(visit(guest, "dev-1", ""), ConnectReturn::accepted);
  guest.subscribe({{.filter = "$dps/registrations/res/#", .qos = 1}});
  EXPECT_EQ(ask(guest, kPut, "{}").second.at("status").get_string(), "assigned");

  TestDevice device(hub_->port(), "dev-1", "no key at all");
  device.peer.show_certificate(own.pem(), own.key_pem());
  EXPECT_EQ(device.connect({.has_password = false}).code, ConnectReturn::accepted);
}

TEST_F(ReceptionTest, a_hub_that_stops_ends_its_visits) {
  start_with_group();
  TestDevice guest = visitor();
  ASSERT_EQ(visit(guest, "dev-1", key_for("dev-1")), ConnectReturn::accepted);
  stop();
  EXPECT_TRUE(guest.is_closed_by_hub());
}

}  // namespace
}  // namespace godwit::hub
