#include "server/api/telemetry/feed.hpp"

#include <charconv>

namespace godwit::api {
namespace {

/// Ids rise over a restart too, as long as fewer than a million messages a second come: a reader that returns gets what
/// the new process has, and nothing twice.
std::uint64_t first_id(WallTime now) { return static_cast<std::uint64_t>(to_unix_ms(now)) * 1000; }

ByteCount size_of(const hub::Telemetry& message) { return message.payload.size() + message.properties.size() + 256; }

/// Device, module and component in one text; none of them holds a line break.
std::string subject_of(const hub::Telemetry& message, const std::string& component) {
  return std::string(message.id.device_text()) + "\n" + std::string(message.id.module_text()) + "\n" + component;
}

bool wants(const FeedFilter& filter, std::string_view subject) {
  for (const std::string* wanted : {&filter.device, &filter.module, &filter.component}) {
    const std::string_view part = subject.substr(0, subject.find('\n'));
    if (!wanted->empty() && part != *wanted) return false;
    subject.remove_prefix(std::min(part.size() + 1, subject.size()));
  }
  return true;
}

}  // namespace

TelemetryFeed::TelemetryFeed(Clock& clock, FeedLimits limits)
    : clock_(clock), limits_(limits), stream_(limits.stream), next_id_(first_id(clock.now())) {}

void TelemetryFeed::start() {
  is_running_ = true;
  thread_ = std::thread([this] { run(); });
}

void TelemetryFeed::stop() {
  is_running_ = false;
  stream_.stop();
  {
    const std::lock_guard lock(queue_mutex_);
    is_stopping_ = true;
  }
  something_came_.notify_all();
  if (thread_.joinable()) thread_.join();
}

bool TelemetryFeed::is_listening() const {
  if (!is_running_) return false;
  return sink_ || stream_.has_readers() || clock_.monotonic().count() < listened_until_;
}

void TelemetryFeed::take(hub::Telemetry message) {
  {
    const std::lock_guard lock(queue_mutex_);
    const ByteCount size = size_of(message);
    if (is_stopping_ || queue_.size() >= limits_.queue_messages || queue_bytes_ + size > limits_.queue_bytes) {
      ++dropped_;
      return;
    }
    queue_bytes_ += size;
    queue_.push_back(std::move(message));
  }
  something_came_.notify_one();
}

void TelemetryFeed::run() {
  std::deque<hub::Telemetry> batch;
  for (;;) {
    {
      std::unique_lock lock(queue_mutex_);
      something_came_.wait(lock, [this] { return is_stopping_ || !queue_.empty(); });
      if (is_stopping_) return;
      batch.swap(queue_);
      queue_bytes_ = 0;
    }
    for (const hub::Telemetry& message : batch) pass_on(message);
    batch.clear();
  }
}

void TelemetryFeed::pass_on(const hub::Telemetry& message) {
  const std::lock_guard lock(ring_mutex_);
  if (stream_.has_readers()) listened_until_ = (clock_.monotonic() + limits_.linger).count();
  Event event{.id = std::to_string(next_id_++), .name = "telemetry"};
  const hub::TelemetryEvent made = hub::telemetry_event(message, event.id);
  event.data = json::print(made.document);
  event.subject = subject_of(message, made.component);
  if (sink_) sink_(std::make_shared<const std::string>(event.data));
  stream_.push(event);
  ring_bytes_ += event.data.size();
  ring_.push_back(std::move(event));
  while (ring_.size() > limits_.ring_messages || (ring_bytes_ > limits_.ring_bytes && ring_.size() > 1)) {
    ring_bytes_ -= ring_.front().data.size();
    ring_.pop_front();
  }
  ++passed_on_;
}

Result<EventSubscription> TelemetryFeed::subscribe(const FeedFilter& filter, const std::string& last_event_id) {
  std::uint64_t last = UINT64_MAX;  // a reader without one gets what comes from now on
  if (!last_event_id.empty()) {
    const auto [end, problem] =
        std::from_chars(last_event_id.data(), last_event_id.data() + last_event_id.size(), last);
    if (problem != std::errc{} || end != last_event_id.data() + last_event_id.size())
      return fail(Code::invalid_argument, "Last-Event-ID is not one that this service made");
  }
  const std::lock_guard lock(ring_mutex_);
  std::vector<Event> missed;
  for (const Event& event : ring_)
    if (std::stoull(event.id) > last && wants(filter, event.subject)) missed.push_back(event);
  listened_until_ = (clock_.monotonic() + limits_.linger).count();
  return stream_.subscribe([filter](const Event& event) { return wants(filter, event.subject); }, missed);
}

TelemetryFeed::Counters TelemetryFeed::counters() const {
  return {.passed_on = passed_on_, .dropped = dropped_, .readers = stream_.readers()};
}

}  // namespace godwit::api
