// The pulse of an instance: how many devices were connected over the last day, and a stream of events that says when
// something has changed, so that a page asks again only then. One thread looks at two counters once a second; nothing
// is read from the store. What was seen is kept in a small file, so that a restart leaves a gap and not an empty chart.
// Safe from any thread.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "core/base/clock.hpp"
#include "core/base/file.hpp"
#include "core/base/log.hpp"
#include "server/api/event_stream.hpp"

namespace godwit::api {

class Pulse {
 public:
  /// What is looked at; each answers at once and from any thread.
  struct Sources {
    std::function<std::uint64_t()> commits{};         // only grows
    std::function<std::uint64_t()> connects{};        // log-ins and ends of devices together; only grows
    std::function<std::uint64_t()> devices_online{};  // now
  };
  struct Sample {
    WallTime time{};
    std::uint64_t devices = 0;
    friend bool operator==(const Sample&, const Sample&) = default;
  };
  static constexpr Duration kBetweenLooks{1000};
  static constexpr Duration kBetweenSamples{30'000};
  static constexpr Duration kBetweenSaves{600'000};
  static constexpr std::size_t kMostSamples = 2880;  // a day
  static constexpr std::size_t kMostPoints = 288;    // of one answer

  /// `file`: what an earlier process saw is taken from it; one that is damaged is left out with a warning.
  Pulse(Clock& clock, Log& log, Sources sources, Path file);
  ~Pulse() { stop(); }
  Pulse(const Pulse&) = delete;
  Pulse& operator=(const Pulse&) = delete;

  void start();
  /// Ends the subscriptions and the thread, and saves. Idempotent.
  void stop();
  /// What the thread does once a second.
  void look();

  /// Events are called "changed"; their data is an object with "records", "connections": what has changed since the
  /// last one. The first comes at once. Errors: those of EventStream::subscribe().
  [[nodiscard]] Result<EventSubscription> subscribe() { return stream_.subscribe(); }

  /// Oldest first, at most kMostPoints, the present last. Where samples are drawn together the lowest stands for them:
  /// a dip is what one looks for.
  [[nodiscard]] std::vector<Sample> online() const;

 private:
  void load();
  void save();
  void run();

  Clock& clock_;
  Log& log_;
  const Sources sources_;
  const Path file_;
  EventStream stream_;

  mutable std::mutex mutex_;  // guards all below
  std::condition_variable wake_;
  std::deque<Sample> samples_;
  Duration next_sample_{};
  Duration next_save_{};
  std::uint64_t commits_ = 0;
  std::uint64_t connects_ = 0;
  bool is_changed_since_save_ = false;
  bool is_stopping_ = false;
  std::thread thread_;
};

}  // namespace godwit::api
