// Method: a real link against a real TLS server in the same process, on the loopback; the waits are short but real.
#include "device/agent/link.hpp"

#include <gtest/gtest.h>

#include <condition_variable>
#include <functional>

#include "core/base/testing/temp_folder.hpp"
#include "core/trust/sas.hpp"
#include "core/trust/test_certificates.hpp"
#include "device/agent/testing/fake_hub.hpp"

namespace godwit::agent {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const Bytes kKey = "0123456789abcdef0123456789abcdef";

class LinkTest : public ::testing::Test {
 protected:
  explicit LinkTest(const std::string& name = "127.0.0.1") : hub_(folder_.path(), name, kKey) {
    GODWIT_CHECK(write_file_durably(folder_.path() / "device.key", base64_encode(kKey) + "\n").has_value());
    settings_.target = {
        .host = "127.0.0.1", .port = std::to_string(hub_.port()), .tls_name = name, .ca_file = hub_.ca_file()};
    // Nobody listens there. A device that is refused asks for the time on this port, and whoever has 443 on this
    // machine may take longer to answer than a test waits.
    settings_.dial.websocket_port = "1";
    settings_.session.hub_name = "hub.example";
    settings_.session.device_id = "dev-1";
    settings_.session.identity_patch = "{\"identity\":true}";
    settings_.key_file = folder_.path() / "device.key";
    settings_.reconnect.first_wait = milliseconds(20);
    settings_.reconnect.longest_wait = milliseconds(50);
  }

  void connect() {
    link_ = std::make_unique<Link>(
        settings_, [this](LinkEvent event) { take(std::move(event)); }, clock_, random_, log_);
    ASSERT_TRUE(link_->start());
  }
  void take(LinkEvent event) {
    {
      const std::lock_guard lock(mutex_);
      events_.push_back(std::move(event));
    }
    changed_.notify_all();
  }
  template <class T>
  bool wait_for(
      const std::function<bool(const T&)>& wanted = [](const T&) { return true; }, std::size_t count = 1) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, seconds(10), [&] {
      std::size_t found = 0;
      for (const auto& event : events_) {
        const auto* one = std::get_if<T>(&event);
        if (one != nullptr && wanted(*one)) ++found;
      }
      return found >= count;
    });
  }

  TempFolder folder_;
  FakeHub hub_;
  LinkSettings settings_;
  SystemClock clock_;
  SeededRandom random_{3};
  NullLog log_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<LinkEvent> events_;
  std::unique_ptr<Link> link_;
};

TEST_F(LinkTest, brings_the_twin_and_takes_reports) {
  hub_.set_desired({{"a", 1}}, 5);
  connect();
  ASSERT_TRUE(wait_for<SessionDesired>([](const SessionDesired& desired) { return desired.version == 5; }));
  link_->send_patch(42, "{\"state\":0}");
  ASSERT_TRUE(
      wait_for<SessionAnswer>([](const SessionAnswer& answer) { return answer.token == 42 && answer.status == 204; }));
  const auto seen = hub_.seen();
  ASSERT_EQ(seen.reported.size(), 2U);
  EXPECT_EQ(seen.reported[0], "{\"identity\":true}");
  EXPECT_EQ(seen.reported[1], "{\"state\":0}");
  hub_.set_desired({{"a", 2}}, 6);
  ASSERT_TRUE(wait_for<SessionDesired>([](const SessionDesired& desired) { return desired.version == 6; }));
  link_->stop();
  EXPECT_TRUE(hub_.wait_for([](const FakeHub::Seen& now) { return now.disconnects == 1; })) << "says good-bye";
}

TEST_F(LinkTest, comes_back_after_a_broken_connection) {
  connect();
  ASSERT_TRUE(wait_for<LinkOnline>());
  hub_.drop_connection();
  ASSERT_TRUE(wait_for<LinkOffline>());
  ASSERT_TRUE(wait_for<LinkOnline>([](const LinkOnline&) { return true; }, 2));
  EXPECT_TRUE(hub_.wait_for([](const FakeHub::Seen& seen) { return seen.connections == 2; }));
}

