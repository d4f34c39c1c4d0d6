// For tests of this room: a hub on a free port over a real store in a throw-away folder, a clock that can be moved from
// any thread, an observer that remembers, and a blocking MQTT device on a raw TLS client.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

#include "core/mqtt/packets.hpp"
#include "core/trust/sas.hpp"
#include "core/trust/test_sealer.hpp"
#include "server/hub/hub.hpp"
#include "server/hub/topics.hpp"
#include "server/net/test_peer.hpp"
#include "server/store/sqlite/sqlite_store.hpp"

namespace godwit::hub {

inline constexpr const char* kHubName = "hub.example";

class MovableClock final : public Clock {
 public:
  WallTime now() const override {
    return WallTime{std::chrono::sys_days{std::chrono::year{2026} / 5 / 1}} + monotonic();
  }
  Duration monotonic() const override { return Duration{elapsed_.load()}; }
  void advance(Duration by) { elapsed_ += by.count(); }

 private:
  std::atomic<std::int64_t> elapsed_{1'000'000};
};

class CountingLog final : public Log {
 public:
  void write(LogLevel, std::string_view event, std::initializer_list<LogField> fields) override {
    const std::lock_guard lock(mutex_);
    std::string line(event);
    for (const LogField& field : fields) line += " " + std::string(field.key) + "=" + field.value;
    text_ += line + "\n";
  }
  [[nodiscard]] bool contains(std::string_view text) const {
    const std::lock_guard lock(mutex_);
    return text_.find(text) != std::string::npos;
  }
  [[nodiscard]] std::string text() const {
    const std::lock_guard lock(mutex_);
    return text_;
  }

 private:
  mutable std::mutex mutex_;
  std::string text_;
};

/// Called on the writer thread, read by the test.
class RememberingObserver final : public TwinObserver {
 public:
  Result<void> on_created(store::Records&, const IdentityId& id) override { return note("created " + id.str()); }
  Result<void> on_removed(store::Records&, const IdentityId& id) override { return note("removed " + id.str()); }
  Result<void> on_reported(store::Records&, const IdentityId& id, const twin::Twin& twin,
                           const json::Object& patch) override {
    return note("reported " + id.str() + " " + json::print(patch) + " -> " + std::to_string(twin.reported.version));
  }
  Result<void> on_tags(store::Records& records, const IdentityId& id, const twin::Twin& twin) override {
    GODWIT_TRY_VOID(note("tags " + id.str() + " " + json::print(twin.tags)));
    return answer_to_tags_ ? answer_to_tags_(records, id) : Result<void>{};
  }
  Result<void> on_model(store::Records&, const IdentityId& id, const std::string& model_id) override {
    return note("model " + id.str() + " " + model_id);
  }

  [[nodiscard]] std::vector<std::string> events() const {
    const std::lock_guard lock(mutex_);
    return events_;
  }
  /// From now on every call fails.
  void fail_with(Code code) { failure_ = code; }
  /// What the service does when tags change, inside the same transaction. Before the first change.
  void answer_tags_with(std::function<Result<void>(store::Records&, const IdentityId&)> answer) {
    answer_to_tags_ = std::move(answer);
  }

 private:
  Result<void> note(std::string event) {
    if (failure_ != Code::ok) return fail(failure_, "the observer could not store");
    const std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
    return {};
  }
  mutable std::mutex mutex_;
  std::vector<std::string> events_;
  std::atomic<Code> failure_{Code::ok};
  std::function<Result<void>(store::Records&, const IdentityId&)> answer_to_tags_;
};

inline IdentityId device_id(const std::string& text) { return *IdentityId::parse(text); }

/// How a device says CONNECT.
struct ConnectHow {
  bool is_clean = false;
  std::uint16_t keep_alive_seconds = 60;
  std::string hub = kHubName;
  std::string client_id{};  // "" = the device id
  std::string scope{};      // "" = the right one
  std::int64_t expiry = 4'102'444'800;
  std::string query = "?api-version=2021-04-12&model-id=dtmi:azure:iot:deviceUpdateModel;3";
  std::optional<mqtt::Will> will{};
  int receive_buffer = 0;
  bool has_password = true;  // false: a certificate has to do
};

/// A device that waits for answers. `key` is raw.
class TestDevice {
 public:
  TestDevice(std::uint16_t port, std::string id, std::string key)
      : port_(port), id_(std::move(id)), key_(std::move(key)) {}

  bool open(const ConnectHow& how = {}) {
    if (!peer.dial(port_, how.receive_buffer) || !peer.start_tls()) return false;
    return send(connect_packet(how));
  }
  /// Opens and expects CONNACK.
  mqtt::ConnectAck connect(const ConnectHow& how = {}) {
    EXPECT_TRUE(open(how));
    const auto ack = take<mqtt::ConnectAck>();
    EXPECT_TRUE(ack) << "no CONNACK came";
    return ack.value_or(mqtt::ConnectAck{.code = mqtt::ConnectReturn::bad_identifier});
  }
  mqtt::Connect connect_packet(const ConnectHow& how) const {
    mqtt::Connect packet{.clean_session = how.is_clean,
                         .keep_alive_seconds = how.keep_alive_seconds,
                         .client_id = how.client_id.empty() ? id_ : how.client_id};
    packet.user_name = how.hub + "/" + id_ + "/" + how.query;
    packet.password = trust::make_sas(how.scope.empty() ? how.hub + "/devices/" + id_ : how.scope, key_, how.expiry);
    if (!how.has_password) packet.password.reset();
    packet.will = how.will;
    return packet;
  }
  bool send(const mqtt::Packet& packet) { return peer.write(mqtt::encode(packet)); }
  bool publish(const std::string& topic, const std::string& payload = "", std::uint8_t qos = 0) {
    mqtt::Publish packet{.topic = topic, .payload = payload, .qos = qos};
    if (qos > 0) packet.packet_id = ++packet_id_;
    return send(packet);
  }
  mqtt::SubscribeAck subscribe(const std::vector<mqtt::TopicRequest>& topics) {
    send(mqtt::Subscribe{.packet_id = ++packet_id_, .topics = topics});
    const auto ack = take<mqtt::SubscribeAck>();
    EXPECT_TRUE(ack) << "no SUBACK came";
    return ack.value_or(mqtt::SubscribeAck{});
  }
  void subscribe_twin() {
    subscribe(
        {{.filter = "$iothub/twin/res/#", .qos = 0}, {.filter = "$iothub/twin/PATCH/properties/desired/#", .qos = 0}});
  }

