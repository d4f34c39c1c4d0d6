// What the other threads tell the deciding thread: one bounded queue of values with a descriptor to poll on.
// push() from any thread; take() from the deciding thread.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <variant>

#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "core/twin/diagnostics.hpp"
#include "core/twin/dialect.hpp"
#include "device/agent/link.hpp"
#include "device/agent/record.hpp"

namespace godwit::agent {

struct EffectEnded {
  std::uint64_t epoch = 0;
  EffectResult result{};
};
struct EffectProgress {
  std::uint64_t epoch = 0;
  twin::Progress progress{};
};
struct LogsEnded {
  twin::LogOutcome outcome{};
};
using Input =
    std::variant<LinkOnline, LinkOffline, SessionDesired, SessionAnswer, EffectEnded, EffectProgress, LogsEnded>;

class Inbox {
 public:
  /// Errors: io_failed (no descriptor).
  [[nodiscard]] Result<void> open();
  /// Of desired documents and progress only the newest is kept, so the queue stays short by itself.
  void push(Input input);
  /// All that came, in order; empties the descriptor.
  [[nodiscard]] std::deque<Input> take();
  [[nodiscard]] int fd() const { return wake_fd_.get(); }

 private:
  UniqueFd wake_fd_;
  std::mutex mutex_;
  std::deque<Input> inputs_;
};

}  // namespace godwit::agent
