// Goal: the rim of TLS behaves with real sockets: whole bytes both ways, would-block instead of blocking, and every
// wait ends. Method: a server on port 0 in its loop, peers on raw OpenSSL in the test's thread.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <fstream>
#include <future>
#include <map>
#include <mutex>

#include "core/trust/test_certificates.hpp"
#include "server/net/acceptor.hpp"
#include "server/net/connection.hpp"
#include "server/net/loop.hpp"
#include "server/net/test_peer.hpp"

namespace godwit::net {
namespace {

using namespace std::chrono_literals;

/// Counts events, for log lines that tests wait for.
class CountingLog final : public Log {
 public:
  void write(LogLevel, std::string_view event, std::initializer_list<LogField>) override {
    const std::lock_guard lock(mutex_);
    ++counts_[std::string(event)];
  }
  int count(const std::string& event) {
    const std::lock_guard lock(mutex_);
    return counts_[event];
  }

 private:
  std::mutex mutex_;
  std::map<std::string, int> counts_;
};

/// Echoes what it reads; the smallest owner that obeys the rules of Connection.
class Echo : public std::enable_shared_from_this<Echo> {
 public:
  Echo(Tcp::socket socket, const TlsContext& tls, std::promise<std::string>* end)
      : connection_(std::move(socket), tls), end_(end) {}
  void start() {
    connection_.start_handshake([self = shared_from_this()](Result<void> shaken) {
      if (!shaken) return self->finish("handshake: " + shaken.error().message);
      self->pump();
    });
  }
  Connection& connection() { return connection_; }

 private:
  void pump() {
    for (;;) {
      const bool is_writing = !pending_.empty();
      char buffer[4096];
      const IoResult result =
          is_writing ? connection_.write_some(pending_) : connection_.read_some(buffer, sizeof buffer);
      const auto go_on = [self = shared_from_this()](bool is_ready) {
        is_ready ? self->pump() : self->finish("cancelled");
      };
      switch (result.status) {
        case IoStatus::ok:
          if (is_writing)
            pending_.erase(0, result.bytes);
          else
            pending_.assign(buffer, result.bytes);
          break;
        case IoStatus::want_read: return connection_.wait_readable(go_on);
        case IoStatus::want_write: return connection_.wait_writable(go_on);
        case IoStatus::closed: return finish("closed");
        case IoStatus::failed: return finish("failed: " + connection_.error_text());
      }
    }
  }
  void finish(const std::string& why) {
    connection_.close();
    if (end_ != nullptr) std::exchange(end_, nullptr)->set_value(why);
  }
  Connection connection_;
  std::string pending_;
  std::promise<std::string>* end_;
};

class Net : public testing::Test {
 protected:
  Net() {
    write_test_certificate(folder_.path());
    auto tls = TlsContext::make_server(folder_.path() / "certificate.pem", folder_.path() / "key.pem");
    EXPECT_TRUE(tls) << (tls ? "" : tls.error().message);
    tls_ = std::make_unique<TlsContext>(std::move(*tls));
    const auto opened = acceptor_.open("127.0.0.1", 0);
    EXPECT_TRUE(opened) << (opened ? "" : opened.error().message);
    loop_.start();
  }
  ~Net() override {
    loop_.stop();
    last_.reset();
    quiet_.reset();
  }
  void accepted(Tcp::socket socket) {
    if (!echoes_) {
      quiet_ = std::make_shared<Connection>(std::move(socket), *tls_);
      return quiet_->start_handshake(
          [this, held = quiet_](const Result<void>& outcome) { shaken_.set_value(outcome.has_value()); });
    }
    last_ = std::make_shared<Echo>(std::move(socket), *tls_, ends_next_ ? &end_ : nullptr);
    last_->start();
  }

