// Answers that come later and streams of events, as a client sees them: real TLS connections to a real rim. The
// handlers here only hand the test what they got.
#include <condition_variable>
#include <deque>

#include "server/api/event_stream.hpp"
#include "server/api/responder.hpp"
#include "server/api/test_rig.hpp"

namespace godwit::api {
namespace {

using std::chrono::milliseconds;

/// What a hub would do with requests that wait for devices: keep their responders.
class Held {
 public:
  void keep(Responder responder) {
    const std::lock_guard lock(mutex_);
    kept_.push_back(std::move(responder));
    more_.notify_all();
  }
  /// The oldest that is kept; waits until there is one.
  Responder next() {
    std::unique_lock lock(mutex_);
    GODWIT_CHECK(more_.wait_for(lock, std::chrono::seconds(10), [this] { return !kept_.empty(); }));
    Responder responder = std::move(kept_.front());
    kept_.pop_front();
    return responder;
  }

 private:
  std::mutex mutex_;
  std::condition_variable more_;
  std::deque<Responder> kept_;
};

Held g_held;
EventStream* g_stream = nullptr;  // of the test that runs
std::string g_last_event_id;

void hold(const Request&, Services&, Responder responder) { g_held.keep(std::move(responder)); }
void answer_at_once(const Request& request, Services&, Responder responder) {
  responder.answer(Reply{.body = "body of " + std::to_string(request.body.size())});
}
void drop(const Request&, Services&, Responder) {}
void explode(const Request&, Services&, Responder) { throw std::runtime_error("a library threw"); }
Result<Reply> plain(const Request&, Services&) { return Reply{.body = "plain"}; }
Result<EventSubscription> listen(const Request& request, Services&) {
  g_last_event_id = request.header("last-event-id").value_or("");
  if (g_last_event_id.empty()) return g_stream->subscribe();
  return g_stream->subscribe({}, {Event{.id = "missed", .data = "since " + g_last_event_id}});
}

Router later_router() {
  Router router;
  router.add({
      {Method::post, "/devices/{deviceId}/wait", Permission::none, hold},
      {Method::get, "/wait", Permission::none, hold},
      {Method::post, "/at-once", Permission::none, answer_at_once},
      {Method::get, "/drop", Permission::none, drop},
      {Method::get, "/explode", Permission::none, explode},
      {Method::get, "/plain", Permission::none, plain},
      {Method::get, "/events", Permission::none, listen},
      {Method::get, "/private-events", Permission::hub_read, listen},
  });
  return router;
}

template <class Condition>
bool soon(Condition condition) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(milliseconds(2));
  }
  return true;
}

TEST(Deferred, an_answer_comes_from_any_thread_while_no_worker_waits) {
  TestRig rig(later_router());  // two workers
  std::vector<std::unique_ptr<TestClient>> waiting;
  for (int i = 0; i < 8; ++i) {
    waiting.push_back(std::make_unique<TestClient>(rig));
    waiting.back()->peer.write(request_text("GET", "/wait"));
  }
  std::vector<Responder> responders;
  for (int i = 0; i < 8; ++i) responders.push_back(g_held.next());
  TestClient other(rig);
  EXPECT_EQ(other.send(request_text("GET", "/plain")).body, "plain") << "the workers are free";
  std::thread device([&] {
    for (const Responder& responder : responders) EXPECT_TRUE(responder.answer(Reply{.status = 201, .body = "late"}));
  });
  device.join();
  for (const auto& client : waiting) {
    const Answer answer = client->read();
    EXPECT_EQ(answer.status, 201);
    EXPECT_EQ(answer.body, "late");
  }
}

TEST(Deferred, the_first_answer_counts_and_the_connection_goes_on) {
  TestRig rig(later_router());
  TestClient client(rig);
  client.peer.write(request_text("GET", "/wait") + request_text("GET", "/plain"));
  const Responder first = g_held.next();
  EXPECT_TRUE(first.is_wanted());
  EXPECT_TRUE(first.answer(Reply{.body = "one"}));
  EXPECT_FALSE(first.answer(Reply{.body = "two"}));
  EXPECT_FALSE(first.is_wanted());
  EXPECT_EQ(client.read().body, "one");
  EXPECT_EQ(client.read().body, "plain") << "what was sent ahead is answered in order";
  for (int i = 0; i < 50; ++i) {
    // Each wait leaves its watch behind; the next one must neither lose the request nor read it twice.
    const Answer at_once =
        client.send(request_text("POST", "/at-once", {}, std::string(static_cast<std::size_t>(i), 'a')));
    ASSERT_EQ(at_once.body, "body of " + std::to_string(i));
  }
  EXPECT_EQ(client.unread(), "");
}

