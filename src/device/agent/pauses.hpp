// Waiting as a port: a test lets time pass instead. Blocking; safe from any thread.
#pragma once

#include <condition_variable>
#include <mutex>
#include <stop_token>

#include "core/base/clock.hpp"

namespace godwit::agent {

class Pauses {
 public:
  virtual ~Pauses() = default;
  /// Waits; false if `stop` ended the wait.
  [[nodiscard]] virtual bool wait(Duration duration, const std::stop_token& stop) = 0;
};

class RealPauses final : public Pauses {
 public:
  [[nodiscard]] bool wait(Duration duration, const std::stop_token& stop) override {
    std::mutex mutex;
    std::condition_variable_any changed;
    std::unique_lock lock(mutex);
    changed.wait_for(lock, stop, duration, [] { return false; });
    return !stop.stop_requested();
  }
};

}  // namespace godwit::agent
