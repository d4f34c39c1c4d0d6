#include "server/api/event_stream.hpp"

#include <algorithm>

namespace godwit::api {
namespace {

void append_field(std::string& text, std::string_view name, std::string_view value) {
  text.append(name).append(": ");
  for (const char c : value) text.push_back(static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? ' ' : c);
  text.push_back('\n');
}

/// "\r\n", "\n" and "\r" each end a line of the format, so each begins a data field of its own.
void append_data(std::string& text, std::string_view data) {
  for (;;) {
    const std::size_t end = std::min(data.find_first_of("\r\n"), data.size());
    text.append("data: ").append(data.substr(0, end)).push_back('\n');
    if (end == data.size()) return;
    const bool is_pair = data.substr(end).starts_with("\r\n");
    data.remove_prefix(end + (is_pair ? 2 : 1));
  }
}

}  // namespace

std::string format_event(const Event& event) {
  std::string text;
  text.reserve(event.data.size() + event.id.size() + event.name.size() + 32);
  if (!event.id.empty()) append_field(text, "id", event.id);
  if (!event.name.empty()) append_field(text, "event", event.name);
  append_data(text, event.data);
  text.push_back('\n');
  return text;
}

void EventQueue::push(Text text) {
  Wake wake;
  {
    const std::lock_guard lock(mutex_);
    if (!is_open_) return;
    bytes_ += text->size();
    texts_.push_back(std::move(text));
    while (!texts_.empty() && (texts_.size() > limits_.events || bytes_ > limits_.bytes)) drop_oldest();
    if (std::exchange(is_reader_idle_, false)) wake = wake_;
  }
  if (wake) wake();
}

void EventQueue::drop_oldest() {
  bytes_ -= texts_.front()->size();
  texts_.pop_front();
  ++lost_;
}

void EventQueue::close() {
  Wake wake;
  {
    const std::lock_guard lock(mutex_);
    is_open_ = false;
    if (std::exchange(is_reader_idle_, false)) wake = wake_;
  }
  if (wake) wake();
}

bool EventQueue::is_open() const {
  const std::lock_guard lock(mutex_);
  return is_open_;
}

void EventQueue::set_wake(Wake wake) {
  const std::lock_guard lock(mutex_);
  wake_ = std::move(wake);
}

void EventQueue::leave() {
  const std::lock_guard lock(mutex_);
  is_open_ = false;
  is_reader_idle_ = false;
  texts_.clear();
  bytes_ = 0;
  wake_ = {};
}

bool EventQueue::take(std::string& into, std::size_t most) {
  const std::lock_guard lock(mutex_);
  const bool has_any = lost_ > 0 || !texts_.empty();
  if (lost_ > 0) {
    // What was lost is older than all that is left, so the gap stands in its place.
    into += format_event(Event{.name = "lost", .data = "{\"count\":" + std::to_string(lost_) + "}"});
    lost_ = 0;
  }
  while (!texts_.empty()) {
    into += *texts_.front();
    bytes_ -= texts_.front()->size();
    texts_.pop_front();
    if (into.size() >= most) break;
  }
  is_reader_idle_ = !has_any && is_open_;
  return has_any || is_open_;
}

Result<EventSubscription> EventStream::subscribe(Filter filter, const std::vector<Event>& missed) {
  const std::lock_guard lock(mutex_);
  if (is_stopped_) return fail(Code::unavailable, "the stream has ended; the service is stopping");
  forget_gone();
  if (readers_.size() >= limits_.readers)
    return fail(Code::too_many, "the stream has " + std::to_string(limits_.readers) +
                                    " readers already, which is the limit; close one or try again later");
  auto queue = std::make_shared<EventQueue>(limits_.queue);
  for (const Event& event : missed)
    if (!filter || filter(event)) queue->push(std::make_shared<const std::string>(format_event(event)));
  readers_.push_back(Reader{.queue = queue, .filter = std::move(filter)});
  readers_count_ = readers_.size();
  return queue;
}

void EventStream::push(const Event& event) {
  if (!has_readers()) return;
  const std::lock_guard lock(mutex_);
  forget_gone();
  EventQueue::Text text;
  for (const Reader& reader : readers_) {
    if (reader.filter && !reader.filter(event)) continue;
    if (!text) text = std::make_shared<const std::string>(format_event(event));
    reader.queue->push(text);
  }
}

void EventStream::forget_gone() {
  std::erase_if(readers_, [](const Reader& reader) { return !reader.queue->is_open(); });
  readers_count_ = readers_.size();
}

std::size_t EventStream::readers() const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(
      std::count_if(readers_.begin(), readers_.end(), [](const Reader& reader) { return reader.queue->is_open(); }));
}

void EventStream::stop() {
  const std::lock_guard lock(mutex_);
  is_stopped_ = true;
  for (const Reader& reader : readers_) reader.queue->close();
  readers_.clear();
  readers_count_ = 0;
}

}  // namespace godwit::api