TEST(Deferred, an_error_has_the_shape_of_its_family) {
  TestRig rig(later_router());
  TestClient client(rig);
  client.peer.write(request_text("POST", "/devices/dev1/wait?api-version=2021-04-12"));
  g_held.next().answer(fail(Code::timed_out, "the device did not answer within 5 s"));
  const Answer answer = client.read();
  EXPECT_EQ(answer.status, 504);
  EXPECT_NE(answer.body.find("\"Message\":\"ErrorCode:"), std::string::npos) << answer.body;
}

TEST(Deferred, a_dropped_responder_and_a_thrown_exception_are_500) {
  TestRig rig(later_router());
  TestClient client(rig);
  const Answer dropped = client.send(request_text("GET", "/drop"));
  EXPECT_EQ(dropped.status, 500);
  EXPECT_NE(dropped.body.find("dropped without an answer"), std::string::npos) << dropped.body;
  const Answer thrown = client.send(request_text("GET", "/explode"));
  EXPECT_EQ(thrown.status, 500);
  EXPECT_NE(thrown.body.find("a library threw"), std::string::npos) << thrown.body;
  client.peer.write(request_text("GET", "/wait"));
  { const Responder kept_a_while = g_held.next(); }
  EXPECT_EQ(client.read().status, 500);
}

TEST(Deferred, no_time_limit_of_the_connection_ends_it_early) {
  const milliseconds brief(60);
  TestRig rig(later_router(), ServerLimits{.handshake_time = std::chrono::seconds(5),
                                           .head_time = brief,
                                           .idle_time = brief,
                                           .body_time = brief,
                                           .write_time = brief});
  TestClient client(rig);
  client.peer.write(request_text("GET", "/wait"));
  const Responder responder = g_held.next();
  EXPECT_EQ(client.peer.read(milliseconds(500)), "");
  EXPECT_FALSE(client.peer.is_closed());
  responder.answer(Reply{.body = "late"});
  EXPECT_EQ(client.read().body, "late");
}

TEST(Deferred, one_that_takes_too_long_is_504_and_a_later_answer_is_harmless) {
  TestRig rig(later_router(), ServerLimits{.deferred_time = milliseconds(150)});
  TestClient client(rig);
  const Answer answer = client.send(request_text("GET", "/wait"));
  EXPECT_EQ(answer.status, 504);
  const Responder late = g_held.next();
  EXPECT_FALSE(late.is_wanted());
  EXPECT_FALSE(late.answer(Reply{.body = "for nobody"}));
  EXPECT_EQ(client.send(request_text("GET", "/plain")).body, "plain") << "and does not answer another request";
}

TEST(Deferred, a_client_that_goes_is_noticed_and_its_answer_is_harmless) {
  TestRig rig(later_router());
  for (const bool is_polite : {true, false}) {
    TestClient client(rig);
    client.peer.write(request_text("GET", "/wait"));
    const Responder responder = g_held.next();
    if (is_polite)
      client.peer.hang_up();
    else
      client.peer.cut();
    EXPECT_TRUE(soon([&] { return !responder.is_wanted(); }));
    EXPECT_FALSE(responder.answer(Reply{}));
  }
  EXPECT_TRUE(soon([&] { return rig.server->connections() == 0; }));
}

