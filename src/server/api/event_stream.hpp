// Server-sent events: one source, some readers, nobody waits for anybody. Each reader has a bounded queue; one that
// reads too slowly loses its oldest events and is told how many ("event: lost"). The text of an event is made once and
// shared. Knows nothing of HTTP connections or of the hub. Safe from any thread; nothing here blocks.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/base/error.hpp"

namespace godwit::api {

struct Event {
  std::string id{};       // comes back as Last-Event-ID; "" = none
  std::string name{};     // "" = "message"
  std::string data{};     // any text; its line breaks survive
  std::string subject{};  // whom it is about, for filters; not sent
};

/// As it goes over the wire. Control characters in id and name become blanks: they could begin a field of their own.
[[nodiscard]] std::string format_event(const Event& event);

struct EventQueueLimits {
  std::size_t events = 1000;
  ByteCount bytes = 1024 * 1024;
};

/// What one reader has not read yet: between a source on any thread and a connection on its loop.
class EventQueue {
 public:
  using Text = std::shared_ptr<const std::string>;
  using Wake = std::function<void()>;

  explicit EventQueue(EventQueueLimits limits = {}) : limits_(limits) {}

  // The source's half.
  /// Queues an event of format_event(); over a limit the oldest go. No effect once closed.
  void push(Text text);
  /// No more will come. The reader gets what is queued, then the end. Either half may close.
  void close();
  [[nodiscard]] bool is_open() const;

  // The reader's half.
  /// `wake` is called, from any thread, when there is something to take() after it gave nothing. It only posts.
  void set_wake(Wake wake);
  /// The reader has gone: forgets everything.
  void leave();
  /// Appends at least one whole event if there is any, then more while `into` stays below `most` bytes.
  /// False: closed, and nothing is left.
  bool take(std::string& into, std::size_t most);

 private:
  void drop_oldest();

  const EventQueueLimits limits_;
  mutable std::mutex mutex_;
  std::deque<Text> texts_;
  ByteCount bytes_ = 0;
  std::uint64_t lost_ = 0;  // since the reader was last told
  bool is_open_ = true;
  bool is_reader_idle_ = false;
  Wake wake_;
};

using EventSubscription = std::shared_ptr<EventQueue>;

/// Gives every event to every reader that wants it.
class EventStream {
 public:
  struct Limits {
    std::size_t readers = 64;
    EventQueueLimits queue{};
  };
  /// Looked at on the pushing thread, under the lock of the stream: quick, and without calling back into it.
  using Filter = std::function<bool(const Event& event)>;

  EventStream() : EventStream(Limits{}) {}
  explicit EventStream(Limits limits) : limits_(limits) {}
  ~EventStream() { stop(); }
  EventStream(const EventStream&) = delete;
  EventStream& operator=(const EventStream&) = delete;

  /// A handler of an event route returns this. `missed` is given first: what the source still has of the time since the
  /// reader's Last-Event-ID. Errors: too_many, unavailable (after stop()).
  [[nodiscard]] Result<EventSubscription> subscribe(Filter filter = {}, const std::vector<Event>& missed = {});
  void push(const Event& event);
  /// False: an event need not even be made. A reader that has just gone may still count.
  [[nodiscard]] bool has_readers() const { return readers_count_ > 0; }
  [[nodiscard]] std::size_t readers() const;
  /// Ends every subscription; there will be no others. Idempotent.
  void stop();

 private:
  struct Reader {
    EventSubscription queue;
    Filter filter;
  };
  void forget_gone();

  const Limits limits_;
  mutable std::mutex mutex_;
  std::vector<Reader> readers_;
  std::atomic<std::size_t> readers_count_ = 0;
  bool is_stopped_ = false;
};

}  // namespace godwit::api
