#include "server/api/telemetry/webhook.hpp"

#include <algorithm>

namespace godwit::api {

AfterPost after_post(const Result<int>& status) {
  if (!status) return AfterPost::again;
  if (*status >= 200 && *status < 300) return AfterPost::done;
  return *status == 408 || *status == 429 || *status >= 500 ? AfterPost::again : AfterPost::give_up;
}

Duration pause_after(std::size_t failures, const WebhookLimits& limits, Random& random) {
  Duration pause = limits.first_pause;
  for (std::size_t i = 1; i < failures && pause < limits.longest_pause; ++i) pause *= 2;
  pause = std::min(pause, limits.longest_pause);
  const auto quarter = static_cast<std::uint64_t>(pause.count() / 4);
  return pause - Duration{static_cast<std::int64_t>(random.below(quarter + 1))};
}

Webhook::Webhook(HttpPost& post, Log& log, std::uint64_t seed, WebhookLimits limits)
    : post_(post), log_(log), random_(seed), limits_(limits) {}

void Webhook::start() {
  thread_ = std::thread([this] { run(); });
}

void Webhook::stop() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  changed_.notify_all();
  post_.cancel();
  if (thread_.joinable()) thread_.join();
}

void Webhook::push(const Text& document) {
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back(document);
    bytes_ += document->size();
    while (queue_.size() > limits_.queue_documents || (bytes_ > limits_.queue_bytes && !queue_.empty())) {
      bytes_ -= queue_.front()->size();
      queue_.pop_front();
      ++dropped_;
    }
  }
  changed_.notify_one();
}

Webhook::Counters Webhook::counters() const {
  const std::lock_guard lock(mutex_);
  return {.delivered = delivered_,
          .dropped = dropped_,
          .refused = refused_,
          .failures = failures_,
          .queued = queue_.size()};
}

void Webhook::run() {
  for (;;) {
    const std::deque<Text> batch = next_batch();
    if (batch.empty()) return;
    deliver(batch);
  }
}

std::deque<Webhook::Text> Webhook::next_batch() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return is_stopping_ || !queue_.empty(); });
  changed_.wait_for(lock, limits_.gather, [this] {
    return is_stopping_ || queue_.size() >= limits_.batch_documents || bytes_ >= limits_.batch_bytes;
  });
  std::deque<Text> batch;
  ByteCount size = 0;
  while (!is_stopping_ && !queue_.empty() && batch.size() < limits_.batch_documents &&
         (batch.empty() || size + queue_.front()->size() <= limits_.batch_bytes)) {
    size += queue_.front()->size();
    bytes_ -= queue_.front()->size();
    batch.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  return batch;
}

/// Returns when the batch is delivered, refused for good, or it is time to stop. Meanwhile the queue fills and drops.
void Webhook::deliver(const std::deque<Text>& batch) {
  std::string body = "[";
  for (const Text& document : batch) body += (body.size() > 1 ? "," : "") + *document;
  body += "]";
  for (std::size_t failures = 0;;) {
    const Result<int> status = post_.post(body);
    const AfterPost next = after_post(status);
    if (next == AfterPost::done) {
      delivered_ += batch.size();
      if (failures > 0) log_.info("webhook.recovered", {{"failures", failures}});
      return;
    }
    const std::string reason = status ? "status " + std::to_string(*status) : status.error().message;
    if (next == AfterPost::give_up) {
      refused_ += batch.size();
      log_.warning("webhook.refused", {{"documents", batch.size()}, {"reason", reason}});
      return;
    }
    ++failures_;
    if (++failures == 1) log_.warning("webhook.failed", {{"reason", reason}, {"remedy", "it is tried again"}});
    if (!pause(pause_after(failures, limits_, random_))) return;
  }
}

/// False: it is time to stop.
bool Webhook::pause(Duration time) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, time, [this] { return is_stopping_; });
  return !is_stopping_;
}

}  // namespace godwit::api