TEST(Deferred, they_are_limited_as_long_as_their_responders_are_kept) {
  TestRig rig(later_router(), ServerLimits{.deferred = 2});
  TestClient one(rig);
  auto two = std::make_unique<TestClient>(rig);
  one.peer.write(request_text("GET", "/wait"));
  two->peer.write(request_text("GET", "/wait"));
  auto first = std::make_unique<Responder>(g_held.next());
  auto second = std::make_unique<Responder>(g_held.next());
  TestClient three(rig);
  const Answer refused = three.send(request_text("GET", "/wait"));
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.headers.at("retry-after"), "1");
  two.reset();  // its client has gone, but who holds the responder still holds memory
  EXPECT_EQ(three.send(request_text("GET", "/wait")).status, 429);
  second.reset();
  EXPECT_TRUE(soon([&] { return rig.server->deferred() == 1; }));
  three.peer.write(request_text("GET", "/wait"));
  g_held.next().answer(Reply{.body = "room"});
  EXPECT_EQ(three.read().body, "room");
  first.reset();
  EXPECT_EQ(one.read().status, 500);
}

TEST(Deferred, a_client_that_sends_ahead_without_end_is_not_read_without_end) {
  TestRig rig(later_router());
  TestClient client(rig);
  client.peer.write(request_text("GET", "/wait"));
  const Responder responder = g_held.next();
  std::string many;
  for (int i = 0; i < 20'000; ++i) many += request_text("GET", "/plain");
  std::atomic<bool> is_written = false;
  std::thread writer([&] { is_written = client.peer.write(many + many + many + many + many + many); });
  std::this_thread::sleep_for(milliseconds(200));
  EXPECT_FALSE(is_written) << "the socket's buffers are full and stay so";
  ::shutdown(client.peer.fd(), SHUT_RDWR);
  responder.answer(Reply{.body = "late"});
  writer.join();
}

TEST(Deferred, at_the_end_of_the_grace_they_are_503_and_responders_may_outlive_the_server) {
  std::optional<TestRig> rig(std::in_place, later_router());
  TestClient client(*rig);
  client.peer.write(request_text("GET", "/wait"));
  const Responder responder = g_held.next();
  rig->server->stop(milliseconds(50));
  const Answer answer = client.read();
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.headers.at("connection"), "close");
  EXPECT_TRUE(client.is_ended());
  rig.reset();
  EXPECT_FALSE(responder.answer(Reply{}));
}

TEST(Deferred, one_that_is_answered_within_the_grace_is_still_delivered) {
  TestRig rig(later_router());
  TestClient client(rig);
  client.peer.write(request_text("GET", "/wait"));
  const Responder responder = g_held.next();
  std::thread stopper([&] { rig.server->stop(std::chrono::seconds(10)); });
  responder.answer(Reply{.body = "just in time"});
  EXPECT_EQ(client.read().body, "just in time");
  stopper.join();
}

/// Reads a stream: its head, then the data inside its chunks.
class Listener {
 public:
  explicit Listener(const TestRig& rig, std::string_view fields = {}, std::string_view version = "HTTP/1.1",
                    int receive_buffer = 0) {
    GODWIT_CHECK(peer.dial(rig.server->port(), receive_buffer) && peer.start_tls());
    peer.write("GET /events " + std::string(version) + "\r\nHost: localhost\r\n" + std::string(fields) + "\r\n");
  }
  std::string head() {
    std::size_t end = 0;
    while ((end = raw_.find("\r\n\r\n")) == std::string::npos)
      if (!more()) return {};
    const std::string text = raw_.substr(0, end + 2);
    raw_.erase(0, end + 4);
    return text;
  }
  /// Waits until the decoded data contain `text`; gives all of it and forgets it.
  std::string until(std::string_view text) {
    while (data_.find(text) == std::string::npos && !is_over_ && (decode() || more())) {
    }
    return std::exchange(data_, {});
  }
  /// True once the terminal chunk has come.
  bool is_over() {
    while (!is_over_ && (decode() || more())) {
    }
    return is_over_;
  }
  std::string raw_to_the_end() {
    while (more()) {
    }
    return raw_;
  }

  net::TestPeer peer;

 private:
  bool decode() {
    const std::size_t line = raw_.find("\r\n");
    if (line == std::string::npos) return false;
    const std::size_t size = std::stoull(raw_.substr(0, line), nullptr, 16);
    if (raw_.size() < line + 2 + size + 2) return false;
    data_ += raw_.substr(line + 2, size);
    is_over_ = size == 0;
    raw_.erase(0, line + 2 + size + 2);
    return true;
  }
  bool more() {
    const std::string got = peer.read();
    raw_ += got;
    return !got.empty();
  }
  std::string raw_;
  std::string data_;
  bool is_over_ = false;
};

