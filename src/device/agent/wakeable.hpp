// Waiting for a socket that another thread may cut short. open() before anything else; wait() from one thread, wake()
// from any.
#pragma once

#include "core/base/clock.hpp"
#include "core/base/file.hpp"

namespace godwit::agent {

class Wakeable {
 public:
  explicit Wakeable(const Clock& clock) : clock_(clock) {}
  [[nodiscard]] Result<void> open();
  /// Waits for `fd` (if not -1), for wake() or for the time. True: `fd` is ready.
  [[nodiscard]] bool wait(int fd, short events, Duration until) const;
  void wake() const;

 private:
  const Clock& clock_;
  UniqueFd event_;
};

}  // namespace godwit::agent