TEST_F(LinkTest, keeps_trying_while_the_hub_refuses) {
  hub_.refuse(mqtt::ConnectReturn::unavailable);
  connect();
  ASSERT_TRUE(hub_.wait_for([](const FakeHub::Seen& seen) { return seen.refusals >= 3; }));
  hub_.refuse(mqtt::ConnectReturn::accepted);
  ASSERT_TRUE(wait_for<LinkOnline>());
}

TEST_F(LinkTest, renews_its_token_by_a_new_connection) {
  settings_.token_lifetime = seconds(2);
  connect();
  ASSERT_TRUE(hub_.wait_for([](const FakeHub::Seen& seen) { return seen.connections >= 2; }));
  const auto seen = hub_.seen();
  EXPECT_NE(seen.passwords[0], seen.passwords[1]);
  EXPECT_EQ(seen.disconnects, 1);
}

TEST_F(LinkTest, a_wrong_key_is_refused_and_a_replaced_key_file_is_read) {
  ASSERT_TRUE(write_file_durably(folder_.path() / "device.key", base64_encode("another key, not the registered one")));
  connect();
  ASSERT_TRUE(hub_.wait_for([](const FakeHub::Seen& seen) { return seen.refusals >= 1; }));
  ASSERT_TRUE(write_file_durably(folder_.path() / "device.key", base64_encode(kKey)));
  ASSERT_TRUE(wait_for<LinkOnline>());
}

TEST_F(LinkTest, a_certificate_speaks_for_the_device_and_a_renewed_one_is_taken_into_use) {
  const trust::MadeCertificate first({.common_name = "first"});
  const trust::MadeCertificate second({.common_name = "second"});
  const Path chain = folder_.path() / "device.pem";
  const Path key = folder_.path() / "device-key.pem";
  const auto write = [](const Path& path, const std::string& text) {
    GODWIT_CHECK(write_file_durably(path, text).has_value());
  };
  write(chain, first.pem());
  write(key, first.key_pem());
  settings_.target.certificate = {.chain_file = chain, .key_file = key};
  settings_.certificate_check = milliseconds(20);
  settings_.key_file.clear();
  connect();
  ASSERT_TRUE(wait_for<SessionDesired>());
  EXPECT_EQ(hub_.seen().certificates, std::vector<std::string>{"first"});
  EXPECT_EQ(hub_.seen().passwords, std::vector<std::string>{""});

  write(chain, second.pem());  // a renewal begins; the key does not fit yet
  std::this_thread::sleep_for(milliseconds(200));
  EXPECT_EQ(hub_.seen().connections, 1);
  EXPECT_EQ(hub_.seen().disconnects, 0) << "half a renewal does not cost the connection";
  write(key, second.key_pem());
  ASSERT_TRUE(hub_.wait_for([](const FakeHub::Seen& seen) { return seen.connections == 2; }));
  EXPECT_EQ(hub_.seen().certificates.back(), "second");
  EXPECT_EQ(hub_.seen().disconnects, 1) << "the old connection ended with a good-bye";
}

// faults: 31
// faults: 31
TEST_F(LinkTest, a_renewed_certificate_ends_the_wait_of_a_device_that_was_refused) {
  const trust::MadeCertificate first({.common_name = "first"});
  const trust::MadeCertificate second({.common_name = "second"});
  settings_.target.certificate = {.chain_file = folder_.path() / "device.pem", .key_file = folder_.path() / "key.pem"};
  const auto place = [&](const trust::MadeCertificate& made) {
    GODWIT_CHECK(write_file_durably(settings_.target.certificate.key_file, made.key_pem()).has_value());
    GODWIT_CHECK(write_file_durably(settings_.target.certificate.chain_file, made.pem()).has_value());
  };
  place(first);
  settings_.certificate_check = milliseconds(20);
  settings_.reconnect.refused_wait = settings_.reconnect.longest_wait = std::chrono::hours(1);
  hub_.refuse(mqtt::ConnectReturn::not_authorized);
  connect();
  ASSERT_TRUE(hub_.wait_for([](const FakeHub::Seen& seen) { return seen.refusals == 1; }));
  hub_.refuse(mqtt::ConnectReturn::accepted);
  std::this_thread::sleep_for(milliseconds(200));
  EXPECT_EQ(hub_.seen().connections + hub_.seen().refusals, 1) << "the same files are no reason to ask";
  place(second);
  ASSERT_TRUE(wait_for<LinkOnline>());
  EXPECT_EQ(hub_.seen().certificates.back(), "second");
}