class Events : public ::testing::Test {
 protected:
  Events() { g_stream = &stream; }
  bool waits_for(std::size_t readers) {
    return soon([&] { return stream.readers() == readers; });
  }
  EventStream stream{EventStream::Limits{.readers = 3, .queue = {.events = 100}}};
};

TEST_F(Events, arrive_in_chunks_as_they_are_pushed) {
  TestRig rig(later_router());
  Listener listener(rig);
  const std::string head = listener.head();
  EXPECT_TRUE(head.starts_with("HTTP/1.1 200 OK\r\n")) << head;
  for (const char* line : {"Content-Type: text/event-stream\r\n", "Transfer-Encoding: chunked\r\n",
                           "Cache-Control: no-store\r\n", "Connection: keep-alive\r\n"})
    EXPECT_NE(head.find(line), std::string::npos) << line << " in " << head;
  EXPECT_EQ(head.find("Content-Length"), std::string::npos);
  stream.push(Event{.id = "1", .name = "telemetry", .data = "{\"a\":1}"});
  EXPECT_EQ(listener.until("\n\n"), "id: 1\nevent: telemetry\ndata: {\"a\":1}\n\n");
  std::thread other([&] { stream.push(Event{.id = "2", .data = "two"}); });
  other.join();
  EXPECT_EQ(listener.until("\n\n"), "id: 2\ndata: two\n\n");
}

TEST_F(Events, the_source_is_told_the_last_event_the_client_saw) {
  TestRig rig(later_router());
  Listener listener(rig, "Last-Event-ID: 41\r\n");
  listener.head();
  EXPECT_EQ(listener.until("\n\n"), "id: missed\ndata: since 41\n\n");
}

TEST_F(Events, a_silent_stream_gets_heartbeats_and_outlives_every_other_time_limit) {
  const milliseconds brief(60);
  TestRig rig(later_router(), ServerLimits{.handshake_time = std::chrono::seconds(5),
                                           .head_time = brief,
                                           .idle_time = brief,
                                           .body_time = brief,
                                           .heartbeat_time = milliseconds(100)});
  Listener listener(rig);
  listener.head();
  for (int i = 0; i < 4; ++i) EXPECT_EQ(listener.until(":\n\n"), ":\n\n");
  stream.push(Event{.data = "still here"});
  EXPECT_NE(listener.until("still here").find("data: still here\n\n"), std::string::npos);
}