  TestFolder folder_;
  CountingLog log_;
  Loop loop_{"net-test"};
  std::unique_ptr<TlsContext> tls_;
  Acceptor acceptor_{loop_.context(), log_, [this](Tcp::socket socket) { accepted(std::move(socket)); }};
  std::shared_ptr<Echo> last_;
  std::promise<std::string> end_;
  std::atomic<bool> ends_next_{true};
  std::atomic<bool> echoes_{true};  // false: shakes hands and then does nothing by itself
  std::shared_ptr<Connection> quiet_;
  std::promise<bool> shaken_;
};

TEST_F(Net, bytes_go_both_ways_whole) {
  TestPeer peer;
  ASSERT_TRUE(peer.open(acceptor_.port()));
  std::string sent;
  for (int i = 0; sent.size() < 1'000'003; ++i) sent += std::to_string(i) + ",";
  std::string got;
  for (std::size_t at = 0; at < sent.size(); at += 60'000) {  // more than one TLS record at a time
    const std::string part = sent.substr(at, 60'000);
    ASSERT_TRUE(peer.write(part));
    std::string back;
    while (back.size() < part.size() && !peer.is_closed()) back += peer.read();
    got += back;
  }
  EXPECT_EQ(got, sent);
  peer.hang_up();
  EXPECT_EQ(end_.get_future().get(), "closed");
}

TEST_F(Net, a_peer_that_vanishes_ends_the_wait) {
  TestPeer peer;
  ASSERT_TRUE(peer.open(acceptor_.port()));
  peer.cut();
  EXPECT_EQ(end_.get_future().get(), "closed");
}

TEST_F(Net, closing_from_our_side_ends_the_wait_and_tells_the_peer) {
  TestPeer peer;
  ASSERT_TRUE(peer.open(acceptor_.port()));
  ASSERT_TRUE(peer.write("x"));
  EXPECT_EQ(peer.read(), "x");  // the handshake is over on both sides
  loop_.run_and_wait([this] { last_->connection().close(); });
  EXPECT_EQ(end_.get_future().get(), "cancelled");
  EXPECT_EQ(peer.read(), "");
  EXPECT_TRUE(peer.is_closed());
}

TEST_F(Net, words_that_are_not_tls_fail_the_handshake_with_a_reason) {
  TestPeer peer;
  ASSERT_TRUE(peer.dial(acceptor_.port()));
  ASSERT_GT(::send(peer.fd(), "GET / HTTP/1.0\r\n\r\n", 18, 0), 0);
  const std::string why = end_.get_future().get();
  EXPECT_NE(why.find("http request"), std::string::npos) << why;
}

TEST_F(Net, tls_1_2_is_spoken_and_1_1_is_refused) {
  ends_next_ = false;
  TestPeer old_peer;
  ASSERT_TRUE(old_peer.dial(acceptor_.port()));
  EXPECT_FALSE(old_peer.start_tls(TLS1_1_VERSION));
  TestPeer peer;
  ASSERT_TRUE(peer.dial(acceptor_.port()));
  ASSERT_TRUE(peer.start_tls(TLS1_2_VERSION));
  EXPECT_EQ(peer.protocol(), "TLSv1.2");
}

TEST_F(Net, a_returning_peer_resumes_with_its_ticket) {
  ends_next_ = false;
  TestPeer first;
  ASSERT_TRUE(first.open(acceptor_.port()));
  ASSERT_TRUE(first.write("x"));
  ASSERT_EQ(first.read(), "x");  // the ticket came with or before this
  TestPeer second;
  second.resume_from(first);
  ASSERT_TRUE(second.open(acceptor_.port()));
  EXPECT_TRUE(second.was_resumed());
}

/// As Net, on a rim that asks its peers for certificates.
class NetWithCertificates : public Net {
 protected:
  explicit NetWithCertificates(ClientCertificates clients = ClientCertificates::requested) {
    auto tls = TlsContext::make_server(folder_.path() / "certificate.pem", folder_.path() / "key.pem", clients);
    EXPECT_TRUE(tls) << (tls ? "" : tls.error().message);
    tls_ = std::make_unique<TlsContext>(std::move(*tls));
    ends_next_ = false;
  }
  /// What the server saw of the last peer, asked on its loop after one round trip.
  std::vector<std::string> shown_by(TestPeer& peer) {
    EXPECT_TRUE(peer.write("x"));
    EXPECT_EQ(peer.read(), "x");
    std::vector<std::string> shown;
    loop_.run_and_wait([&] { shown = last_->connection().peer_certificates(); });
    return shown;
  }
  trust::MadeCertificate issuer_{{.common_name = "CA", .is_authority = true}};
  trust::MadeCertificate device_{{.common_name = "device-1"}, &issuer_};
};

TEST_F(NetWithCertificates, a_peer_may_show_a_certificate_of_anybody_or_none) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    TestPeer bare;
    ASSERT_TRUE(bare.dial(acceptor_.port()));
    ASSERT_TRUE(bare.start_tls(version));
    EXPECT_TRUE(shown_by(bare).empty());
    TestPeer proud;
    proud.show_certificate(device_.pem(), device_.key_pem(), {issuer_.pem()});
    ASSERT_TRUE(proud.dial(acceptor_.port()));
    ASSERT_TRUE(proud.start_tls(version));
    EXPECT_EQ(shown_by(proud), (std::vector<std::string>{device_.der(), issuer_.der()})) << version;
  }
}

TEST_F(NetWithCertificates, only_a_peer_without_a_certificate_resumes_its_session) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    for (const bool has_certificate : {false, true}) {
      TestPeer first;
      if (has_certificate) first.show_certificate(device_.pem(), device_.key_pem(), {issuer_.pem()});
      ASSERT_TRUE(first.dial(acceptor_.port()));
      ASSERT_TRUE(first.start_tls(version));
      EXPECT_EQ(shown_by(first).size(), has_certificate ? 2U : 0U);
      TestPeer second;
      if (has_certificate) second.show_certificate(device_.pem(), device_.key_pem(), {issuer_.pem()});
      second.resume_from(first);
      ASSERT_TRUE(second.dial(acceptor_.port()));
      ASSERT_TRUE(second.start_tls(version));
      EXPECT_EQ(second.was_resumed(), !has_certificate) << version;
      EXPECT_EQ(shown_by(second).size(), has_certificate ? 2U : 0U) << "the intermediates are there every time";
    }
  }
}

