// Telemetry on its way from the hub to whoever listens: server-sent events and a sink such as the webhook. A message
// waits in a bounded queue for the feed's own thread, becomes text once, and stays in a small ring for readers that
// come back. With nobody listening nothing is kept. Safe from any thread; take() neither blocks nor works.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "core/base/bytes.hpp"
#include "core/base/clock.hpp"
#include "server/api/event_stream.hpp"
#include "server/hub/telemetry.hpp"

namespace godwit::api {

struct FeedLimits {
  std::size_t queue_messages = 4096;  // not yet text; more are dropped and counted
  ByteCount queue_bytes = 16 * 1024 * 1024;
  std::size_t ring_messages = 1000;  // text, for readers that come back
  ByteCount ring_bytes = 1024 * 1024;
  Duration linger{60'000};  // how long the ring goes on without a reader
  EventStream::Limits stream{};
};

/// Which messages a reader wants; "" = all.
struct FeedFilter {
  std::string device{};
  std::string module{};
  std::string component{};
};

class TelemetryFeed final : public hub::TelemetryListener {
 public:
  using Text = std::shared_ptr<const std::string>;
  /// Called on the feed's thread for every message; quick.
  using Sink = std::function<void(const Text& document)>;

  explicit TelemetryFeed(Clock& clock, FeedLimits limits = {});
  ~TelemetryFeed() override { stop(); }
  TelemetryFeed(const TelemetryFeed&) = delete;
  TelemetryFeed& operator=(const TelemetryFeed&) = delete;

  /// Before start().
  void set_sink(Sink sink) { sink_ = std::move(sink); }
  void start();
  /// Ends the subscriptions and the thread. Idempotent.
  void stop();

  [[nodiscard]] bool is_listening() const override;
  void take(hub::Telemetry message) override;

  /// What came behind `last_event_id` and is still in the ring comes first. Errors: those of EventStream::subscribe().
  [[nodiscard]] Result<EventSubscription> subscribe(const FeedFilter& filter, const std::string& last_event_id);

  struct Counters {
    std::uint64_t passed_on = 0;
    std::uint64_t dropped = 0;  // the queue was full
    std::size_t readers = 0;
  };
  [[nodiscard]] Counters counters() const;

 private:
  void run();
  void pass_on(const hub::Telemetry& message);

  Clock& clock_;
  const FeedLimits limits_;
  Sink sink_;
  EventStream stream_;

  std::mutex queue_mutex_;  // guards the four below
  std::condition_variable something_came_;
  std::deque<hub::Telemetry> queue_;
  ByteCount queue_bytes_ = 0;
  bool is_stopping_ = false;

  std::mutex ring_mutex_;  // guards the ring, and that a reader gets each event from it or from the stream, once
  std::deque<Event> ring_;
  ByteCount ring_bytes_ = 0;
  std::uint64_t next_id_;

  std::atomic<bool> is_running_ = false;
  std::atomic<std::int64_t> listened_until_ = 0;  // monotonic milliseconds
  std::atomic<std::uint64_t> passed_on_ = 0;
  std::atomic<std::uint64_t> dropped_ = 0;
  std::thread thread_;
};

}  // namespace godwit::api