TEST_F(Events, a_reader_that_does_not_read_costs_a_bounded_queue_and_learns_what_it_lost) {
  TestRig rig(later_router());
  Listener slow(rig, {}, "HTTP/1.1", 4096);
  Listener quick(rig);
  slow.head();
  quick.head();
  const std::string filler(10'000, 'x');
  for (int i = 1; i <= 3000; ++i) {
    stream.push(Event{.id = std::to_string(i), .data = filler});
    if (i % 50 == 0) quick.until("id: " + std::to_string(i) + "\n");
  }
  stream.push(Event{.id = "last", .data = "end"});
  EXPECT_EQ(quick.until("id: last").find("event: lost"), std::string::npos) << "one reader does not slow another";
  const std::string text = slow.until("id: last");
  const std::size_t lost = text.find("event: lost\ndata: {\"count\":");
  ASSERT_NE(lost, std::string::npos);
  // Read or counted: nothing is unaccounted for.
  std::size_t seen = std::stoull(text.substr(lost + 27));
  for (std::size_t at = 0; (at = text.find("\nevent: lost\ndata: {\"count\":", at + 1)) != std::string::npos;)
    if (at + 1 != lost) seen += std::stoull(text.substr(at + 28));
  for (std::size_t at = 0; (at = text.find("id: ", at)) != std::string::npos; ++at) ++seen;
  EXPECT_EQ(seen, 3001U);
}

TEST_F(Events, one_that_takes_nothing_at_all_is_cut_off) {
  TestRig rig(later_router(), ServerLimits{.write_time = milliseconds(200)});
  Listener stuck(rig, {}, "HTTP/1.1", 4096);
  stuck.head();
  const std::string filler(100'000, 'x');
  EXPECT_TRUE(soon([&] {
    stream.push(Event{.data = filler});
    return stream.readers() == 0;
  }));
  EXPECT_TRUE(soon([&] { return rig.server->connections() == 0; }));
}

TEST_F(Events, a_client_that_goes_gives_its_place_back) {
  TestRig rig(later_router(), ServerLimits{.event_streams = 2});
  auto one = std::make_unique<Listener>(rig);
  Listener two(rig);
  one->head();
  two.head();
  Listener refused(rig);
  EXPECT_TRUE(refused.head().starts_with("HTTP/1.1 429 ")) << "the rim's limit";
  one->peer.cut();
  EXPECT_TRUE(waits_for(1));
  EXPECT_TRUE(soon([&] {
    Listener again(rig);
    return again.head().starts_with("HTTP/1.1 200 ");
  }));
}

TEST_F(Events, a_source_that_refuses_is_an_ordinary_error) {
  TestRig rig(later_router());
  const auto a = stream.subscribe().value();
  const auto b = stream.subscribe().value();
  const auto c = stream.subscribe().value();
  TestClient client(rig);
  EXPECT_EQ(client.send(request_text("GET", "/events")).status, 429);
  EXPECT_EQ(client.send(request_text("GET", "/plain")).body, "plain");
  c->leave();
  EXPECT_EQ(client.send(request_text("GET", "/private-events")).status, 401);
}

TEST_F(Events, a_stream_that_its_source_ends_leaves_the_connection_usable) {
  TestRig rig(later_router());
  TestClient client(rig);
  client.peer.write(request_text("GET", "/events"));
  ASSERT_TRUE(waits_for(1));
  stream.push(Event{.data = "a"});
  stream.stop();
  std::string text;
  while (text.find("0\r\n\r\n") == std::string::npos) text += client.peer.read();
  EXPECT_NE(text.find("9\r\ndata: a\n\n\r\n"), std::string::npos) << text;
  EXPECT_EQ(client.send(request_text("GET", "/plain")).body, "plain");
}

TEST_F(Events, a_stream_ends_after_its_time_so_that_the_caller_shows_its_token_again) {
  TestRig rig(later_router(), ServerLimits{.heartbeat_time = milliseconds(40), .stream_time = milliseconds(250)});
  Listener listener(rig);
  listener.head();
  EXPECT_TRUE(listener.is_over());
  EXPECT_TRUE(waits_for(0));
}

TEST_F(Events, an_old_client_gets_no_chunks_and_the_end_of_the_connection) {
  TestRig rig(later_router());
  Listener listener(rig, {}, "HTTP/1.0");
  const std::string head = listener.head();
  EXPECT_EQ(head.find("Transfer-Encoding"), std::string::npos) << head;
  EXPECT_NE(head.find("Connection: close\r\n"), std::string::npos) << head;
  ASSERT_TRUE(waits_for(1));
  stream.push(Event{.data = "a"});
  stream.stop();
  EXPECT_EQ(listener.raw_to_the_end(), "data: a\n\n");
}

TEST_F(Events, a_head_request_opens_nothing) {
  TestRig rig(later_router());
  TestClient client(rig);
  const Answer answer = client.send(request_text("HEAD", "/events"), true);
  EXPECT_EQ(answer.headers.at("content-type"), "text/event-stream");
  EXPECT_EQ(stream.readers(), 0U);
  EXPECT_EQ(client.send(request_text("GET", "/plain")).body, "plain");
}

TEST_F(Events, stopping_the_server_ends_streams_at_once_and_properly) {
  TestRig rig(later_router());
  Listener listener(rig);
  listener.head();
  ASSERT_TRUE(waits_for(1));
  stream.push(Event{.data = "last words"});
  const auto start = std::chrono::steady_clock::now();
  rig.server->stop(std::chrono::seconds(10));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
  EXPECT_NE(listener.until("last words"), "");
  EXPECT_TRUE(listener.is_over());
  EXPECT_EQ(listener.peer.read(), "");
  EXPECT_TRUE(listener.peer.is_closed());
}

}  // namespace
}  // namespace godwit::api