TEST_F(LinkTest, does_not_talk_to_a_hub_with_another_name) {
  settings_.target.tls_name = "other.example";
  connect();
  std::this_thread::sleep_for(milliseconds(150));
  link_->stop();
  EXPECT_EQ(hub_.seen().connections + hub_.seen().refusals, 0);
}

TEST_F(LinkTest, does_not_talk_to_a_hub_of_another_authority) {
  const TempFolder other_folder;
  const FakeHub other(other_folder.path(), "127.0.0.1", kKey);
  settings_.target.ca_file = other.ca_file();
  connect();
  std::this_thread::sleep_for(milliseconds(150));
  link_->stop();
  EXPECT_EQ(hub_.seen().connections + hub_.seen().refusals, 0);
}

TEST_F(LinkTest, speaks_in_a_websocket_as_it_does_without) {
  settings_.dial.fixed = Way::websocket;
  settings_.dial.websocket_port = settings_.target.port;
  settings_.target.port = "1";
  hub_.set_desired({{"a", std::string(100'000, 'x')}}, 5);
  connect();
  ASSERT_TRUE(wait_for<SessionDesired>([](const SessionDesired& desired) { return desired.version == 5; }));
  link_->send_patch(42, "{\"text\":\"" + std::string(30'000, 'y') + "\"}");
  ASSERT_TRUE(wait_for<SessionAnswer>([](const SessionAnswer& answer) { return answer.token == 42; }));
  EXPECT_EQ(hub_.seen().reported.back().size(), 30'011U);
  EXPECT_EQ(hub_.seen().websockets, 1);
  hub_.drop_connection();
  ASSERT_TRUE(wait_for<LinkOnline>([](const LinkOnline&) { return true; }, 2)) << "comes back";
}

TEST_F(LinkTest, falls_back_to_a_websocket_and_remembers_it) {
  settings_.dial.fixed = std::nullopt;
  settings_.dial.memory_file = folder_.path() / "transport.json";
  settings_.dial.websocket_port = settings_.target.port;
  settings_.target.port = "1";  // nothing listens there
  settings_.reconnect.first_wait = seconds(20);
  settings_.reconnect.longest_wait = seconds(20);
  connect();
  ASSERT_TRUE(wait_for<LinkOnline>()) << "at once, not after a wait";
  link_->stop();
  settings_.target.port = settings_.dial.websocket_port;  // both would work now
  connect();
  ASSERT_TRUE(wait_for<LinkOnline>([](const LinkOnline&) { return true; }, 2));
  EXPECT_EQ(hub_.seen().websockets, 2);
}

// faults: 29
TEST_F(LinkTest, a_port_that_makes_no_websocket_is_told_and_tried_again) {
  settings_.dial.fixed = Way::websocket;
  settings_.dial.websocket_port = settings_.target.port;
  settings_.reconnect.refused_wait = milliseconds(20);
  for (const std::string answer :
       {"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>please log in</html>",
        "220 mail.example ESMTP\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
        "AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"}) {
    const int before = hub_.seen().websockets;
    hub_.refuse_websockets_with(answer);
    connect();
    ASSERT_TRUE(hub_.wait_for([&](const FakeHub::Seen& seen) { return seen.websockets >= before + 2; })) << answer;
    EXPECT_EQ(hub_.seen().connections, 0);
    link_->stop();
  }
  hub_.refuse_websockets_with("");
  connect();
  ASSERT_TRUE(wait_for<LinkOnline>());
}

TEST_F(LinkTest, stops_at_once_while_it_waits) {
  settings_.target.port = "1";
  settings_.reconnect.first_wait = seconds(60);
  settings_.reconnect.longest_wait = seconds(60);
  connect();
  std::this_thread::sleep_for(milliseconds(50));
  const auto begun = clock_.monotonic();
  link_->stop();
  EXPECT_LT(clock_.monotonic() - begun, seconds(5));
}

TEST(TlsConnection, names_what_is_wrong) {
  const TempFolder folder;
  FakeHub hub(folder.path(), "hub.example", kKey);
  const auto problem_of = [&](TlsTarget target) -> std::string {
    auto connection = TlsConnection::open(target);
    if (!connection) return connection.error().message;
    for (int i = 0; i < 2000; ++i) {
      const auto done = (*connection)->proceed();
      if (!done) return done.error().message;
      if (*done) return "";
      std::this_thread::sleep_for(milliseconds(1));
    }
    return "still waiting";
  };
  const std::string port = std::to_string(hub.port());
  EXPECT_EQ(problem_of({"127.0.0.1", port, "hub.example", hub.ca_file()}), "");
  EXPECT_NE(problem_of({"127.0.0.1", port, "other.example", hub.ca_file()}).find("hostname mismatch"),
            std::string::npos);
  EXPECT_NE(problem_of({"127.0.0.1", port, "127.0.0.1", hub.ca_file()}).find("IP address mismatch"), std::string::npos);
  EXPECT_NE(problem_of({"127.0.0.1", "1", "hub.example", hub.ca_file()}).find("connect to 127.0.0.1:1"),
            std::string::npos);
  EXPECT_NE(problem_of({"127.0.0.1", port, "hub.example", folder.path() / "missing.pem"}).find("missing.pem"),
            std::string::npos);
}

// faults: 19, 31
TEST(TlsConnection, judges_certificates_by_the_time_it_is_told) {
  const TempFolder folder;
  FakeHub hub(folder.path(), "hub.example", kKey);
  const auto problem_at = [&](WallTime time) -> std::string {
    TlsTarget target{"127.0.0.1", std::to_string(hub.port()), "hub.example", hub.ca_file()};
    target.judge_at = time;
    auto connection = TlsConnection::open(target);
    if (!connection) return connection.error().message;
    for (int i = 0; i < 2000; ++i) {
      const auto done = (*connection)->proceed();
      if (!done) return done.error().message;
      if (*done) {
        const auto validity = (*connection)->peer_validity();
        return validity && validity->not_before < validity->not_after ? "" : "no validity";
      }
      std::this_thread::sleep_for(milliseconds(1));
    }
    return "still waiting";
  };
  const WallTime now = SystemClock{}.now();
  EXPECT_EQ(problem_at(now), "");
  EXPECT_EQ(problem_at(now - std::chrono::days(1000)), "") << "the certificate begins later: so it is later";
  EXPECT_NE(problem_at(now + std::chrono::days(3)).find("expired"), std::string::npos);
}

// faults: 19
TEST_F(LinkTest, a_hub_that_refuses_is_asked_for_the_time_once) {
  hub_.tell_date("Sun, 06 Nov 2044 08:49:37 GMT");  // outside of its certificate: not believed
  settings_.dial.websocket_port = settings_.target.port;
  settings_.reconnect.refused_wait = milliseconds(20);
  hub_.refuse(mqtt::ConnectReturn::not_authorized);
  connect();
  ASSERT_TRUE(hub_.wait_for([](const FakeHub::Seen& seen) { return seen.refusals >= 3; }));
  EXPECT_EQ(hub_.seen().questions, 1);
  hub_.refuse(mqtt::ConnectReturn::accepted);
  ASSERT_TRUE(wait_for<LinkOnline>());
  const auto token = trust::parse_sas(hub_.seen().passwords.back());
  ASSERT_TRUE(token);
  EXPECT_LT(token->expiry, 2'000'000'000) << "by the clock, not by the year 2044";
}

}  // namespace
}  // namespace godwit::agent
