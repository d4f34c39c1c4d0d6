// Telemetry to one web address: documents gather in a bounded queue, a thread of its own posts them in batches and
// tries again when the other side cannot take them. What does not fit is dropped, oldest first, and counted: a receiver
// that is away must not make the service grow. The HTTP client is a port. Safe from any thread; push() never blocks.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "core/base/bytes.hpp"
#include "core/base/clock.hpp"
#include "core/base/error.hpp"
#include "core/base/log.hpp"
#include "core/base/random.hpp"

namespace godwit::api {

class HttpPost {
 public:
  virtual ~HttpPost() = default;
  /// Posts a JSON body and returns the status of the answer. Blocks, for at most some seconds. Errors: network_failed,
  /// timed_out, tls_failed.
  [[nodiscard]] virtual Result<int> post(const std::string& body) = 0;
  /// Ends a post that runs, soon. Any thread.
  virtual void cancel() = 0;
};

struct WebhookLimits {
  std::size_t queue_documents = 10'000;
  ByteCount queue_bytes = 16 * 1024 * 1024;
  std::size_t batch_documents = 100;
  ByteCount batch_bytes = 512 * 1024;
  Duration gather{500};  // how long a batch that is not full waits for more
  Duration first_pause{1'000};
  Duration longest_pause{60'000};
};

/// What to do after an answer.
enum class AfterPost : std::uint8_t { done, again, give_up };
/// 2xx: done. 408, 429 and 5xx: again. Anything else says that the same bytes will never be taken.
[[nodiscard]] AfterPost after_post(const Result<int>& status);
/// Doubles with each failure in a row, up to the longest; up to a quarter less by chance, so that several do not march
/// in step.
[[nodiscard]] Duration pause_after(std::size_t failures, const WebhookLimits& limits, Random& random);

class Webhook {
 public:
  using Text = std::shared_ptr<const std::string>;

  Webhook(HttpPost& post, Log& log, std::uint64_t seed, WebhookLimits limits = {});
  ~Webhook() { stop(); }
  Webhook(const Webhook&) = delete;
  Webhook& operator=(const Webhook&) = delete;

  void start();
  /// What is queued is lost. Idempotent.
  void stop();
  void push(const Text& document);

  struct Counters {
    std::uint64_t delivered = 0;
    std::uint64_t dropped = 0;   // for want of room
    std::uint64_t refused = 0;   // the receiver will never take them
    std::uint64_t failures = 0;  // posts to be tried again
    std::size_t queued = 0;
  };
  [[nodiscard]] Counters counters() const;

 private:
  void run();
  /// Waits for documents; empty: it is time to stop.
  [[nodiscard]] std::deque<Text> next_batch();
  void deliver(const std::deque<Text>& batch);
  [[nodiscard]] bool pause(Duration time);

  HttpPost& post_;
  Log& log_;
  SeededRandom random_;
  const WebhookLimits limits_;
  mutable std::mutex mutex_;  // guards the four below
  std::condition_variable changed_;
  std::deque<Text> queue_;
  ByteCount bytes_ = 0;
  bool is_stopping_ = false;
  std::atomic<std::uint64_t> delivered_ = 0, dropped_ = 0, refused_ = 0, failures_ = 0;
  std::thread thread_;
};

}  // namespace godwit::api