  /// The next packet, nullopt when none comes in time or the hub closed.
  std::optional<mqtt::Packet> next(std::chrono::milliseconds wait = std::chrono::seconds(5)) {
    for (;;) {
      auto decoded = mqtt::decode(buffer_, 1024 * 1024);
      EXPECT_TRUE(decoded) << (decoded ? "" : decoded.error().message);
      if (!decoded) return std::nullopt;
      if (*decoded) {
        buffer_.erase(0, (*decoded)->used);
        return std::move((*decoded)->packet);
      }
      const std::string more = peer.read(wait);
      if (more.empty()) return std::nullopt;
      buffer_ += more;
    }
  }
  template <class T>
  std::optional<T> take(std::chrono::milliseconds wait = std::chrono::seconds(5)) {
    auto packet = next(wait);
    if (!packet || !std::holds_alternative<T>(*packet)) return std::nullopt;
    return std::get<T>(*std::move(packet));
  }
  /// "topic|payload" of the next PUBLISH, "" when there is none.
  std::string take_publish(std::chrono::milliseconds wait = std::chrono::seconds(5)) {
    const auto publish = take<mqtt::Publish>(wait);
    return publish ? publish->topic + "|" + publish->payload : std::string{};
  }
  /// True when the hub closes without another packet.
  bool is_closed_by_hub() {
    const auto packet = next();
    return !packet && peer.is_closed();
  }
  /// Nothing is on its way: a PINGREQ is answered next.
  bool is_quiet() {
    send(mqtt::PingRequest{});
    return take<mqtt::PingResponse>().has_value();
  }

  net::TestPeer peer;

 private:
  std::uint16_t port_;
  std::string id_;
  std::string key_;
  std::string buffer_;
  std::uint16_t packet_id_ = 0;
};

class HubTest : public testing::Test {
 protected:
  HubTest() {
    options_.address = "127.0.0.1";
    options_.port = 0;
    options_.names = {kHubName, "localhost"};
    options_.limits.sweep_interval = Duration{10};
    options_.limits.connection_news_delay = Duration{5};
    net::write_test_certificate(folder_.path());
    auto tls = net::TlsContext::make_server(folder_.path() / "certificate.pem", folder_.path() / "key.pem",
                                            net::ClientCertificates::requested);
    EXPECT_TRUE(tls);
    tls_ = std::make_unique<net::TlsContext>(std::move(*tls));
    auto store = store::open_sqlite_store(folder_.path() / "test.sqlite", trust::test_sealer(), clock_, log_);
    EXPECT_TRUE(store) << (store ? "" : store.error().message);
    store_ = std::move(*store);
  }
  ~HubTest() override { stop(); }

  void start() {
    hub_ = std::make_unique<Hub>(options_, *store_, observer_, *tls_, clock_, log_);
    const auto started = hub_->start();
    ASSERT_TRUE(started) << started.error().message;
  }
  void stop() {
    if (hub_) hub_->stop();
    hub_.reset();
  }
  /// Runs `job` as the service would.
  void write(const store::Store::Job& job) {
    const auto done = store_->write(job);
    EXPECT_TRUE(done) << done.error().message;
  }
  void add_device(const std::string& id) {
    write([&](store::Records& records) -> Result<void> {
      GODWIT_TRY(const auto identity, hub_->registry().create(records, {.id = device_id(id),
                                                                        .primary_key = key_of(id),
                                                                        .secondary_key = "second-" + key_of(id)}));
      return {};
    });
  }
  void desire(const std::string& id, const std::string& patch, bool is_replace = false) {
    write([&](store::Records& records) -> Result<void> {
      GODWIT_TRY(auto object, json::parse_object(patch));
      GODWIT_TRY(const auto twin,
                 hub_->registry().change_twin(records, device_id(id),
                                              {.desired = std::move(object), .is_replace = is_replace}));
      return {};
    });
  }
  store::DeviceSession session_of(const std::string& id) {
    store::DeviceSession session;
    const auto done = store_->read([&](store::Records& records) -> Result<void> {
      GODWIT_TRY(const auto found, records.devices().find_session(device_id(id)));
      if (found) session = *found;
      return {};
    });
    EXPECT_TRUE(done);
    return session;
  }
  static std::string key_of(const std::string& id) { return "key-of-" + id + "-0123456789abcdef"; }
  TestDevice device(const std::string& id) const { return TestDevice(hub_->port(), id, key_of(id)); }
  static bool eventually(const std::function<bool()>& holds) {
    for (int i = 0; i < 500; ++i) {
      if (holds()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return holds();
  }

  net::TestFolder folder_;
  MovableClock clock_;
  CountingLog log_;
  RememberingObserver observer_;
  Options options_;
  std::unique_ptr<net::TlsContext> tls_;
  std::unique_ptr<Hub> hub_;  // destroyed after the store: jobs of the registry refer to it
  std::unique_ptr<store::Store> store_;
};

}  // namespace godwit::hub