TEST_F(NetWithCertificates, a_chain_beyond_all_measure_ends_the_handshake) {
  std::vector<std::string> others(200, issuer_.pem());
  TestPeer peer;
  peer.show_certificate(device_.pem(), device_.key_pem(), others);
  ASSERT_TRUE(peer.dial(acceptor_.port()));
  const bool is_open = peer.start_tls() && peer.write("x") && !peer.read().empty();
  EXPECT_FALSE(is_open);
}

/// As the port that devices share with browsers.
class NetWithBrowsers : public NetWithCertificates {
 protected:
  NetWithBrowsers() : NetWithCertificates(ClientCertificates::requested_without_alpn) {}
};

TEST_F(NetWithBrowsers, only_a_peer_that_offers_no_protocol_is_asked_for_a_certificate) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    for (const std::string protocol : {"", "http/1.1", "h2"}) {
      TestPeer peer;
      peer.show_certificate(device_.pem(), device_.key_pem(), {issuer_.pem()});
      peer.offer_alpn(protocol);
      ASSERT_TRUE(peer.dial(acceptor_.port()));
      ASSERT_TRUE(peer.start_tls(version));
      EXPECT_EQ(shown_by(peer).size(), protocol.empty() ? 2U : 0U) << version << ' ' << protocol;
    }
  }
}

TEST_F(NetWithBrowsers, a_browser_resumes_its_session) {
  TestPeer first;
  first.offer_alpn("http/1.1");
  ASSERT_TRUE(first.open(acceptor_.port()));
  EXPECT_TRUE(shown_by(first).empty());
  TestPeer second;
  second.offer_alpn("http/1.1");
  second.resume_from(first);
  ASSERT_TRUE(second.open(acceptor_.port()));
  EXPECT_TRUE(second.was_resumed());
}

TEST_F(Net, a_rim_that_does_not_ask_gets_no_certificate) {
  ends_next_ = false;
  const trust::MadeCertificate device({.common_name = "device-1"});
  TestPeer peer;
  peer.show_certificate(device.pem(), device.key_pem());
  ASSERT_TRUE(peer.open(acceptor_.port()));
  ASSERT_TRUE(peer.write("x"));
  EXPECT_EQ(peer.read(), "x");
  loop_.run_and_wait([&] { EXPECT_TRUE(last_->connection().peer_certificates().empty()); });
}

TEST_F(Net, accepting_pauses_without_descriptors_and_goes_on_afterwards) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  TestPeer early;
  ASSERT_TRUE(early.open(acceptor_.port()));
  TestPeer late;
  ends_next_ = false;
  {
    // The client's own socket takes the last descriptor below the limit, so that the server's accept finds none.
    const int next_free = ::dup(0);
    ::close(next_free);
    const rlimit tight{.rlim_cur = static_cast<rlim_t>(next_free) + 1, .rlim_max = before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &tight), 0);
    EXPECT_TRUE(late.dial(acceptor_.port()));
    for (int i = 0; i < 100 && log_.count("accept.paused") == 0; ++i) std::this_thread::sleep_for(20ms);
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  }
  EXPECT_GE(log_.count("accept.paused"), 1);
  ASSERT_TRUE(early.write("still here"));
  EXPECT_EQ(early.read(), "still here");
  ASSERT_TRUE(late.start_tls());
  ASSERT_TRUE(late.write("late"));
  EXPECT_EQ(late.read(), "late");
}

TEST_F(Net, an_address_in_use_or_unknown_is_refused_with_its_name) {
  Acceptor second(loop_.context(), log_, [](Tcp::socket) {});
  loop_.run_and_wait([&] {
    const auto taken = second.open("127.0.0.1", acceptor_.port());
    ASSERT_FALSE(taken);
    EXPECT_NE(taken.error().message.find(std::to_string(acceptor_.port())), std::string::npos);
    EXPECT_EQ(second.open("localhost", 0).error().code, Code::invalid_argument);
  });
}

TEST_F(Net, certificate_problems_name_the_file) {
  const auto missing = TlsContext::make_server(folder_.path() / "absent.pem", folder_.path() / "key.pem");
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().message.find("absent.pem"), std::string::npos);
  TestFolder other;
  write_test_certificate(other.path());
  const auto foreign = TlsContext::make_server(folder_.path() / "certificate.pem", other.path() / "key.pem");
  ASSERT_FALSE(foreign);
  EXPECT_EQ(foreign.error().code, Code::tls_failed);
  EXPECT_NE(foreign.error().message.find("key.pem"), std::string::npos);
  std::ofstream(other.path() / "certificate.pem") << "no certificate";
  EXPECT_FALSE(TlsContext::make_server(other.path() / "certificate.pem", other.path() / "key.pem"));
}

TEST_F(Net, a_connection_goes_on_in_another_loop_with_what_tls_had_read) {
  echoes_ = false;
  TestPeer peer;
  ASSERT_TRUE(peer.open(acceptor_.port()));
  ASSERT_TRUE(shaken_.get_future().get());
  ASSERT_TRUE(peer.write("abcdef"));
  Loop other("net-other");
  std::shared_ptr<Connection> second;
  std::promise<std::string> rest;
  const auto go_on = [&](const std::shared_ptr<DetachedConnection>& held) {
    second = std::make_shared<Connection>(other.context(), std::move(*held));
    second->wait_readable([&](bool is_ready) {
      char buffer[16];
      const IoResult more = second->read_some(buffer, sizeof buffer);
      rest.set_value(is_ready && more.status == IoStatus::ok ? std::string(buffer, more.bytes) : "nothing");
    });
  };
  loop_.run_and_wait([&] {
    // One record of which only a byte is read here, so that the rest lies decrypted inside TLS.
    char first = 0;
    while (quiet_->read_some(&first, 1).status == IoStatus::want_read) std::this_thread::yield();
    EXPECT_EQ(first, 'a');
    const auto held = std::make_shared<DetachedConnection>(quiet_->release());
    EXPECT_FALSE(quiet_->is_open());
    EXPECT_EQ(quiet_->peer(), "127.0.0.1");
    EXPECT_EQ(quiet_->read_some(&first, 1).status, IoStatus::failed);
    other.post([&, held] { go_on(held); });
  });
  other.start();
  EXPECT_EQ(rest.get_future().get(), "bcdef");
  other.run_and_wait([&] {
    EXPECT_EQ(second->peer(), "127.0.0.1");
    EXPECT_EQ(second->write_some("from the other loop").status, IoStatus::ok);
  });
  EXPECT_EQ(peer.read(), "from the other loop");
  other.run_and_wait([&] { second.reset(); });
  EXPECT_EQ(peer.read(), "");
  EXPECT_TRUE(peer.is_closed());
  other.stop();
}

TEST_F(Net, a_released_connection_that_nobody_takes_is_closed) {
  echoes_ = false;
  TestPeer peer;
  ASSERT_TRUE(peer.open(acceptor_.port()));
  ASSERT_TRUE(shaken_.get_future().get());
  loop_.run_and_wait([&] {
    static_cast<void>(quiet_->release());
    EXPECT_FALSE(Connection(loop_.context(), DetachedConnection{}).is_open());
  });
  EXPECT_EQ(peer.read(), "");
  EXPECT_TRUE(peer.is_closed());
}

TEST(Loop, runs_posted_work_in_order_on_its_own_thread) {
  Loop loop("order");
  std::vector<int> seen;
  loop.post([&] { seen.push_back(1); });
  loop.start();
  loop.post([&] { seen.push_back(2); });
  bool was_current = false;
  loop.run_and_wait([&] {
    seen.push_back(3);
    was_current = loop.is_current();
  });
  EXPECT_TRUE(was_current);
  EXPECT_FALSE(loop.is_current());
  loop.stop();
  loop.stop();
  EXPECT_EQ(seen, (std::vector<int>{1, 2, 3}));
}

}  // namespace
}  // namespace godwit::net
